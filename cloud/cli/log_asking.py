"""What `cloud log`'s questions have in common: the collector's address, times, exit codes, and how errors are said."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloud.logs.query.client import CollectorClient

DEFAULT_URL = "http://127.0.0.1:8080"
FOUND, NOT_FOUND, WRONG, AWAY = 0, 1, 2, 3
EXIT_CODES = (
    "\b\nExit codes: 0 something was found, 1 nothing was, 2 the command line or the query is wrong or refused,\n"
    "3 the collector cannot be reached or cannot answer now, or its time was up before anything was found."
)
MAX_SHOWN_CHARS = 100
TOO_MANY_REQUESTS = 429

Command = TypeVar("Command", bound=Callable[..., Any])


class QuestionError(click.ClickException):
    """Ends the command with one of the exit codes."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance as well


def default_url() -> str:
    """What `~/.config/cloud/log-url` says, where there is one."""
    from cloud.logs.query.access.client_key import configured

    try:
        return configured("log-url").read_text(encoding="utf-8").strip() or DEFAULT_URL
    except (OSError, UnicodeDecodeError):
        return DEFAULT_URL


def collector_options(command: Command) -> Command:
    """`--url` and `--key-file`."""
    url = click.option(
        "--url",
        envvar="CLOUD_LOG_URL",
        default=default_url,
        show_default=f"~/.config/cloud/log-url, else {DEFAULT_URL}",
        help="The collector's HTTP.",
    )
    key = click.option(
        "--key-file",
        envvar="CLOUD_LOG_KEY_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The key to show there; by default CLOUD_LOG_KEY, else ~/.config/cloud/log-key.",
    )
    return url(key(command))


def time_options(since: str) -> Callable[[Command], Command]:
    """`--since`, `--until` and `--utc`."""

    def decorate(command: Command) -> Command:
        options = (
            click.option(
                "--since",
                default=since,
                show_default=True,
                metavar="TIME",
                help="From then on: 15m, 2h30m, 7d, 14:05, 2027-01-31, or 2027-01-31T14:05:00+01:00.",
            ),
            click.option("--until", metavar="TIME", help="Before then; now by default."),
            click.option("--utc", is_flag=True, help="Read and show times in UTC rather than in this machine's zone."),
        )
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def no_pager_option(command: Command) -> Command:
    return click.option("--no-pager", is_flag=True, help="Do not page what is longer than the terminal.")(command)


def times(since: str, until: str | None, *, utc: bool) -> dict[str, str]:
    """The parameters of a range: spans as they are, since the collector's clock has stamped the lines."""
    from cloud.logs.query.time_range import TimeError, is_relative, read_time, rfc3339

    found = {}
    for name, text in (("since", since), ("until", until)):
        if text is None:
            continue
        try:
            moment = read_time(text, datetime.now(UTC), is_local=not utc)
        except TimeError as exc:
            raise click.BadParameter(str(exc), param_hint=f"--{name}") from exc
        found[name] = text.strip() if is_relative(text) else rfc3339(moment)
    return found


@contextmanager
def asking(url: str, key_file: Path | None, query: str = "") -> Iterator["CollectorClient"]:
    """A client; its errors become messages and exit codes, those of `query` with a caret under the column."""
    from cloud.logs.query.client import ClientError, CollectorClient, RefusedError

    try:
        client = CollectorClient(url, key_file)
    except ClientError as exc:  # nobody was asked yet
        raise QuestionError(str(exc), WRONG) from exc
    try:
        with client:
            yield client
    except RefusedError as exc:
        message = str(exc)
        if exc.refusal.column is not None:
            message += pointed(query, exc.refusal.column)
            if not all(word in message for word in exc.refusal.expected):
                message += f"\n  expected: {', '.join(exc.refusal.expected)}"
        if exc.refusal.code == "not_found":
            raise QuestionError(message, NOT_FOUND) from exc
        is_for_now = exc.refusal.status >= 500 or exc.refusal.status == TOO_MANY_REQUESTS
        raise QuestionError(message, AWAY if is_for_now else WRONG) from exc
    except ClientError as exc:
        raise QuestionError(str(exc), AWAY) from exc


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


def pointed(query: str, column: int) -> str:
    """Two more lines: the query around `column`, from 1, and a caret under it."""
    text = "".join(each if each.isprintable() else " " for each in query)
    first = max(0, min(column - 1 - MAX_SHOWN_CHARS // 2, len(text) - MAX_SHOWN_CHARS))
    place = min(max(column - 1, 0), len(text)) - first
    return f"\n  {text[first : first + MAX_SHOWN_CHARS]}\n  {' ' * place}^"


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


def exit_code(found: Mapping[str, Any], *, is_found: bool) -> int:
    """Nothing found is only then an answer when the collector's time sufficed to look for all of it."""
    if is_found:
        return FOUND
    return AWAY if found.get("is_partial") else NOT_FOUND


def warn(command: str, message: str) -> None:
    """On stderr, so that stdout has nothing but what was asked for."""
    click.echo(f"cloud log {command}: {message}", err=True)


def warn_of_partial(command: str, found: Mapping[str, Any], *, utc: bool) -> None:
    """Say how far it was read where the collector's time was up before all of it."""
    from cloud.logs.query.output import shown_time

    if found.get("is_partial"):
        reached = found.get("reached")
        back = "" if reached is None else f" since {shown_time(reached, utc=utc)}"
        warn(command, f"the time was up: this is of the lines{back or ' of a part'} only; narrow the query or the time")
