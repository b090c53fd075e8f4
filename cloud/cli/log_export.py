"""`cloud log export`: all lines of a question, into a file or a pipe."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from cloud.cli.log_asking import (
    AWAY,
    EXIT_CODES,
    FOUND,
    NOT_FOUND,
    WRONG,
    Asked,
    QuestionError,
    clock_option,
    question,
    warn,
)
from cloud.cli.log_completing import complete_query, complete_saved
from cloud.cli.log_saved import with_saved
from cloud.cli.log_showing import Progress, writing


@click.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="", shell_complete=complete_query)
@click.option("--saved", metavar="NAME", shell_complete=complete_saved, help="A saved search, as for cloud log search.")
@clock_option
@click.option("--format", "form", type=click.Choice(["ndjson", "csv"]), default="ndjson", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=1_000_000, show_default=True, help="More lines are an error.")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file, which has a name of its own as long as it is not complete; stdout by default.",
)
@question(since="15m", outputs=())
def export(
    *, query: str, saved: str | None, clock: str, form: str, limit: int, target: Path | None, asked: Asked
) -> None:
    """Write all lines that QUERY wants, the oldest first, and their number to stderr.

    What is not complete ends with the exit code 3; a file is left with `.part` behind its name then.
    """
    parameters: dict[str, Any] = {"q": query, "clock": clock, **asked.times()}
    if target is not None and target.exists():
        raise click.BadParameter(f"{target} exists", param_hint="--to")
    if saved is not None:
        parameters, _ = with_saved(saved, parameters, (), asked)
    with asked.client(parameters["q"]) as client:
        lines = client.lines("/export", {**parameters, "format": form, "limit": limit})
        if target is None:
            with writing():
                rows = _write(lines, sys.stdout)
        else:
            part = target.with_name(f"{target.name}.part")
            try:
                with part.open("x", encoding="utf-8", newline="") as file:
                    rows = _write(lines, file)
                name_whole(part, target)
            except FileExistsError as exc:  # what is left of an earlier export, or what somebody has made meanwhile
                raise QuestionError(
                    f"cannot export to {target}: {exc.filename2 or exc.filename} exists", WRONG
                ) from exc
            except OSError as exc:
                raise QuestionError(f"cannot export to {target}: {exc}", AWAY) from exc
    warn("export", f"{rows} lines")
    sys.exit(FOUND if rows else NOT_FOUND)


def name_whole(part: Path, target: Path) -> None:
    """Give a complete file its name; `FileExistsError` where that is taken."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(errno.EEXIST, "it exists", str(target)) from None
        part.rename(target)
    else:
        part.unlink()


def _write(lines: Iterator[str], file: TextIO) -> int:
    """All but the last line, which tells how many there were; `QuestionError` where that is not all."""
    from cloud.logs.query.export_end import read_end

    held: str | None = None
    with Progress("export", "lines", is_shown=not file.isatty()) as progress:
        for line in lines:
            if held is not None:
                file.write(held)
                progress.step()
            held = line
    end = None if held is None else read_end(held)
    if end is None:
        raise QuestionError("the collector's answer was cut off on its way: it is not complete", AWAY)
    if "error" in end:
        raise QuestionError(f"the export is not complete after {end['rows']} lines: {end['error']}", AWAY)
    return int(end["rows"])
