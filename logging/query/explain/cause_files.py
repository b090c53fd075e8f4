"""From the TOML file of a cause to the cause: what is wrong in it is said by file and key.

    title = "the bridge is missing at the destination"
    meaning = "The guest's interface wants bridge {bridge}, and the host has none of that name."
    check = ["`ip link show {bridge}` at the destination"]
    remedy = ["make the bridge, or migrate to a host that has it"]

    [[signatures]]
    any = ["Cannot get interface MTU on '(?P<bridge>[^']+)': No such device"]

A signature fits where all its conditions do: `any`, of whose regular expressions one is found in what an error says;
`all` and `none` of theirs; `exceptions`, `services`, `events`, `steps` and `procedures`, of whose values one is the
line's or the failed step's. With `scope = "host"` it is for lines of the hosts around the failure that do not name the
instance, as the kernel's; it then needs `explains`, a regular expression for the error that it can have brought about.
Where that has a group `host`, only what the host has said counts whose name is caught.
What groups have caught stands in braces in the texts: groups that every signature is sure to have. `over` names causes
that say less: where both fit, this one is meant.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from cloud.logs.events import PROCEDURES
from cloud.logs.query.explain.catalogue import Catalogue, CatalogueError, Cause, Signature

MAX_FILE_BYTES = 65_536

_TEXTS = ("title", "meaning")
_LISTS = ("check", "remedy")
_PATTERNS = ("any", "all", "none")
_VALUES = ("exceptions", "services", "events", "steps", "procedures")
_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PLACE = re.compile(r"\{(\w+)\}")

Wrong = Callable[[str], CatalogueError]


class Directory(Protocol):
    """A pathlib.Path, or what a package has in its place."""

    def iterdir(self) -> Iterable[Any]: ...


def load(directory: Directory) -> Catalogue:
    """CatalogueError for the first file, by name, that cannot be used."""
    paths = sorted(
        (each for each in directory.iterdir() if each.name.endswith(".toml")), key=lambda each: str(each.name)
    )
    return Catalogue([read_cause(str(each.name), each.read_bytes()) for each in paths])


@cache
def shipped() -> Catalogue:
    """The catalogue of this package, read once."""
    return load(files("cloud.logs.query.explain") / "causes")


def read_cause(name: str, content: bytes) -> Cause:
    """CatalogueError, with the file's name and the key, for what cannot be used."""

    def wrong(what: str) -> CatalogueError:
        return CatalogueError(f"cannot load cause {name}: {what}")

    if len(content) > MAX_FILE_BYTES:
        raise wrong(f"it has more than {MAX_FILE_BYTES} bytes")
    try:
        values = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise wrong(str(exc)) from exc
    identity = Path(name).stem
    if not _ID.fullmatch(identity):
        raise wrong("its name is no words of small letters, joined by hyphens")
    known = {*_TEXTS, *_LISTS, "signatures", "over"}
    if unknown := sorted(values.keys() - known):
        raise wrong(f"{unknown[0]}: no such key; there are {', '.join(sorted(known))}")
    for key in _TEXTS:
        if not (isinstance(values.get(key), str) and values[key].strip()):
            raise wrong(f"{key}: expected a text")
    for key in _LISTS:
        if not values.get(key):
            raise wrong(f"{key}: expected a list of texts, at least one")
        _words(values[key], key, wrong)
    tables = values.get("signatures")
    if not (isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)):
        raise wrong("signatures: expected [[signatures]], at least one")
    signatures = tuple(_signature(table, f"signatures[{number}]", wrong) for number, table in enumerate(tables, 1))
    groups = set.intersection(*map(_sure_groups, signatures))
    for key in (*_TEXTS, *_LISTS):
        text = values[key] if isinstance(values[key], str) else " ".join(values[key])
        if free := sorted(set(_PLACE.findall(text)) - groups):
            raise wrong(f"{key}: {{{free[0]}}} is no group that each of its signatures has")
    return Cause(
        identity,
        values["title"].strip(),
        " ".join(values["meaning"].split()),
        tuple(values["check"]),
        tuple(values["remedy"]),
        signatures,
        _words(values.get("over", []), "over", wrong),
    )


def _signature(table: Mapping[str, Any], place: str, wrong: Wrong) -> Signature:
    known = {*_PATTERNS, *_VALUES, "explains", "scope"}
    if unknown := sorted(table.keys() - known):
        raise wrong(f"{place}.{unknown[0]}: no such key; there are {', '.join(sorted(known))}")
    patterns = {key: _patterns(table.get(key, []), f"{place}.{key}", wrong) for key in _PATTERNS}
    values = {key: _words(table.get(key, []), f"{place}.{key}", wrong) for key in _VALUES}
    if not any((patterns["any"], patterns["all"], values["exceptions"], values["events"])):
        raise wrong(f"{place}: expected any, all, exceptions or events: it would fit everything")
    steps = {step for procedure in PROCEDURES for step in procedure.steps}
    for key, allowed in (("steps", steps), ("procedures", {each.name for each in PROCEDURES})):
        if strange := sorted(set(values[key]) - allowed):
            raise wrong(f"{place}.{key}: {strange[0]!r} is not in the vocabulary")
    scope = table.get("scope", "operation")
    if scope not in ("operation", "host"):
        raise wrong(f"{place}.scope: expected operation or host, not {scope!r}")
    is_of_host = scope == "host"
    if is_of_host is not ("explains" in table):
        raise wrong(f"{place}.explains: expected with scope host, and only then")
    explains = _pattern(table["explains"], f"{place}.explains", wrong) if is_of_host else None
    return Signature(
        any_of=patterns["any"],
        all_of=patterns["all"],
        none_of=patterns["none"],
        exceptions=values["exceptions"],
        services=values["services"],
        events=values["events"],
        steps=values["steps"],
        procedures=values["procedures"],
        explains=explains,
        is_of_host=is_of_host,
    )


def _words(values: object, place: str, wrong: Wrong) -> tuple[str, ...]:
    if not (isinstance(values, list) and all(isinstance(value, str) and value.strip() for value in values)):
        raise wrong(f"{place}: expected a list of texts")
    return tuple(values)


def _patterns(values: object, place: str, wrong: Wrong) -> tuple[re.Pattern[str], ...]:
    return tuple(_pattern(text, place, wrong) for text in _words(values, place, wrong))


def _pattern(text: object, place: str, wrong: Wrong) -> re.Pattern[str]:
    try:
        return re.compile(str(text), re.MULTILINE)
    except re.error as exc:
        raise wrong(f"{place}: {text!r} is no regular expression: {exc}") from exc


def _sure_groups(signature: Signature) -> set[str]:
    """The names that it has caught something by, whichever of `any` it was."""
    found = {name for pattern in signature.all_of for name in pattern.groupindex}
    if signature.any_of:
        found |= set.intersection(*(set(pattern.groupindex) for pattern in signature.any_of))
    return found
