"""What was asked about -> the migration, request or instance of that id or name that the lines know of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cloud.logs.query.explain.asking import among, begins, either, has_field, has_text
from cloud.logs.query.explain.lines import UUID, Line, Lines, line_of
from cloud.logs.query.explain.subject import Forms, Kind, domain_name, ec2_id, read_subject
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where

MAX_LINES = 2000
"""Lines that are looked at for names and ids."""
MAX_CHOICES = 20

_DOMAIN = re.compile(r"\binstance-([0-9a-f]{8,16})\b")
_COMMAND_LINE = re.compile(rf"-uuid ({UUID})\b")
_XML = re.compile(rf"<uuid>({UUID})</uuid>")
_DUMPED = re.compile(rf"\buuid=({UUID})\b|'uuid': u?'({UUID})'")
_NAME_FIELDS = ("display_name", "instance_name")


class NotFoundError(Exception):
    """The lines know of nothing of that id or name, or of several things: `choices` has those."""

    def __init__(self, message: str, choices: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class Names:
    """What one instance is called, as far as lines say; hypervisors log by `domain`, EC2's API by `ec2_id`."""

    uuid: str
    domain: str | None = None
    ec2_id: str | None = None
    instance_id: int | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question was taken for; `note` says why where it could have been something else."""

    kind: Kind
    id: str
    """A migration's id, a request's, or the uuid of an instance."""
    note: str | None = None
    is_only_named: bool = False
    """No line carries it in a column, some have it in their text."""

    def where(self) -> Where:
        """Its lines."""
        if self.is_only_named:
            return has_text(self.id)
        column = {Kind.MIGRATION: "migration", Kind.REQUEST: "request_id", Kind.INSTANCE: "instance"}[self.kind]
        return among(column, [self.id])


def resolve(text: str, lines: Lines, time: TimeRange) -> Subject:
    """SubjectError for what cannot be asked about, NotFoundError where there is no such thing or more than one."""
    forms = read_subject(text)
    if forms.request is not None:
        return _one(Kind.REQUEST, text, _values(lines, time, begins("request_id", forms.request), "request_id"))
    if forms.uuid is not None:
        return _of_uuid(forms.uuid, lines, time)
    if forms.instance_id is not None:
        return _one(Kind.INSTANCE, text, _of_instance_id(forms.instance_id, lines, time))
    if forms.number is not None:
        return _of_number(forms, lines, time)
    if forms.prefix is not None and (found := _values(lines, time, begins("instance", forms.prefix), "instance")):
        return _one(Kind.INSTANCE, text, found)
    return _of_name(text, lines, time)


def names_of(uuid: str, lines: Iterable[Line]) -> Names:
    """What its own lines call it; nothing where they name several."""
    found = Names(uuid)
    domains: set[str] = set()
    for line in lines:
        if line.instance != uuid:
            continue
        display_name = line.fields.get("display_name")
        if isinstance(display_name, str):
            found = replace(found, display_name=display_name)
        number = line.fields.get("instance_id")
        if isinstance(number, int) and number >= 0:
            domains.add(domain_name(number))
        domains |= {match[0] for match in _DOMAIN.finditer(line.message)}
    if len(domains) != 1:
        return found
    instance_id = int(domains.pop().removeprefix("instance-"), 16)
    return replace(found, domain=domain_name(instance_id), ec2_id=ec2_id(instance_id), instance_id=instance_id)


def _of_uuid(uuid: str, lines: Lines, time: TimeRange) -> Subject:
    """An instance's, in the first place."""
    for kind, column, value in (
        (Kind.INSTANCE, "instance", uuid),
        (Kind.MIGRATION, "migration", uuid),
        (Kind.REQUEST, "request_id", f"req-{uuid}"),
    ):
        if lines.newest(among(column, [value]), time, 1).rows:
            return Subject(kind, value)
    for row in lines.newest(has_field("migration_uuid", uuid), time, 1).rows:
        if "migration" in row:
            return Subject(Kind.MIGRATION, row["migration"])
    if lines.newest(has_text(uuid), time, 1).rows:
        return Subject(Kind.INSTANCE, uuid, "taken for an instance that lines name, but carry in no field", True)
    raise NotFoundError(f"cannot explain {uuid}: no line of this time has it")


def _of_number(forms: Forms, lines: Lines, time: TimeRange) -> Subject:
    """A migration's id, in the first place."""
    number = forms.number or 0
    is_migration = bool(lines.newest(among("migration", [str(number)]), time, 1).rows)
    instances = _of_instance_id(number, lines, time)
    if is_migration:
        other = f"; instance {instances[0]} has that number, too: ask for {ec2_id(number)}" if instances else ""
        return Subject(Kind.MIGRATION, str(number), f"taken for a migration's id{other}" if other else None)
    if instances:
        return _one(Kind.INSTANCE, forms.text, instances)
    if forms.prefix is not None and (found := _values(lines, time, begins("instance", forms.prefix), "instance")):
        return _one(Kind.INSTANCE, forms.text, found)
    return _of_name(forms.text, lines, time)


def _of_instance_id(number: int, lines: Lines, time: TimeRange) -> list[str]:
    """The uuids of instances that lines know by that id, or by the name that hypervisors make of it."""
    by_field = has_field("instance_id", str(number))
    name = domain_name(number)
    found = [line_of(row) for row in lines.newest(either(by_field, has_text(name)), time, MAX_LINES).rows]
    uuids: dict[str, None] = {}
    for line in found:
        if line.fields.get("instance_id") == number and line.instance is not None:
            return [line.instance]
        for uuid in _uuids_beside(name, line):
            uuids[uuid] = None
    return list(uuids)


def _uuids_beside(name: str, line: Line) -> list[str]:
    """Of the instance that a line calls so: on QEMU's command line, in libvirt's XML, or by the line's own instance."""
    said = [match[1] for pattern in (_COMMAND_LINE, _XML) for match in pattern.finditer(line.text)]
    if len(set(said)) == 1 and _only(name, line):
        return [said[0].lower()]
    if line.instance is not None and _only(name, line):
        return [line.instance]
    return []


def _only(name: str, line: Line) -> bool:
    """Whether no other instance is named: one line may list several."""
    return {match[0] for match in _DOMAIN.finditer(line.text)} == {name}


def _of_name(text: str, lines: Lines, time: TimeRange) -> Subject:
    """By what its owner called it: in fields of its build, or where nova has written an instance out."""
    uuids: dict[str, None] = {}
    for row in lines.newest(either(*(has_field(name, text) for name in _NAME_FIELDS)), time, MAX_LINES).rows:
        if "instance" in row:
            uuids[row["instance"]] = None
    if not uuids:
        dumped = re.compile(rf"(?:\bdisplay_name=|'display_name': u?){re.escape(repr(text))}")
        for line in map(line_of, lines.newest(has_text(text), time, MAX_LINES).rows):
            if dumped.search(line.text):
                said = {first or second for first, second in _DUMPED.findall(line.text)} or {line.instance or ""}
                uuids |= dict.fromkeys(said - {""}) if len(said) == 1 else {}
    return _one(Kind.INSTANCE, text, list(uuids))


def _one(kind: Kind, text: str, found: Sequence[str]) -> Subject:
    if not found:
        raise NotFoundError(f"cannot explain {text}: no {kind} of that id or name is in the lines of this time")
    if len(found) > 1:
        shown = found[:MAX_CHOICES]
        raise NotFoundError(f"cannot explain {text}: it is {len(found)} {kind}s: {', '.join(shown)}", shown)
    return Subject(kind, found[0])


def _values(lines: Lines, time: TimeRange, where: Where, column: str) -> list[str]:
    """Different values of a column, each looked for by itself: one alone may have more lines than are read."""
    found: list[str] = []
    while len(found) <= MAX_CHOICES:
        wanted = where.and_(Where(f"NOT ({among(column, found).sql})", among(column, found).parameters))
        rows = lines.newest(wanted, time, 1).rows
        if not rows:
            break
        found.append(rows[0][column])
    return sorted(found)
