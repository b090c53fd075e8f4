"""`cloud log sql`: one SELECT on all stored lines, answered by the collector."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud.cli.duration import DURATION
from cloud.cli.log_asking import (
    AWAY,
    EXIT_CODES,
    FOUND,
    NOT_FOUND,
    WRONG,
    QuestionError,
    collector_options,
    warn,
)
from cloud.cli.log_showing import writing

if TYPE_CHECKING:
    from cloud.logs.query.sql.client import SqlAnswer


@click.command(epilog=EXIT_CODES)
@click.argument("statement")
@click.option("--output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--max-rows", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="More are cut off.")
@click.option("--timeout", "deadline_s", type=DURATION, default="10s", show_default=True, help="At most 60s.")
@collector_options
def sql(*, statement: str, output: str, max_rows: int, deadline_s: float, url: str, key_file: Path | None) -> None:
    """Answer STATEMENT, one SELECT on the table `logs`; `-` reads it from stdin.

    Its columns are those of a line: row_id, observed_timestamp, timestamp, hostname, app_name, severity, message,
    request_id, instance, event, fields and the others that SELECT * shows. It takes the role operator.
    """
    from cloud.logs.query.client import ClientError, RefusedError
    from cloud.logs.query.output import printable
    from cloud.logs.query.sql.client import ask

    if not 0 < deadline_s <= 60:
        raise click.BadParameter("more than 0, and 60s at most", param_hint="--timeout")
    if statement == "-":
        statement = sys.stdin.read()
    try:
        answer = ask(url, statement, max_rows=max_rows, deadline_s=deadline_s, key_file=key_file)
    except RefusedError as exc:
        raise QuestionError(printable(str(exc)), WRONG if exc.refusal.status < 500 else AWAY) from exc
    except ClientError as exc:
        raise QuestionError(printable(str(exc)), AWAY) from exc
    with writing():
        _write(answer, output)
    if answer.is_cut:
        warn("sql", f"there are more rows than these {len(answer.rows)}")
    if answer.left_out:
        warn("sql", f"{answer.left_out} stored rows are not among those that were looked at: try again in a minute")
    sys.exit(FOUND if answer.rows else NOT_FOUND)


def _write(answer: "SqlAnswer", output: str) -> None:
    from cloud.logs.query.output import as_json, printable
    from cloud.logs.query.tabular import as_csv

    if output == "json":
        for row in answer.rows:
            click.echo(as_json(dict(zip(_distinct(answer.columns), row, strict=True))))
    elif output == "csv":
        shown = printable if sys.stdout.isatty() else str
        rows = [[value if _is_number(value) else shown(_text(value)) for value in row] for row in answer.rows]
        sys.stdout.write(as_csv((), [[shown(name) for name in answer.columns], *rows], with_head=False))
    else:
        from prettytable import PrettyTable

        table = PrettyTable(_distinct([printable(name) for name in answer.columns]), align="l")
        table.add_rows([[printable(_text(value)) for value in row] for row in answer.rows])
        click.echo(table.get_string())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distinct(names: Sequence[str]) -> list[str]:
    """`names`, where one that was there already has its place behind it: a, a_2."""
    found: list[str] = []
    for name in names:
        new, number = name, 2
        while new in found:
            new, number = f"{name}_{number}", number + 1
        found.append(new)
    return found
