"""`cloud log trace`, `timeline`, `migrations` and `hosts`: what lines of several hosts tell of one thing."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from cloud.cli.log_asking import (
    EXIT_CODES,
    FOUND,
    NOT_FOUND,
    asking,
    collector_options,
    exit_code,
    has_colour,
    no_pager_option,
    show,
    time_options,
    times,
    warn,
    warn_of_partial,
    write_csv,
)

output_option = click.option(
    "--output", type=click.Choice(["pretty", "json", "csv"]), default="pretty", show_default=True
)
rows_output_option = click.option(
    "--output", type=click.Choice(["pretty", "table", "json", "raw"]), default="pretty", show_default=True
)


@click.command(epilog=EXIT_CODES)
@click.argument("request_id")
@time_options("7d")
@rows_output_option
@no_pager_option
@collector_options
def trace(
    *,
    request_id: str,
    since: str,
    until: str | None,
    utc: bool,
    output: str,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show what all hosts logged for REQUEST_ID, by the emitters' clocks, and how long each service took."""
    from cloud.logs.query.tabular import aligned

    with asking(url, key_file) as client:
        found = client.ask(f"/trace/{quote(request_id, safe='')}", times(since, until, utc=utc))
    parts = [
        (each["host"], each["service"], each["duration_s"], each["lines"], each["errors"]) for each in found["parts"]
    ]
    head = aligned(("host", "service", "seconds", "lines", "errors"), parts)
    head = [f"request {request_id}: {found['duration_s']:.3f} s by the emitters' clocks", *head, ""]
    _show_story("trace", found, head, output, utc=utc, no_pager=no_pager)


@click.command(epilog=EXIT_CODES)
@click.argument("instance")
@time_options("7d")
@click.option("--all", "every", is_flag=True, help="All of its lines, not only events, warnings and errors.")
@rows_output_option
@no_pager_option
@collector_options
def timeline(
    *,
    instance: str,
    since: str,
    until: str | None,
    utc: bool,
    every: bool,
    output: str,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show what happened to INSTANCE on all hosts: by uuid, i-000015b9, number, instance-000015b9 or name."""
    parameters = {"every": str(every).lower(), **times(since, until, utc=utc)}
    with asking(url, key_file) as client:
        found = client.ask(f"/timeline/{quote(instance, safe='')}", parameters)
    names = ", ".join(f"{name} {value}" for name, value in found["names"].items())
    _show_story("timeline", found, [f"instance {names}", ""], output, utc=utc, no_pager=no_pager)


@click.command(epilog=EXIT_CODES)
@time_options("7d")
@output_option
@no_pager_option
@collector_options
def migrations(
    *,
    since: str,
    until: str | None,
    utc: bool,
    output: str,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show migrations, resizes and evacuations as their lines tell of them, those that failed first."""
    from cloud.logs.query.output import shown_time

    with asking(url, key_file) as client:
        found = client.ask("/migrations", times(since, until, utc=utc))
    names = ("id", "state", "type", "began", "seconds", "source", "dest", "instance", "step", "error")
    is_csv = output == "csv"  # for programs: times as the API has them
    listed = [
        [
            {
                **each,
                "began": each["began"] if is_csv else shown_time(each["began"], utc=utc),
                "seconds": each["duration_s"],
            }[name]
            for name in names
        ]
        for each in found["migrations"]
    ]
    _show_list(names, listed, found["migrations"], output, no_pager=no_pager)
    if found["is_cut"]:
        warn("migrations", "older ones may be missing: narrow the time range")
    sys.exit(FOUND if listed else NOT_FOUND)


@click.command(epilog=EXIT_CODES)
@time_options("24h")
@output_option
@no_pager_option
@collector_options
def hosts(
    *,
    since: str,
    until: str | None,
    utc: bool,
    output: str,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show when each host was last heard of, how far its clock is off, and how many of its lines are missing."""
    from cloud.logs.query.output import shown_time

    with asking(url, key_file) as client:
        found = client.ask("/hosts", times(since, until, utc=utc))
    names = ("host", "last seen", "silent s", "skew s", "lines", "dropped", "missing", "unclosed runs")
    is_csv = output == "csv"  # for programs: times as the API has them
    listed = [
        [
            each["name"],
            each["last_seen"] if is_csv or each["last_seen"] is None else shown_time(each["last_seen"], utc=utc),
            *(each[name] for name in ("silent_s", "skew_s", "lines", "dropped", "missing", "unclosed")),
        ]
        for each in found["hosts"]
    ]
    _show_list(names, listed, found["hosts"], output, no_pager=no_pager)
    if output == "pretty":
        click.echo(f"the collector stores {found['lag_s']:.1f} s behind", err=True)
    warn_of_partial("hosts", found, utc=utc)
    sys.exit(exit_code(found, is_found=bool(listed)))


def _show_story(
    command: str, found: Mapping[str, Any], head: list[str], output: str, *, utc: bool, no_pager: bool
) -> None:
    from cloud.logs.query.output import formatter, printable
    from cloud.logs.query.tabular import LINE_COLUMNS, aligned, line_cells

    rows = found["rows"]
    if output == "table":
        show(aligned(LINE_COLUMNS, [line_cells(row, utc=utc) for row in rows]), no_pager=no_pager)
    else:
        render = formatter(output, terminal=sys.stdout.isatty(), colour=has_colour(), utc=utc)
        shown = [printable(line) for line in head] if output == "pretty" else []
        show([*shown, *map(render, rows)], no_pager=no_pager)
    if found["is_cut"]:
        warn(command, "there are older lines than these: narrow the time range")
    sys.exit(FOUND if rows else NOT_FOUND)


def _show_list(
    names: tuple[str, ...], listed: list[list[Any]], found: list[Mapping[str, Any]], output: str, *, no_pager: bool
) -> None:
    from cloud.logs.query.output import as_json
    from cloud.logs.query.tabular import aligned

    if output == "json":
        show([as_json(each) for each in found], no_pager=no_pager)
    elif output == "csv":
        write_csv(names, listed)
    elif listed:
        show(aligned(names, listed), no_pager=no_pager)
