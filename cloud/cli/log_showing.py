"""How `cloud log` shows what was found: to people a page at a time, to programs in their formats."""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import click

from cloud.cli.log_asking import AWAY, FOUND, NOT_FOUND, Asked, warn

PROGRESS_S = 0.2
PROGRESS_STEPS = 100
"""So often the clock is looked at."""


def show_rows(
    rows: Sequence[Mapping[str, Any]], asked: Asked, *, head: Sequence[str] = (), columns: Sequence[str] = ()
) -> None:
    """Lines in the wanted output: `head` stands above them for people, and tables have the `columns` that are named."""
    from cloud.logs.query.output import formatter, printable
    from cloud.logs.query.tabular import LINE_COLUMNS, aligned, line_cells, named_cells

    if asked.output == "table":
        cells = [
            named_cells(row, columns, utc=asked.utc) if columns else line_cells(row, utc=asked.utc) for row in rows
        ]
        show(aligned(columns or LINE_COLUMNS, cells) if rows else [], no_pager=asked.no_pager)
    elif asked.output == "csv":
        from cloud.logs.query.rows import COLUMN_NAMES, cells_of

        if columns:
            write_csv(columns, [named_cells(row, columns) for row in rows])
        else:
            write_csv(COLUMN_NAMES, [cells_of(row) for row in rows])
    else:
        render = formatter(asked.output, terminal=sys.stdout.isatty(), colour=has_colour(), utc=asked.utc)
        shown = [printable(line) for line in head] if asked.output == "pretty" else []
        show([*shown, *map(render, rows)], no_pager=asked.no_pager)


def show_list(
    names: Sequence[str], cells: Sequence[Sequence[Any]], found: Sequence[Mapping[str, Any]], asked: Asked
) -> None:
    """A list of what are no lines: `cells` under `names`, or `found` as JSON, one a line."""
    from cloud.logs.query.output import as_json, printable
    from cloud.logs.query.tabular import aligned

    if asked.output == "json":
        show([as_json(each) for each in found], no_pager=asked.no_pager)
    elif asked.output == "csv":
        write_csv(names, cells)
    elif asked.output == "raw":
        texts = (
            ("" if cell is None else str(cell).replace("\t", " ").replace("\n", " ") for cell in row) for row in cells
        )
        show([printable("\t".join(row)) for row in texts], no_pager=asked.no_pager)
    elif cells:
        show(aligned(names, cells), no_pager=asked.no_pager)


def has_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def show(lines: Iterable[str], *, no_pager: bool) -> None:
    """To stdout; by a pager where that is a terminal with less room."""
    if no_pager or not sys.stdout.isatty():
        with writing():
            for line in lines:
                sys.stdout.write(f"{line}\n")
        return
    text = "\n".join(lines)
    if text.count("\n") + 1 < shutil.get_terminal_size().lines:
        click.echo(text, color=has_colour())
        return
    os.environ.setdefault("LESS", "RX")
    click.echo_via_pager(text, color=has_colour())


def write_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """CSV to stdout, as it is; a terminal gets no control codes."""
    from cloud.logs.query.output import printable
    from cloud.logs.query.tabular import as_csv

    text = as_csv(columns, rows)
    with writing():
        sys.stdout.write(printable(text.replace("\r\n", "\n")) if sys.stdout.isatty() else text)


@contextmanager
def writing() -> Iterator[None]:
    """End as if all were well when the reader of stdout has enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush once more at exit, into the same closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FOUND)


class Progress:
    """How many there were so far: on stderr where that is a terminal, and gone at the end."""

    def __init__(self, command: str, what: str, *, is_shown: bool = True) -> None:
        self._text = f"cloud log {command}: {{}} {what}"
        self._is_shown = is_shown and sys.stderr.isatty()
        self._number = 0
        self._due_s = time.monotonic() + PROGRESS_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def step(self) -> None:
        self._number += 1
        if self._is_shown and self._number % PROGRESS_STEPS == 0 and time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + PROGRESS_S
            self._show(self._text.format(f"{self._number:,}"))

    def _show(self, text: str) -> None:
        if self._is_shown:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def exit_code(found: Mapping[str, Any], *, is_found: bool) -> int:
    """Nothing found is only then an answer when the collector's time sufficed to look for all of it."""
    if is_found:
        return FOUND
    return AWAY if found.get("is_partial") else NOT_FOUND


def hint(command: str, message: str) -> None:
    """What somebody at a terminal may want to know, and a script does not."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        warn(command, message)


def warn_of_partial(command: str, found: Mapping[str, Any], *, utc: bool) -> None:
    """Say how far it was read where the collector's time was up before all of it."""
    from cloud.logs.query.output import shown_time

    if found.get("is_partial"):
        reached = found.get("reached")
        back = "" if reached is None else f" since {shown_time(reached, utc=utc)}"
        warn(command, f"the time was up: this is of the lines{back or ' of a part'} only; narrow the query or the time")
