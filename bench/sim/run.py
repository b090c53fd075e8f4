"""One run from beginning to end: the cloud is started, used, put down, and what is left of it is judged."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.sim.api import Api
from bench.sim.boots import Boots, boot, fill
from bench.sim.checks import read_state, wrongs
from bench.sim.choice import Hosts, choose, ways_of
from bench.sim.cloud import CloudSettings, Controllers, SimulatedCloud
from bench.sim.events import (
    causes_of_retries,
    event_differences,
    events_of_build,
    steps_that_failed,
    stored_events,
    totals,
)
from bench.sim.lines import differences, emitted_lines, stored_lines_by_service
from bench.sim.migrations import Migrations, Migrator
from bench.sim.plan import Plan
from bench.sim.servers import bus, database
from bench.sim.told import Told, read_records, record_wrongs, tell_by_way, without_progress
from bench.sim.usage import Meter, Usage
from bench.sim.ways import HOST_FULL, SOURCE_DIES
from bench.stored import stored_lines
from cloud.db.engine import open_database

ARRIVE_S = 120.0
QUIET_S = 3.0
"""Without one more line, so long: then all have arrived."""
STOP_COLLECTOR_S = 60.0
MAX_SAID = 20
"""Of each kind of wrong."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Servers:
    """Bus and database, as they were asked for."""

    transport_url: str | None = None
    database: str = "postgresql"


@dataclass(slots=True)
class Outcome:
    """What was measured, and what is wrong."""

    boots: Boots | None = None
    filled: tuple[str, ...] = ()
    """Instances that were booted for nothing but to take a host's room."""
    migrations: Migrations | None = None
    told: Sequence[Told] = ()
    usage: dict[str, Usage] = field(default_factory=dict)
    """By phase."""
    peak_rss_bytes: Mapping[str, int] = field(default_factory=dict)
    bus: str = ""
    database: str = ""
    start_s: float = 0.0
    emitted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    events: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each event how many there should be, and how many are stored."""
    retries: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of builds, on another host: by the event and the error of what failed."""
    asked_again: int = 0
    restarts: tuple[str, ...] = ()
    wrong: list[str] = field(default_factory=list)

    def add(self, kind: str, found: list[str], tell: Tell) -> None:
        """Note what is wrong, of many the first ones."""
        for text in found[:MAX_SAID]:
            tell(f"wrong: {kind}: {text}")
        if found:
            self.wrong.append(f"{kind}: {len(found)}, first {found[0]}")


def simulate(plan: Plan, directory: Path, servers: Servers, tell: Tell) -> Outcome:
    """Everything is written below `directory`, and nothing runs any more at the end."""
    outcome = Outcome(bus=kind_of_bus(servers.transport_url), database=kind_of_database(servers.database))
    with ExitStack() as stack:
        own_bus, redis = stack.enter_context(bus(directory, servers.transport_url))
        own_database = stack.enter_context(database(servers.database))
        settings = CloudSettings(
            hosts=plan.hosts,
            processes=plan.processes,
            lone_hosts=plan.mortal_hosts,
            controllers=Controllers(conductors=plan.conductors, schedulers=plan.schedulers),
            transport_url=own_bus.url,
            database_url=own_database.url,
            options=plan.options(),
        )
        started_s = time.monotonic()
        cloud = stack.enter_context(SimulatedCloud(directory, settings, tell))
        outcome.start_s = time.monotonic() - started_s
        tell(f"{plan.hosts} hosts are up after {outcome.start_s:.1f} s")
        pids = {"bus": own_bus.pid, "database": own_database.pid}
        meter = Meter(cloud, {name: pid for name, pid in pids.items() if pid is not None}, redis)
        _use(plan, cloud, meter, outcome, tell)
        _put_down(cloud, tell)
        _judge(cloud, own_database.url, outcome, tell)
    return outcome


def kind_of_bus(url: str | None) -> str:
    """By its scheme; the rest of a URL may be a secret."""
    return "a redis of its own" if url is None else url.partition(":")[0]


def kind_of_database(name: str) -> str:
    """The same."""
    return {"postgresql": "a PostgreSQL of its own", "sqlite": "SQLite"}.get(name, name.partition(":")[0])


def _use(plan: Plan, cloud: SimulatedCloud, meter: Meter, outcome: Outcome, tell: Tell) -> None:
    with Api(cloud.machine) as api:
        api.lift_quotas()
        reading = meter.read()
        time.sleep(plan.idle_s)
        outcome.usage["idle"] = reading.until(meter.read())
        _tell_usage("idle", outcome.usage["idle"], tell)
        reading = meter.read()
        hosts = _kinds_of_hosts(plan, cloud)
        outcome.boots = boot(api, plan.boots, _forced(plan, hosts), cloud.watch, tell)
        outcome.usage["boots"] = reading.until(meter.read())
        _tell_usage("boots", outcome.usage["boots"], tell)
        if plan.migrations:
            _migrate(plan, cloud, api, hosts, outcome, tell, meter)
        outcome.asked_again = api.again
    outcome.peak_rss_bytes = meter.peak_rss_bytes()
    outcome.restarts = tuple(str(each.program) for each in cloud.machine.statuses() if each.restarts)
    outcome.add("restarted", list(outcome.restarts), tell)


def _kinds_of_hosts(plan: Plan, cloud: SimulatedCloud) -> Hosts:
    names = cloud.settings.names
    shared = names[: len(names) - plan.mortal_hosts]
    return Hosts(plain=shared[1:], mortal=names[len(shared) :], full=shared[0])


def _forced(plan: Plan, hosts: Hosts) -> Mapping[int, str]:
    """Boots that have to come to a host that is to be killed, one for each time."""
    kills = ways_of(plan.migrations, plan.failures).count(SOURCE_DIES)
    return {number: hosts.mortal[number % len(hosts.mortal)] for number in range(kills)}


def _migrate(
    plan: Plan, cloud: SimulatedCloud, api: Api, hosts: Hosts, outcome: Outcome, tell: Tell, meter: Meter
) -> None:
    assert outcome.boots is not None
    ways = ways_of(plan.migrations, plan.failures)
    for host in hosts.mortal:
        api.close_host(host)
    if HOST_FULL in ways:
        outcome.filled = (fill(api, hosts.full),)
    places = {uuid: host for uuid, host in outcome.boots.places.items() if host != hosts.full}
    tasks = choose(places, hosts, ways, plan.seed)
    reading = meter.read()
    outcome.migrations = Migrator(api, cloud, tell).run(tasks)
    outcome.usage["migrations"] = reading.until(meter.read())
    tell(f"{len(tasks)} migrations have ended after {outcome.migrations.took_s:.1f} s")
    _tell_usage("migrations", outcome.usage["migrations"], tell)


def _put_down(cloud: SimulatedCloud, tell: Tell) -> None:
    """Every service ends, then the last line arrives, and then the collector ends."""
    cloud.put_down()
    url, arrived, still_since_s = cloud.machine.http_url, -1, time.monotonic()
    deadline_s = time.monotonic() + ARRIVE_S
    while time.monotonic() < min(deadline_s, still_since_s + QUIET_S):
        row_id = int(httpx.get(f"{url}/readyz", timeout=30, trust_env=False).raise_for_status().json()["row_id"])
        if row_id != arrived:
            arrived, still_since_s = row_id, time.monotonic()
        time.sleep(QUIET_S / 10)
    cloud.machine.stop_collector(STOP_COLLECTOR_S)
    tell(f"all has ended; {arrived} lines have arrived")


def _judge(cloud: SimulatedCloud, database_url: str | None, outcome: Outcome, tell: Tell) -> None:
    moved = outcome.migrations.moved if outcome.migrations is not None else ()
    with open_database(database_url or f"sqlite:///{cloud.machine.directory / 'nova.sqlite'}") as kept:
        outcome.add("state", list(wrongs(read_state(kept, cloud.hosts_directory))), tell)
        records, faulty = read_records(kept)
    outcome.add("migrations", list(record_wrongs(moved, records, faulty)), tell)
    with stored_lines(cloud.machine.directory / "store") as connection:
        emitted = emitted_lines(cloud.processes, connection)
        stored = stored_lines_by_service(connection)
        builds = stored_events(connection, ("build",))
        moves = without_progress(stored_events(connection, ("migration", "resize"), by="migration"))
        outcome.retries = causes_of_retries(connection)
    outcome.emitted, outcome.stored = emitted.sent.total(), stored.total()
    outcome.dropped = emitted.dropped
    outcome.add("lines", list(differences(emitted.sent, stored)), tell)
    outcome.add("dropped lines", [f"{count}: {reason}" for reason, count in emitted.dropped.items()], tell)
    assert outcome.boots is not None
    expected_builds = {
        uuid: events_of_build(steps_that_failed(builds.get(uuid, Counter())))
        for uuid in (*outcome.boots.uuids, *outcome.filled)
    }
    expected_moves = {str(each.migration_id): each.task.way.events() for each in moved}
    outcome.add("events of boots", list(event_differences(expected_builds, without_progress(builds))), tell)
    outcome.add("events of migrations", list(event_differences(expected_moves, moves)), tell)
    outcome.told = tell_by_way(moved, records, faulty, moves)
    wanted = totals(expected_builds) + totals(expected_moves)
    there = totals(without_progress(builds)) + totals(moves)
    outcome.events = {event: (wanted[event], there[event]) for event in sorted({*wanted, *there})}


def _tell_usage(phase: str, usage: Usage, tell: Tell) -> None:
    parts = ", ".join(f"{name} {cpu_s:.1f}" for name, cpu_s in usage.cpu_s.items() if cpu_s >= 0.1)
    messages = "" if usage.messages is None else f", {usage.messages / usage.seconds:.0f} messages/s"
    tell(f"{phase}: {usage.cores:.2f} cores over {usage.seconds:.1f} s{messages}; CPU s: {parts}")
