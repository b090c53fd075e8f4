"""`cloud log search` and `facets`: what lines there are, and what tells them apart."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from cloud.cli.log_asking import EXIT_CODES, Asked, clock_option, question, warn
from cloud.cli.log_completing import complete_query, complete_saved
from cloud.cli.log_saved import columns_option, with_saved
from cloud.cli.log_showing import exit_code, hint, show, show_list, show_rows, warn_of_partial

MAX_ROWS = 10_000


@click.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="", shell_complete=complete_query)
@click.option(
    "--saved",
    metavar="NAME",
    shell_complete=complete_saved,
    help="A saved search: its query, and its time and columns where the command line has none. QUERY narrows it.",
)
@clock_option
@click.option("-n", "number", type=click.IntRange(1, MAX_ROWS), default=100, show_default=True, help="Lines at most.")
@columns_option
@click.option(
    "--deadline", "deadline_s", type=click.FloatRange(0.1, 60), default=30, show_default=True, help="Seconds."
)
@question(since="15m")
def search(
    *, query: str, saved: str | None, clock: str, number: int, columns: tuple[str, ...], deadline_s: float, asked: Asked
) -> None:
    """Show the newest lines that QUERY wants, the oldest of them first, or the counts that it asks for.

    \b
    cloud log search 'host:compute-01 severity:>=err "live migration" -service:nova-api'
    cloud log search 'message:/timed out after \\d+/ | count by host, service' --since 7d
    cloud log search 'severity:>=warning | count by 5m' --since 2h
    """
    parameters: dict[str, Any] = {"q": query, "clock": clock, **asked.times()}
    if saved is not None:
        parameters, columns = with_saved(saved, parameters, columns, asked)
    parameters |= {"limit": number, "deadline_s": deadline_s}
    with asked.client(parameters["q"]) as client:
        found = client.ask("/search", parameters)
        rows = found.get("rows") or []
        # A page of very long lines has fewer than were asked for.
        while found.get("next") and not found["is_partial"] and len(rows) < number:
            found = client.ask("/search", {**parameters, "cursor": found["next"], "limit": number - len(rows)})
            rows += found["rows"]
    if "table" in found:
        _show_table(found, asked)
        is_found = found["counted"] > 0
    else:
        show_rows(rows[::-1], asked, columns=columns)
        is_found = bool(rows)
        if found["next"] and len(rows) == number:
            hint("search", f"there may be older lines than these {number}: -n shows more, cloud log export all")
    warn_of_partial("search", found, utc=asked.utc)
    if not is_found and not found["is_partial"]:
        hint("search", "there is nothing in this time range: --since 7d looks further back")
    sys.exit(exit_code(found, is_found=is_found))


@click.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="", shell_complete=complete_query)
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Values of each name.")
@question(since="1h")
def facets(*, query: str, top: int, asked: Asked) -> None:
    """Show the most frequent hosts, services, facilities, severities and events of the lines that QUERY wants."""
    from cloud.logs.query.output import as_json

    with asked.client(query) as client:
        found = client.ask("/facets", {"q": query, "top": top, **asked.times()})
    values = [(name, each["value"], each["count"]) for name, of_name in found["facets"].items() for each in of_name]
    if asked.output == "json":
        show([as_json(found)], no_pager=asked.no_pager)
    else:
        show_list(("name", "value", "count"), values, (), asked)
    if others := {name: rows for name, rows in found.get("others", {}).items() if rows}:
        said = ", ".join(f"{rows} of {name}" for name, rows in others.items())
        warn("facets", f"more lines have rarer values, and counts of rare ones may be too small: {said}")
    warn_of_partial("facets", found, utc=asked.utc)
    sys.exit(exit_code(found, is_found=bool(values)))


def _show_table(found: Mapping[str, Any], asked: Asked) -> None:
    from cloud.logs.query.output import shown_time

    columns, rows = found["table"]["columns"], found["table"]["rows"]
    if asked.output in ("pretty", "table") and columns[0] == "time":
        rows = [[shown_time(row[0], utc=asked.utc), *row[1:]] for row in rows]
    show_list(columns, rows, [dict(zip(columns, row, strict=True)) for row in rows], asked)
    if found["others"]:
        warn("search", f"{found['others']} more lines have rarer values, and counts of rare ones may be too small")
