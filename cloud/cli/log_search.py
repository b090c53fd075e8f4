"""`cloud log search` and `facets`: what lines there are, and what tells them apart."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cloud.cli.log_asking import (
    EXIT_CODES,
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

MAX_ROWS = 10_000
OUTPUTS = ("pretty", "table", "json", "csv", "raw")


@click.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="")
@time_options("15m")
@click.option(
    "--clock",
    type=click.Choice(["observed", "emitted"]),
    default="observed",
    show_default=True,
    help="Whose time the range is of: the collector's at arrival, or the emitter's.",
)
@click.option("-n", "number", type=click.IntRange(1, MAX_ROWS), default=100, show_default=True, help="Lines at most.")
@click.option("--output", type=click.Choice(OUTPUTS), default="pretty", show_default=True)
@click.option(
    "--deadline", "deadline_s", type=click.FloatRange(0.1, 60), default=30, show_default=True, help="Seconds."
)
@no_pager_option
@collector_options
def search(
    *,
    query: str,
    since: str,
    until: str | None,
    utc: bool,
    clock: str,
    number: int,
    output: str,
    deadline_s: float,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show the newest lines that QUERY wants, the oldest of them first, or the counts that it asks for.

    \b
    cloud log search 'host:compute-01 severity:>=err "live migration" -service:nova-api'
    cloud log search 'message:/timed out after \\d+/ | count by host, service' --since 7d
    cloud log search 'severity:>=warning | count by 5m' --since 2h
    """
    parameters: dict[str, Any] = {"q": query, "clock": clock, "limit": number, "deadline_s": deadline_s}
    parameters |= times(since, until, utc=utc)
    with asking(url, key_file, query) as client:
        found = client.ask("/search", parameters)
        rows = found.get("rows") or []
        # A page of very long lines has fewer than were asked for.
        while found.get("next") and not found["is_partial"] and len(rows) < number:
            found = client.ask("/search", {**parameters, "cursor": found["next"], "limit": number - len(rows)})
            rows += found["rows"]
    if "table" in found:
        _show_table(found, output, utc=utc, no_pager=no_pager)
        is_found = found["counted"] > 0
    else:
        _show_rows(rows[::-1], output, utc=utc, no_pager=no_pager)
        is_found = bool(rows)
    warn_of_partial("search", found, utc=utc)
    sys.exit(exit_code(found, is_found=is_found))


@click.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="")
@time_options("1h")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Values of each name.")
@click.option("--output", type=click.Choice(["pretty", "json", "csv"]), default="pretty", show_default=True)
@no_pager_option
@collector_options
def facets(
    *,
    query: str,
    since: str,
    until: str | None,
    utc: bool,
    top: int,
    output: str,
    no_pager: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show the most frequent hosts, services, facilities, severities and events of the lines that QUERY wants."""
    from cloud.logs.query.output import as_json
    from cloud.logs.query.tabular import aligned

    with asking(url, key_file, query) as client:
        found = client.ask("/facets", {"q": query, "top": top, **times(since, until, utc=utc)})
    values = [(name, each["value"], each["count"]) for name, of_name in found["facets"].items() for each in of_name]
    if output == "json":
        show([as_json(found)], no_pager=no_pager)
    elif output == "csv":
        write_csv(("name", "value", "count"), values)
    else:
        show(aligned(("name", "value", "count"), values), no_pager=no_pager)
    if others := {name: rows for name, rows in found.get("others", {}).items() if rows}:
        said = ", ".join(f"{rows} of {name}" for name, rows in others.items())
        warn("facets", f"more lines have rarer values, and counts of rare ones may be too small: {said}")
    warn_of_partial("facets", found, utc=utc)
    sys.exit(exit_code(found, is_found=bool(values)))


def _show_rows(rows: list[dict[str, Any]], output: str, *, utc: bool, no_pager: bool) -> None:
    from cloud.logs.query.output import formatter
    from cloud.logs.query.tabular import LINE_COLUMNS, aligned, line_cells

    if output == "table":
        lines = aligned(LINE_COLUMNS, [line_cells(row, utc=utc) for row in rows]) if rows else []
        show(lines, no_pager=no_pager)
    elif output == "csv":
        from cloud.logs.query.rows import COLUMN_NAMES, cells_of

        write_csv(COLUMN_NAMES, [cells_of(row) for row in rows])
    else:
        render = formatter(output, terminal=sys.stdout.isatty(), colour=has_colour(), utc=utc)
        show(map(render, rows), no_pager=no_pager)


def _show_table(found: Mapping[str, Any], output: str, *, utc: bool, no_pager: bool) -> None:
    from cloud.logs.query.output import as_json, printable, shown_time
    from cloud.logs.query.tabular import aligned

    columns, rows = found["table"]["columns"], found["table"]["rows"]
    if output == "json":  # one object a line, as rows are
        show([as_json(dict(zip(columns, row, strict=True))) for row in rows], no_pager=no_pager)
    elif output == "csv":
        write_csv(columns, rows)
    elif output == "raw":
        show(
            [printable("\t".join("" if value is None else str(value) for value in row)) for row in rows],
            no_pager=no_pager,
        )
    else:
        if columns[0] == "time":
            rows = [[shown_time(row[0], utc=utc), *row[1:]] for row in rows]
        show(aligned(columns, rows), no_pager=no_pager)
    if found["others"]:
        warn("search", f"{found['others']} more lines have rarer values, and counts of rare ones may be too small")
