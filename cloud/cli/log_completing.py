"""What the shell completes of `cloud log`: names and values of queries, hosts, services and saved searches.

Whatever is asked is answered in a second or not at all, and nothing is ever said: this runs while somebody types.
Values come out of log lines, so only those are offered that no shell takes for anything but a word.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

TIMEOUT_S = 1.0
DEADLINE_S = 0.5
MAX_VALUES = 200
SINCE = "24h"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_LAST = re.compile(r"(?P<head>(?:.*[\s()|,])?-?)(?P<word>[^\s()|,]*)", re.DOTALL)
_TEST = re.compile(r"(?P<name>[a-z_]+):(?P<order>[<>]=?)?(?P<value>.*)", re.DOTALL)
_OF_FACETS = ("host", "service", "event")
_STAGES = ("count", "count by", "top 10")


def complete_query(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The last word of a query: a name, or a value behind one."""
    from cloud.logs.query.language.names import COLUMNS

    if incomplete.count('"') % 2:
        return []
    found = _LAST.fullmatch(incomplete)
    head, word = (found["head"], found["word"]) if found else ("", incomplete)
    if "|" in head:
        groupable = [name for name, column in COLUMNS.items() if column.is_groupable]
        names = groupable if head.rpartition("|")[2].strip() else _STAGES
        return [CompletionItem(f"{head}{name}") for name in names if name.startswith(word)]
    if test := _TEST.fullmatch(word):
        before = f"{head}{test['name']}:{test['order'] or ''}"
        return _items(before, _values(context, test["name"], test["value"]))
    names = [name for name in COLUMNS if name.startswith(word)]
    if len(names) == 1 and (values := _values(context, names[0], "")):
        return _items(f"{head}{names[0]}:", values)
    return [CompletionItem(f"{head}{name}:", is_open=True) for name in names]


def complete_host(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _items("", _values(context, "host", incomplete))


def complete_service(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _items("", _values(context, "service", incomplete))


def complete_severity(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from cloud.logs.emit.levels import SEVERITIES

    return _items("", [each for each in SEVERITIES if each.startswith(incomplete)])


def complete_saved(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of saved searches."""
    found = _ask(context, "/searches", {}).get("searches")
    names = [each.get("name") for each in _objects(found)]
    return _items("", _plain(names, incomplete))


def _values(context: click.Context, name: str, begun: str) -> list[str]:
    from cloud.logs.emit.levels import SEVERITIES
    from cloud.logs.facilities import LOCAL_FACILITIES

    if name in ("severity", "facility"):
        return [each for each in (SEVERITIES if name == "severity" else LOCAL_FACILITIES) if each.startswith(begun)]
    if name not in _OF_FACETS or not (begun == "" or _PLAIN.fullmatch(begun)):
        return []
    parameters = {"q": f"{name}:{begun}*", "since": SINCE, "top": MAX_VALUES, "deadline_s": DEADLINE_S}
    facets = _ask(context, "/facets", parameters).get("facets")
    values = facets.get(name) if isinstance(facets, Mapping) else None
    return _plain([each.get("value") for each in _objects(values)], begun)


def _plain(values: Iterable[object], begun: str) -> list[str]:
    return sorted(
        each for each in values if isinstance(each, str) and _PLAIN.fullmatch(each) and each.startswith(begun)
    )


def _items(before: str, values: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(f"{before}{value}") for value in values]


def _objects(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _ask(context: click.Context, path: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    import httpx

    from cloud.cli.log_asking import default_url
    from cloud.logs.query.access.client_key import ClientKeyError, connection

    try:
        url = str(context.params.get("url") or os.environ.get("CLOUD_LOG_URL") or default_url()).rstrip("/")
        named = context.params.get("key_file")
        key_file = Path(named) if named else None
        with httpx.Client(timeout=TIMEOUT_S, **connection(url, key_file)) as http:
            found = http.get(f"{url}/api/v1{path}", params=dict(parameters)).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ClientKeyError, click.ClickException):
        return {}
    return found if isinstance(found, Mapping) else {}
