"""`cloud log canary`: how long a line takes from a host's services to the operator, and whether it comes at all."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud.cli.bus import printable
from cloud.cli.duration import DURATION
from cloud.cli.log_asking import url_option
from cloud.logs.emit.levels import AUDIT
from cloud.logs.facilities import LOCAL_FACILITIES

if TYPE_CHECKING:
    from cloud.logs.canary.emitter import Emitter
    from cloud.logs.canary.host import HostOutlets
    from cloud.logs.canary.ledger import Line, Share
    from cloud.logs.canary.rounds import Outcome, Plan

DEFAULT_DIRECTORY = "/etc/nova"
ALL = "all"
MIN_EVERY_S = 1.0
MAX_WAIT_S = 86_400.0
LEVELS = {"debug": 10, "info": 20, "notice": AUDIT, "warning": 30, "err": 40, "crit": 50}
"""A level of Python's logging for each severity that a service can have."""


@click.command()
@click.option(
    "--facility",
    "facilities",
    multiple=True,
    type=click.Choice([*LOCAL_FACILITIES, ALL], case_sensitive=False),
    help="May repeat; by default those that the host's services log to.",
)
@click.option("--every", "every_s", type=DURATION, help="Begin a round this often, and go on: 60s, 5m.")
@click.option("--count", type=click.IntRange(1), help="This many rounds; 1 by default, without end with --every.")
@click.option("--timeout", "timeout_s", type=DURATION, default="10s", show_default=True, help="Later is late.")
@click.option("--severity", type=click.Choice(list(LEVELS)), default="info", show_default=True)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="Where the logging.conf files of the host's services are.",
)
@click.option("--host", help="The host's name, rather than that in these files.")
@click.option("--address", help="unix:/PATH or tcp://HOST:PORT, rather than that in these files.")
@url_option
def canary(
    *,
    facilities: tuple[str, ...],
    every_s: float | None,
    count: int | None,
    timeout_s: float,
    severity: str,
    output: str,
    directory: Path,
    host: str | None,
    address: str | None,
    url: str,
) -> None:
    """Send a line on each facility as this host's services do, and time it until a query finds it.

    The host's name and addresses are those of its services' logging.conf files; with both --host and --address no
    file is read. The lines bear event=canary and APP-NAME canary: `cloud log tail --without-event canary` leaves them
    out, and --service canary shows only them. A line that is not there after --timeout is missing; should it come in
    a later round, it is late. At the end a summary for each facility, and the gaps in this host's lines that the
    collector names: those older than half a minute, since younger ones may be on their way. Ctrl-C ends it.

    Exits with 0 when all lines have come, and with 1 when one is missing at the end or nothing could be sent.
    """
    from cloud.logs.canary.emitter import Emitter
    from cloud.logs.canary.host import CanaryError
    from cloud.logs.canary.rounds import Plan, new_run
    from cloud.logs.query.client import ClientError

    if every_s is not None and not MIN_EVERY_S <= every_s <= MAX_WAIT_S:
        raise click.BadParameter("1s at least, and 24h at most", param_hint="--every")
    if not 0 < timeout_s <= MAX_WAIT_S:
        raise click.BadParameter("more than 0, and 24h at most", param_hint="--timeout")
    run = new_run()
    try:
        outlets = _outlets(facilities, directory, host, address)
        plan = Plan(
            outlets.name,
            [outlet.facility for outlet in outlets.outlets],
            timeout_s,
            every_s or 0.0,
            count or (None if every_s is not None else 1),
        )
        emitter = Emitter(outlets, run, LEVELS[severity])
        try:
            emitter.check()
            shown = Shown(outlets, run, is_json=output == "json")
            outcome = asyncio.run(_run(plan, emitter, run, shown.line, url))
            shown.outcome(outcome)
        finally:
            emitter.close()
    except (CanaryError, ClientError) as exc:
        raise click.ClickException(printable(exc)) from exc
    except BrokenPipeError:  # the reader has enough; Python would flush once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0 if outcome.is_complete else 1)


def _outlets(facilities: tuple[str, ...], directory: Path, host: str | None, address: str | None) -> "HostOutlets":
    from cloud.logs.canary.host import given_outlets, read_outlets

    if host is not None and address is not None:
        found = given_outlets(host, address)
    else:
        found = read_outlets(directory, host, address)
    if ALL in facilities:
        return found.only(LOCAL_FACILITIES)
    return found.only(facilities) if facilities else found


async def _run(plan: "Plan", emitter: "Emitter", run: str, tell: "Callable[[Line], None]", url: str) -> "Outcome":
    from cloud.logs.canary.client import CanaryClient
    from cloud.logs.canary.rounds import Canary

    def warn(text: str) -> None:
        click.echo(f"cloud log canary: {printable(text)}", err=True)

    canary = Canary(plan, emitter, run=run, tell=tell, warn=warn)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, canary.stop)
    async with CanaryClient(url) as collector:
        return await canary.run(collector)


class Shown:
    """Lines and the outcome on stdout: for people, or as one JSON object a line."""

    def __init__(self, host: "HostOutlets", run: str, *, is_json: bool) -> None:
        self._host = host
        self._services = {outlet.facility: list(outlet.services) for outlet in host.outlets}
        self._width = max(len(self._names(facility)) for facility in self._services)
        self._run = run
        self._is_json = is_json

    def line(self, line: "Line") -> None:
        if self._is_json:
            text = json.dumps(
                {
                    "round": line.round_,
                    "number": line.number,
                    "facility": line.facility,
                    "services": self._services[line.facility],
                    "state": line.state,
                    "latency_ms": _ms(line.latency_s),
                    "is_sent": line.is_sent,
                }
            )
        else:
            from cloud.logs.canary.ledger import State

            latency = "-" if line.latency_s is None else f"{_ms(line.latency_s):.1f} ms"
            state = "" if line.state is State.ARRIVED else f"  {line.state}"
            state += "" if line.is_sent else ": not sent, it waits here"
            where = f"{line.facility}  {self._names(line.facility):{self._width}}"
            text = f"round {line.round_:<5} {where} {latency:>14}{state}"
        click.echo(text)  # which flushes

    def outcome(self, outcome: "Outcome") -> None:
        click.echo(json.dumps(self._as_dict(outcome)) if self._is_json else self._as_text(outcome))

    def _as_dict(self, outcome: "Outcome") -> dict[str, Any]:
        return {
            "host": self._host.name,
            "run": self._run,
            "summary": [
                {
                    "facility": share.facility,
                    "services": self._services[share.facility],
                    "sent": share.sent,
                    "arrived": share.arrived,
                    "missing": share.missing,
                    "late": share.late,
                    "doubled": share.doubled,
                    "p50_ms": _ms(share.p50_s),
                    "p99_ms": _ms(share.p99_s),
                    "max_ms": _ms(share.max_s),
                }
                for share in outcome.shares
            ],
            "runs": None
            if outcome.runs is None
            else [
                {
                    "start": each.start,
                    "state": each.state,
                    "last": each.last,
                    "missing": each.missing,
                    "gaps": [{"first": first, "last": last} for first, last in each.gaps],
                }
                for each in outcome.runs
            ],
        }

    def _as_text(self, outcome: "Outcome") -> str:
        from prettytable import PrettyTable

        table = PrettyTable(
            ["Facility", "Services", "Sent", "Arrived", "p50 ms", "p99 ms", "Max ms", "Missing", "Late", "Doubled"],
            align="r",
        )
        table.align["Facility"] = table.align["Services"] = "l"
        for share in outcome.shares:
            table.add_row([share.facility, self._names(share.facility), *_counts(share)])
        return "\n".join([table.get_string(), *_gap_lines(self._host.name, outcome)])

    def _names(self, facility: str) -> str:
        return printable(", ".join(self._services[facility]) or "-")


def _counts(share: "Share") -> list[str]:
    times = ("-" if each is None else f"{_ms(each):.1f}" for each in (share.p50_s, share.p99_s, share.max_s))
    return [
        *map(str, (share.sent, share.arrived)),
        *times,
        *map(str, (share.missing, share.late, share.doubled)),
    ]


def _gap_lines(host: str, outcome: "Outcome") -> list[str]:
    host = printable(host)
    if outcome.runs is None:
        return [f"gaps of {host}: unknown, the collector does not say"]
    if not outcome.runs:
        return [f"gaps of {host}: unknown, its lines have no numbers"]
    told = []
    for run in outcome.runs:
        if run.missing:
            gaps = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in run.gaps)
            told.append(f"gaps of {host}, run {printable(run.start)} ({run.state}): {run.missing} missing: {gaps}")
        elif run.state == "unclosed":
            told.append(f"gaps of {host}, run {printable(run.start)}: its end is not confirmed (cloud log backfill)")
    return told or [f"gaps of {host}: none"]


def _ms(latency_s: float | None) -> Any:
    return None if latency_s is None else round(1000 * latency_s, 1)
