"""An outcome -> the table and the figures that are kept of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from bench.result import Result
from bench.sim.plan import Plan
from bench.sim.run import Outcome
from bench.sim.told import Told
from bench.sim.usage import Usage
from bench.sim.ways import WAYS

COLUMNS = ("what was asked", "asked", "ended so", "in record", "in fault", "in events", "a minute")
NOT_DUE = "-"
MAX_CAUSES = 5
"""Of retries, those that are told: the most frequent ones."""


def result_of(plan: Plan, outcome: Outcome) -> Result:
    """Of a run that came to its end, whatever was found to be wrong."""
    return Result(
        "sim",
        f"{plan.hosts} simulated compute hosts, each a nova-compute and a nova-network, on one machine",
        COLUMNS,
        list(_rows(outcome)),
        {**asdict(plan), "nova.conf": dict(plan.options())},
        list(_samples(outcome)),
        list(_notes(plan, outcome)),
    )


def _rows(outcome: Outcome) -> Iterator[Sequence[str]]:
    boots, migrations = outcome.boots, outcome.migrations
    assert boots is not None
    active = boots.statuses["ACTIVE"]
    yield ["boots", f"{len(boots.uuids):,}", f"{active:,}", NOT_DUE, NOT_DUE, NOT_DUE, f"{boots.per_minute:.0f}"]
    if migrations is None:
        return
    right = sum(told.ended_so for told in outcome.told)
    total = [f"{len(migrations.moved):,}", f"{right:,}"]
    yield ["migrations", *total, NOT_DUE, NOT_DUE, NOT_DUE, f"{migrations.per_minute:.0f}"]
    yield from map(_row, outcome.told)


def _row(told: Told) -> Sequence[str]:
    way = WAYS[told.way]
    is_failure = way.step is not None
    return [
        f"{told.way} -> {way.status}",
        f"{told.asked:,}",
        f"{told.ended_so:,}",
        f"{told.in_record:,}" if is_failure else NOT_DUE,
        f"{told.in_fault:,}" if is_failure and way.has_fault else NOT_DUE,
        f"{told.in_events:,}",
        "",
    ]


def _notes(plan: Plan, outcome: Outcome) -> Iterator[str]:
    options = plan.options()
    yield (
        f"Up after {outcome.start_s:.0f} s; a report each {options['report_interval']} s, down after "
        f"{options['service_down_time']}; {plan.processes} processes of many hosts each, {plan.mortal_hosts} of one; "
        f"{plan.conductors} nova-conductor, {plan.schedulers} nova-scheduler; the bus is "
        f"{outcome.bus}, the database {outcome.database}."
    )
    for phase, usage in outcome.usage.items():
        yield f"{phase.capitalize()}: {_usage(usage)}."
    memory = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in sorted(outcome.peak_rss_bytes.items()))
    yield f"Memory at its peak, in MB: {memory}."
    dropped = ", ".join(f"{count} {reason}" for reason, count in outcome.dropped.items()) or "none"
    yield f"Lines: {outcome.emitted:,} logged as the services count them, {outcome.stored:,} stored, {dropped} dropped."
    wanted, there = (sum(counts) for counts in zip(*outcome.events.values(), strict=True))
    yield f"Events of {len(outcome.events)} kinds, by step and end: {wanted:,} expected, {there:,} stored."
    for (event, error), count in outcome.retries.most_common(MAX_CAUSES):
        yield f"Tried again on another host: {count} boots after {event}: {error}."
    yield from (f"Wrong: {text}." for text in outcome.wrong)


def _usage(usage: Usage) -> str:
    cpu = ", ".join(f"{name} {cpu_s:.0f}" for name, cpu_s in usage.cpu_s.items() if cpu_s >= 0.5) or "next to nothing"
    messages = "" if usage.messages is None else f", {usage.messages / usage.seconds:.0f} messages/s"
    return f"{usage.seconds:.0f} s, {usage.cores:.2f} cores{messages}; seconds of CPU: {cpu}"


def _samples(outcome: Outcome) -> Iterator[Mapping[str, object]]:
    yield from ({"phase": phase, **asdict(usage)} for phase, usage in outcome.usage.items())
    yield from (asdict(told) for told in outcome.told)
    for event, (wanted, there) in outcome.events.items():
        yield {"event": event, "expected": wanted, "stored": there}
