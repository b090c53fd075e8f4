"""`cloud log trace`, `timeline`, `migrations` and `hosts`: what lines of several hosts tell of one thing."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click

from cloud.cli.log_asking import EXIT_CODES, FOUND, NOT_FOUND, Asked, question, warn
from cloud.cli.log_showing import exit_code, show_list, show_rows, warn_of_partial

_MIGRATION = ("id", "state", "type", "began", "duration_s", "source", "dest", "instance", "step", "error")
_MIGRATION_NAMES = ("id", "state", "type", "began", "seconds", "source", "dest", "instance", "step", "error")
_HOST = ("name", "last_seen", "silent_s", "skew_s", "lines", "dropped", "missing", "unclosed")
_HOST_NAMES = ("host", "last seen", "silent s", "skew s", "lines", "dropped", "missing", "unclosed runs")


@click.command(epilog=EXIT_CODES)
@click.argument("request_id")
@question(since="7d")
def trace(*, request_id: str, asked: Asked) -> None:
    """Show what all hosts logged for REQUEST_ID, by the emitters' clocks, and how long each service took."""
    from cloud.logs.query.tabular import aligned

    with asked.client() as client:
        found = client.ask(f"/trace/{quote(request_id, safe='')}", asked.times())
    parts = [
        (each["host"], each["service"], each["duration_s"], each["lines"], each["errors"]) for each in found["parts"]
    ]
    head = aligned(("host", "service", "seconds", "lines", "errors"), parts)
    _show_story(
        "trace", found, [f"request {request_id}: {found['duration_s']:.3f} s by the emitters' clocks", *head], asked
    )


@click.command(epilog=EXIT_CODES)
@click.argument("instance")
@click.option("--all", "every", is_flag=True, help="All of its lines, not only events, warnings and errors.")
@question(since="7d")
def timeline(*, instance: str, every: bool, asked: Asked) -> None:
    """Show what happened to INSTANCE on all hosts: by uuid, i-000015b9, number, instance-000015b9 or name."""
    parameters = {"every": str(every).lower(), **asked.times()}
    with asked.client() as client:
        found = client.ask(f"/timeline/{quote(instance, safe='')}", parameters)
    names = ", ".join(f"{name} {value}" for name, value in found["names"].items())
    _show_story("timeline", found, [f"instance {names}"], asked)


@click.command(epilog=EXIT_CODES)
@question(since="7d")
def migrations(*, asked: Asked) -> None:
    """Show migrations, resizes and evacuations as their lines tell of them, those that failed first."""
    with asked.client() as client:
        found = client.ask("/migrations", asked.times())
    listed = _cells(found["migrations"], _MIGRATION, asked, "began")
    show_list(_MIGRATION_NAMES, listed, found["migrations"], asked)
    if found["is_cut"]:
        warn("migrations", "older ones may be missing: narrow the time range")
    sys.exit(FOUND if listed else NOT_FOUND)


@click.command(epilog=EXIT_CODES)
@question(since="24h")
def hosts(*, asked: Asked) -> None:
    """Show when each host was last heard of, how far its clock is off, and how many of its lines are missing."""
    with asked.client() as client:
        found = client.ask("/hosts", asked.times())
    listed = _cells(found["hosts"], _HOST, asked, "last_seen")
    show_list(_HOST_NAMES, listed, found["hosts"], asked)
    if asked.output in ("pretty", "table"):
        warn("hosts", f"the collector stores {found['lag_s']:.1f} s behind")
    warn_of_partial("hosts", found, utc=asked.utc)
    sys.exit(exit_code(found, is_found=bool(listed)))


def _cells(found: Sequence[Mapping[str, Any]], keys: Sequence[str], asked: Asked, moment: str) -> list[list[Any]]:
    """What stands under `keys`; the one at `moment` is a time, which programs get as the API has it."""
    from cloud.logs.query.output import shown_time

    def cell(each: Mapping[str, Any], key: str) -> Any:
        value = each[key]
        is_for_people = key == moment and value is not None and asked.output in ("pretty", "table")
        return shown_time(value, utc=asked.utc) if is_for_people else value

    return [[cell(each, key) for key in keys] for each in found]


def _show_story(command: str, found: Mapping[str, Any], head: Sequence[str], asked: Asked) -> None:
    show_rows(found["rows"], asked, head=[*head, ""])
    if found["is_cut"]:
        warn(command, "there are older lines than these: narrow the time range")
    sys.exit(FOUND if found["rows"] else NOT_FOUND)
