"""All lines of an instance, a migration or a request -> the procedures that they are of, in order of time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cloud.logs.events import BUILD, COMPLETED, FAILED, MIGRATION, STARTED, Procedure
from cloud.logs.query.explain.attempts import overcome
from cloud.logs.query.explain.classic import is_deletion, is_running, is_shelving
from cloud.logs.query.explain.foreign import strays_of, without_others
from cloud.logs.query.explain.lines import WARNING, Line
from cloud.logs.query.explain.operation import AROUND, Mark, Operation, is_success, mark_of

_Told = tuple[Procedure | None, Mark]


def operations_of(lines: Sequence[Line]) -> list[Operation]:
    """By migration and instance where lines have those, else by request; one without any procedure is one, too."""
    told = [(line, found) for line in lines if (found := mark_of(line)) is not None]
    ours = _grouped(told, _key, is_classic=False)
    operations = [_of_events(marks, lines) for marks in ours.values()]
    taken = {line.row_id for operation in operations for line in operation.lines}
    left = [line for line in lines if line.row_id not in taken and (line.is_classic or not operations)]
    operations += _of_requests(left)
    return sorted(operations, key=lambda operation: operation.began)


def _key(line: Line, procedure: Procedure | None) -> tuple[str | None, ...]:
    migration = None if procedure is BUILD else _migration_of(line)
    return (procedure.name if procedure else None, migration, line.instance)


def _migration_of(line: Line) -> str | None:
    found = line.migration or line.fields.get("migration")
    return None if found is None else str(found)


def _grouped(
    told: Iterable[tuple[Line, _Told]],
    key: Callable[[Line, Procedure | None], tuple[str | None, ...]],
    *,
    is_classic: bool,
) -> dict[tuple[str | None, ...], list[_Told]]:
    groups: dict[tuple[str | None, ...], list[_Told]] = {}
    for line, found in told:
        if line.is_classic is is_classic:
            groups.setdefault(key(line, found[0]), []).append(found)
    return groups


def _of_events(told: Sequence[_Told], lines: Sequence[Line]) -> Operation:
    procedure = told[0][0]
    marks = [mark for _, mark in told]
    first = marks[0].line
    migration, instance = (None if procedure is BUILD else _migration_of(first)), first.instance
    requests = {mark.line.request_id for mark in marks} - {None}
    begin, end = first.time - AROUND, marks[-1].line.time + AROUND

    def is_of_it(line: Line) -> bool:
        if line.instance is not None and line.instance != instance:
            return False
        its_own = _migration_of(line)
        if its_own is not None:
            return its_own == migration
        return begin <= line.time <= end and (line.request_id in requests or line.request_id is None)

    return Operation(procedure, migration, instance, [line for line in lines if is_of_it(line)], marks)


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines of one request about one instance, in order of time; without an instance where none of them has one."""

    request: str
    instance: str | None
    lines: Sequence[Line]

    @property
    def takes_others(self) -> bool:
        """Whether lines without a request may be of it: those of a periodic task, which nobody asked for, are not."""
        return any(line.has_user or line.severity <= WARNING or mark_of(line) is not None for line in self.lines)


def _of_requests(lines: Sequence[Line]) -> list[Operation]:
    """Classic lines, and requests without events. Lines without a request are of the one that is under way.

    nova waits for a guest outside of the request's thread: that it runs is said without the request, and is of the one
    that has begun something with the instance on that host last.
    """
    groups = _groups(lines)
    owners = _owners(groups, lines)
    found: list[Operation] = []
    for group in groups:
        begin, end = group.lines[0].time, group.lines[-1].time
        later = [other.lines[0].time for other in groups if other.request != group.request and other.takes_others]
        until = min([end + AROUND, *(first for first in later if first > end)])
        own = list(group.lines)
        if group.takes_others:
            own += [
                line
                for line in lines
                if line.request_id is None and begin <= line.time <= until and line.instance in (None, group.instance)
                if line.row_id not in owners
            ]
        own += [line for line in lines if owners.get(line.row_id) is group]
        own.sort(key=lambda line: (line.time, line.row_id))
        found += _of_request(own, group.instance)
    if not groups and lines:
        instances = {line.instance for line in lines} - {None}
        found += _of_request(list(lines), instances.pop() if len(instances) == 1 else None)
    taken = {line.row_id for each in found for line in each.lines}
    left = [line for line in lines if line.row_id not in taken and (is_deletion(line) or is_shelving(line))]
    for instance in dict.fromkeys(line.instance for line in left):  # by a periodic task
        found += _of_request([line for line in left if line.instance == instance], instance)
    return found


def _owners(groups: Sequence[_Group], lines: Sequence[Line]) -> Mapping[int, _Group]:
    """Of successes and failures that are told without a request: whose they are, by the number of the line.

    A success is of who has begun something on that host last, where that is of its kind; a failure is of the procedure
    of its kind that has told last of how it stands, and has not come to its end.
    """
    told: list[tuple[_Told, _Group | None]] = [
        (found, None)
        for line in lines
        if line.request_id is None and (found := mark_of(line)) is not None and found[1].suffix in (COMPLETED, FAILED)
    ]
    if not told:
        return {}
    told += [(found, group) for group in groups for line in group.lines if (found := mark_of(line)) is not None]
    told.sort(key=lambda each: (each[0][1].line.time, each[0][1].line.row_id))
    owners: dict[int, _Group] = {}
    begun: dict[tuple[str | None, str | None], _Group] = {}
    latest: dict[tuple[Procedure | None, str | None], tuple[Mark, _Group]] = {}
    procedures: dict[tuple[str, str | None], set[Procedure]] = {}
    for (procedure, mark), group in told:
        line = mark.line
        owner = group
        if group is not None and (mark.suffix == STARTED or _is_claim(mark)):
            begun[line.host, group.instance] = group
        elif group is None and mark.suffix == COMPLETED:
            first = begun.get((line.host, line.instance))
            kinds = procedures.get((first.request, first.instance)) if first is not None else None
            owner = first if not kinds or procedure in kinds else None
        elif group is None and procedure is not None and (procedure, line.instance) in latest:
            last, first = latest[procedure, line.instance]
            owner = None if is_success(procedure, last) else first
        if owner is None:
            if is_success(procedure, mark):
                latest.pop((procedure, line.instance), None)
            continue
        if group is None:
            owners[line.row_id] = owner
        if procedure is not None:
            latest[procedure, owner.instance] = (mark, owner)
            procedures.setdefault((owner.request, owner.instance), set()).add(procedure)
    return owners


def _is_claim(mark: Mark) -> bool:
    return (mark.step, mark.suffix) == ("claim", COMPLETED)


def _groups(lines: Sequence[Line]) -> list[_Group]:
    """What a request says of no instance is of each of its instances, where that has lines that tell of a step."""
    by_request: dict[str, list[Line]] = {}
    for line in lines:
        if line.request_id is not None:
            by_request.setdefault(line.request_id, []).append(line)
    found: list[_Group] = []
    for request, own in by_request.items():
        instances = list(dict.fromkeys(line.instance for line in own if line.instance is not None))
        if len(instances) < 2:
            found.append(_Group(request, instances[0] if instances else None, own))
            continue
        for instance in instances:
            about = [line for line in own if line.instance == instance]
            if any(mark_of(line) is not None for line in about):
                about = [line for line in own if line.instance in (None, instance)]
                about = without_others(about, instance, request, lines)
            found.append(_Group(request, instance, about))
    return found


def _of_request(lines: Sequence[Line], instance: str | None) -> list[Operation]:
    told = [found for line in lines if (found := mark_of(line)) is not None]
    is_only_running = all(is_running(mark.line) for _, mark in told)
    votes = Counter(procedure.name for procedure, _ in told if procedure is not None and not is_only_running)
    procedure = None
    if votes:
        name = MIGRATION.name if MIGRATION.name in votes else votes.most_common(1)[0][0]
        procedure = next(each for each, _ in told if each is not None and each.name == name)
    elif not told and not any(line.severity <= WARNING or is_deletion(line) or is_shelving(line) for line in lines):
        return []
    marks = [
        mark for each, mark in told if each in (None, procedure) and (procedure is None or mark.step in procedure.steps)
    ]
    operation = Operation(procedure, None, instance, lines, list(_after_transfer(marks)))
    return [replace(operation, overcome=overcome(lines) | strays_of(operation))]


def _after_transfer(marks: Iterable[Mark]) -> Iterator[Mark]:
    """A transfer that was completed cannot fail any more: what is told as its failure then is of what follows it."""
    is_over = False
    for mark in marks:
        is_over = is_over or mark.step == "post" or (mark.step, mark.suffix) == ("transfer", COMPLETED)
        is_late = is_over and (mark.step, mark.suffix) == ("transfer", FAILED)
        yield replace(mark, step="post") if is_late else mark
