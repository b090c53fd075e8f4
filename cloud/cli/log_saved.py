"""`cloud log saved`: searches that are kept at the collector, for oneself or for others as well."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from cloud.cli.log_asking import (
    EXIT_CODES,
    FOUND,
    NOT_FOUND,
    WRONG,
    Asked,
    QuestionError,
    clock_option,
    pointed,
    question,
    warn,
)
from cloud.cli.log_completing import complete_query, complete_saved
from cloud.cli.log_showing import show, show_list

if TYPE_CHECKING:
    from cloud.logs.query.client import CollectorClient

Search = Mapping[str, Any]
_LIST = ("name", "query", "since", "until", "is_shared", "owner", "version", "description")
_LIST_NAMES = ("name", "query", "since", "until", "shared", "owner", "version", "description")
_KEPT = ("query", "since", "until", "clock", "columns", "description", "is_shared")


def _columns(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    from cloud.logs.query.language.names import name_of
    from cloud.logs.query.language.query import QueryError

    names = tuple(each.strip() for each in (text or "").split(",") if each.strip())
    for name in names:
        try:
            name_of(name, 1)
        except QueryError as exc:
            raise click.BadParameter(exc.message.partition(": ")[2]) from exc
    return names


columns_option = click.option(
    "--columns",
    metavar="NAME,...",
    callback=_columns,
    help="What the outputs table and csv show, e.g. time,host,message,fields.status.",
)


def with_saved(
    name: str, parameters: Mapping[str, Any], columns: tuple[str, ...], asked: Asked
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters and columns of a search by the saved one; what the command line has of its own goes before."""
    from cloud.logs.query.language.query import QueryError
    from cloud.logs.query.saved.narrowing import narrowed

    with asked.client() as client:
        saved = find(client, name, absent=WRONG)
    try:
        query = narrowed(saved["query"], parameters["q"])
    except QueryError as exc:
        raise QuestionError(f"{exc}{pointed(parameters['q'], exc.column)}", WRONG) from exc
    combined = {**parameters, "q": query}
    if not {"since", "until"} & asked.given:
        times = {"since": saved["since"], "until": saved["until"]}
        combined = {**{key: value for key, value in combined.items() if key not in times}, **times}
        if saved["until"] is None:
            del combined["until"]
    if "clock" not in asked.given:
        combined["clock"] = saved["clock"]
    return combined, columns or tuple(saved["columns"])


def find(client: "CollectorClient", name: str, *, absent: int = NOT_FOUND) -> Search:
    """The search of that name, or id: one's own, or else the only one that is shared; `QuestionError`."""
    listed = client.ask("/searches", {})["searches"]
    named = [each for each in listed if each["name"] == name] or [each for each in listed if each["id"] == name]
    found: Sequence[Search] = [each for each in named if each["is_own"]] or named
    if not found:
        raise QuestionError(f"there is no saved search {name}: cloud log saved list shows those that there are", absent)
    if len(found) > 1:
        choices = ", ".join(f"{each['id']} of {each['owner']}" for each in found)
        raise QuestionError(f"there are several saved searches {name}; name one by its id: {choices}", WRONG)
    return found[0]


@click.group()
def saved() -> None:
    """Keep searches at the collector, and ask them again: cloud log search --saved NAME.

    They are their owner's alone, unless they are shared: by who sees all lines with all others who do, and by a member
    with its project. Only their owners and administrators change them.
    """


@saved.command("list", epilog=EXIT_CODES)
@click.option("--all", "every", is_flag=True, help="Also what others keep for themselves, for administrators.")
@question()
def list_(*, every: bool, asked: Asked) -> None:
    """List one's own searches, and those that others share."""
    with asked.client() as client:
        found = client.ask("/searches", {"every": str(every).lower()})["searches"]
    show_list(_LIST_NAMES, [[_cell(each[name]) for name in _LIST] for each in found], found, asked)
    sys.exit(FOUND if found else NOT_FOUND)


@saved.command("show", epilog=EXIT_CODES)
@click.argument("name", shell_complete=complete_saved)
@question(outputs=("pretty", "json"))
def show_(*, name: str, asked: Asked) -> None:
    """Show all that is kept of the search NAME."""
    from cloud.logs.query.output import as_json, printable

    with asked.client() as client:
        found = find(client, name)
    if asked.output == "json":
        show([as_json(found)], no_pager=asked.no_pager)
    else:
        cells = ((key, _cell(value)) for key, value in found.items())
        lines = [f"{key + ':':12} {printable('-' if cell is None else str(cell))}" for key, cell in cells]
        show(lines, no_pager=asked.no_pager)


@saved.command(epilog=EXIT_CODES)
@click.argument("name")
@click.argument("query", required=False, default="", shell_complete=complete_query)
@clock_option
@columns_option
@click.option("--description", default="", help="What it is for.")
@click.option("--shared/--private", "is_shared", default=False, show_default=True, help="Whether others see it.")
@click.option("--replace", is_flag=True, help="Change the one that there is; what is not given stays as it is.")
@click.option("--if-version", type=click.IntRange(1), metavar="N", help="Only if it still has the version N.")
@question(since="15m", outputs=("pretty", "json"))
def save(*, name: str, query: str, replace: bool, if_version: int | None, asked: Asked, **options: Any) -> None:
    """Save QUERY as NAME, with its time range and the columns that tables show of it."""
    from cloud.logs.query.output import as_json, printable

    if if_version is not None and not replace:
        raise click.UsageError("--if-version goes with --replace")
    content = {"name": name, "query": query, **options, "columns": list(options["columns"]), **asked.times()}
    with asked.client(query) as client:
        if replace:
            before = find(client, name)
            kept = {key: before[key] for key in _KEPT if key not in asked.given}
            made = client.change(
                "PUT",
                f"/searches/{quote(before['id'])}",
                {**content, **kept, "name": before["name"]},
                version=if_version or before["version"],
            )
        else:
            made = _create(client, content)
    if asked.output == "json":
        show([as_json(made)], no_pager=True)
    else:
        sharing = "shared" if made["is_shared"] else "private"
        click.echo(printable(f"saved search {made['name']} is version {made['version']}, {sharing}"))


@saved.command(epilog=EXIT_CODES)
@click.argument("name", shell_complete=complete_saved)
@click.option("--if-version", type=click.IntRange(1), metavar="N", help="Only if it still has the version N.")
@question(outputs=("pretty",))
def delete(*, name: str, if_version: int | None, asked: Asked) -> None:
    """Keep the search NAME no more."""
    with asked.client() as client:
        found = find(client, name)
        client.change("DELETE", f"/searches/{quote(found['id'])}", version=if_version or found["version"])
    warn("saved delete", f"{found['name']} is gone")


def _create(client: "CollectorClient", content: Mapping[str, Any]) -> dict[str, Any]:
    from cloud.logs.query.client import RefusedError

    try:
        return client.change("POST", "/searches", content)
    except RefusedError as exc:
        if exc.refusal.code == "name_taken":
            raise QuestionError(f"{exc}; --replace changes it", WRONG) from exc
        raise


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value
