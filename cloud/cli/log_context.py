"""`cloud log context`: the lines around one."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cloud.cli.log_asking import AWAY, EXIT_CODES, FOUND, NOT_FOUND, Asked, QuestionError, question, warn
from cloud.cli.log_saved import columns_option
from cloud.cli.log_showing import has_colour, show, show_rows, warn_of_partial

if TYPE_CHECKING:
    from cloud.logs.query.client import CollectorClient

MAX_LINES = 1000
DEFAULT_LINES = 10
MAX_RUNS = 10
EVER = "1970-01-01"
LINES = click.IntRange(0, MAX_LINES)


@click.command(epilog=EXIT_CODES)
@click.argument("line", metavar="ROW_ID|HOST:SEQUENCE")
@click.option("-C", "around", type=LINES, default=DEFAULT_LINES, show_default=True, help="Lines before and after it.")
@click.option("-B", "before", type=LINES, help="Lines before it, rather than those of -C.")
@click.option("-A", "after", type=LINES, help="Lines after it, rather than those of -C.")
@click.option(
    "--same",
    type=click.Choice(["host", "service", "all"]),
    default="host",
    show_default=True,
    help="Lines of its host, of its service on its host, or all that arrived then.",
)
@columns_option
@question()
def context(
    *, line: str, around: int, before: int | None, after: int | None, same: str, columns: tuple[str, ...], asked: Asked
) -> None:
    """Show the lines around one, in the order in which they arrived.

    ROW_ID is what searches give with --output json, or with --output table --columns row_id,time,message. HOST:SEQUENCE
    is the number that a host's rsyslog gives each line; it counts anew after a restart, and the newest is taken.
    """
    from cloud.logs.query.output import formatter

    with asked.client() as client:
        row_id = int(line) if line.isascii() and line.isdigit() else _row_id(client, line)
        found = client.ask(
            f"/context/{row_id}",
            {
                "around": same,
                "before": around if before is None else before,
                "after": around if after is None else after,
            },
        )
    if asked.output == "pretty":
        render = formatter("pretty", terminal=sys.stdout.isatty(), colour=has_colour(), utc=asked.utc)
        others = [[_marked("  ", render(row)) for row in found[side]] for side in ("before", "after")]
        show([*others[0], _marked("> ", render(found["row"])), *others[1]], no_pager=asked.no_pager)
    else:
        show_rows([*found["before"], found["row"], *found["after"]], asked, columns=columns)
    warn_of_partial("context", found, utc=asked.utc)
    sys.exit(FOUND)


def _row_id(client: "CollectorClient", line: str) -> int:
    """Of the newest line that HOST:SEQUENCE names."""
    from cloud.logs.query.language.query import And, Name, Number, Query, Term, Text
    from cloud.logs.query.language.writing import text_of

    host, _, sequence = line.rpartition(":")
    if not (host and sequence.isascii() and sequence.isdigit()):
        raise click.BadParameter(f"{line!r} is no ROW_ID and no HOST:SEQUENCE", param_hint="ROW_ID|HOST:SEQUENCE")
    query = text_of(Query(And((Term(Name("host"), Text(host)), Term(Name("sequence"), Number(sequence))))))
    found = client.ask("/search", {"q": query, "since": EVER, "limit": MAX_RUNS})
    rows: list[Mapping[str, Any]] = found["rows"]
    if not rows:
        warn_of_partial("context", found, utc=True)
        raise QuestionError(f"there is no line {sequence} of {host}", AWAY if found["is_partial"] else NOT_FOUND)
    if len(rows) > 1:
        others = ", ".join(str(row["row_id"]) for row in rows[1:])
        warn("context", f"{host} has counted anew: there are other lines {sequence}, the rows {others}")
    return int(rows[0]["row_id"])


def _marked(mark: str, text: str) -> str:
    return mark + text.replace("\n", "\n  ")
