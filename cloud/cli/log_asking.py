"""What `cloud log`'s questions have in common: the options, exit codes, and how errors are said."""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from cloud.logs.query.client import CollectorClient

DEFAULT_URL = "http://127.0.0.1:8080"
FOUND, NOT_FOUND, WRONG, AWAY, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = (
    "\b\nExit codes: 0 something was found, 1 nothing was, 2 the command line or the query is wrong or refused,\n"
    "3 the collector cannot be reached or cannot answer now, or its time was up before anything was found,\n"
    "130 it was interrupted."
)
OUTPUTS = ("pretty", "table", "json", "csv", "raw")
MAX_SHOWN_CHARS = 100
MAX_URL_CHARS = 4096
TOO_MANY_REQUESTS = 429

Command = TypeVar("Command", bound=Callable[..., Any])


class QuestionError(click.ClickException):
    """Ends the command with one of the exit codes."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance as well


def default_url() -> str:
    """What `~/.config/cloud/log-url` says, where there is one; `QuestionError` where others may change that."""
    from cloud.logs.query.access.client_key import configured

    path = configured("log-url")
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            text = file.read(MAX_URL_CHARS).strip()
    except (OSError, UnicodeDecodeError):
        return DEFAULT_URL
    if status.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(status.st_mode) & 0o022:
        raise QuestionError(f"cannot use {path}: others may change where keys are sent; chmod 600 {path}", WRONG)
    return text or DEFAULT_URL


url_option = click.option(
    "--url",
    envvar="CLOUD_LOG_URL",
    default=default_url,
    show_default=f"~/.config/cloud/log-url, else {DEFAULT_URL}",
    help="The collector's HTTP.",
)
key_file_option = click.option(
    "--key-file",
    envvar="CLOUD_LOG_KEY_FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The key to show there; by default CLOUD_LOG_KEY, else ~/.config/cloud/log-key.",
)
until_option = click.option("--until", metavar="TIME", help="Before then; now by default.")
utc_option = click.option("--utc", is_flag=True, help="Read and show times in UTC rather than in this machine's zone.")
no_pager_option = click.option("--no-pager", is_flag=True, help="Do not page what is longer than the terminal.")
clock_option = click.option(
    "--clock",
    type=click.Choice(["observed", "emitted"]),
    default="observed",
    show_default=True,
    help="Whose time the range is of: the collector's at arrival, or the emitter's.",
)


def since_option(since: str) -> Callable[[Command], Command]:
    return click.option(
        "--since",
        default=since,
        show_default=True,
        metavar="TIME",
        help="From then on: 15m, 2h30m, 7d, 14:05, 2027-01-31, or 2027-01-31T14:05:00+01:00.",
    )


def collector_options(command: Command) -> Command:
    """`--url` and `--key-file`."""
    return url_option(key_file_option(command))


@dataclass(frozen=True, slots=True)
class Asked:
    """What all questions are asked with."""

    url: str
    key_file: Path | None
    since: str | None = None
    until: str | None = None
    utc: bool = False
    output: str = "pretty"
    no_pager: bool = False
    given: frozenset[str] = frozenset()
    """The names of the options that are on the command line."""

    def times(self) -> dict[str, str]:
        """The parameters of the range."""
        return {} if self.since is None else times(self.since, self.until, utc=self.utc)

    def client(self, query: str = "") -> AbstractContextManager["CollectorClient"]:
        return asking(self.url, self.key_file, query)


def question(*, since: str | None = None, outputs: Sequence[str] = OUTPUTS) -> Callable[[Command], Command]:
    """The options of a question, which its command gets as `asked`: a time range only with `since`. Ctrl-C ends it."""
    options = [] if since is None else [since_option(since), until_option]
    options += [utc_option, *([_output_option(outputs), no_pager_option] if outputs else ()), collector_options]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def ask(**options: Any) -> None:
            context = click.get_current_context()
            given = {name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
            ours = {name: options.pop(name) for name in _ASKED if name in options}
            try:
                command(asked=Asked(**ours, given=frozenset(given)), **options)
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)

        for option in reversed(options):
            ask = option(ask)
        return cast("Command", ask)

    return decorate


def _output_option(outputs: Sequence[str]) -> Callable[[Command], Command]:
    return click.option("--output", type=click.Choice(outputs), default=outputs[0], show_default=True)


_ASKED = frozenset(field.name for field in fields(Asked)) - {"given"}


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


def pointed(query: str, column: int) -> str:
    """Two more lines: the query around `column`, from 1, and a caret under it."""
    text = "".join(each if each.isprintable() else " " for each in query)
    first = max(0, min(column - 1 - MAX_SHOWN_CHARS // 2, len(text) - MAX_SHOWN_CHARS))
    place = min(max(column - 1, 0), len(text)) - first
    return f"\n  {text[first : first + MAX_SHOWN_CHARS]}\n  {' ' * place}^"


def warn(command: str, message: str) -> None:
    """On stderr, so that stdout has nothing but what was asked for."""
    click.echo(f"cloud log {command}: {message}", err=True)
