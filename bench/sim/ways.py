"""The ways in which migrations end, by themselves or made to fail, and what there is to be told of each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from cloud.domain.migration import MigrationStatus
from cloud.logs.events import COMPLETED, FAILED, MIGRATION, RESIZE, STARTED, Procedure


class Stage(Protocol):
    """One migration, and what can be done to it from outside."""

    uuid: str
    source: str
    destination: str | None
    """The host that is asked for; None: the scheduler chooses."""

    def failing(self, host: str, step: str) -> AbstractContextManager[None]:
        """By a knob, while the block lasts."""

    def never_converging(self) -> AbstractContextManager[None]: ...

    def wait_until_it_transfers(self) -> None: ...

    def abort(self) -> None: ...

    def delete(self) -> None:
        """The instance."""

    def kill(self, host: str) -> None: ...

    def revive(self, host: str) -> None: ...


Around = Callable[[Stage], AbstractContextManager[None]]
"""Entered before the migration is asked for, left when it has ended."""


def _untouched(_stage: Stage) -> AbstractContextManager[None]:
    return nullcontext()


def _nothing(_stage: Stage) -> None:
    """It is left to itself."""


@dataclass(frozen=True, slots=True)
class Way:
    """`around` holds all the while, `meanwhile` is done once it is asked for."""

    name: str
    status: MigrationStatus
    step: str | None = None
    """Where it fails; None: it does not."""
    is_cold: bool = False
    has_fault: bool = True
    """An abort and a deletion are no fault of anybody."""
    needs_host: bool = False
    """Whether a host is asked for."""
    is_forced: bool = False
    around: Around = _untouched
    meanwhile: Callable[[Stage], None] = _nothing

    @property
    def vocabulary(self) -> Procedure:
        return RESIZE if self.is_cold else MIGRATION

    def events(self) -> Counter[str]:
        """That are to be stored of it, but for progress, which depends on the time."""
        return Counter(self.vocabulary.event(step, suffix) for step, suffix in self._ends())

    def _ends(self) -> Iterator[tuple[str, str]]:
        steps = _COLD_STEPS if self.is_cold else _LIVE_STEPS
        if self.step is None and self.is_cold:  # to confirm it is another request
            steps = (*steps, "request", "confirm", "cleanup")
        for step in steps:
            yield step, STARTED
            if step == self.step:
                yield step, FAILED
                if steps.index(step) >= steps.index("claim"):  # from there on there is something to take back
                    yield "rollback", STARTED
                    yield "rollback", COMPLETED
                return
            yield step, COMPLETED


_LIVE_STEPS = tuple(step for step in MIGRATION.steps if step != "rollback")
_COLD_STEPS = RESIZE.steps[: RESIZE.steps.index("post") + 1]


def _failing_at_destination(step: str) -> Around:
    def around(stage: Stage) -> AbstractContextManager[None]:
        assert stage.destination is not None
        return stage.failing(stage.destination, step)

    return around


def _failing_at_source(step: str) -> Around:
    return lambda stage: stage.failing(stage.source, step)


@contextmanager
def _without_destination(stage: Stage) -> Iterator[None]:
    """Dead, and nobody knows yet."""
    assert stage.destination is not None
    stage.kill(stage.destination)
    try:
        yield
    finally:
        stage.revive(stage.destination)


def _abort(stage: Stage) -> None:
    stage.wait_until_it_transfers()
    stage.abort()


def _delete(stage: Stage) -> None:
    stage.wait_until_it_transfers()
    stage.delete()


def _kill_source(stage: Stage) -> None:
    stage.wait_until_it_transfers()
    stage.kill(stage.source)
    stage.revive(stage.source)


def _never_converging(stage: Stage) -> AbstractContextManager[None]:
    return stage.never_converging()


LIVE = Way("live", MigrationStatus.COMPLETED)
COLD = Way("cold, and confirmed", MigrationStatus.CONFIRMED, is_cold=True)

DESTINATION_DEAD = Way(
    "kill -9 of its destination's process",
    MigrationStatus.FAILED,
    "dest_check",
    needs_host=True,
    is_forced=True,
    around=_without_destination,
)
SOURCE_DIES = Way(
    "kill -9 of its source's process",
    MigrationStatus.FAILED,
    "transfer",
    around=_never_converging,
    meanwhile=_kill_source,
)
HOST_FULL = Way("the host asked for is full", MigrationStatus.FAILED, "schedule", needs_host=True)

FAILING: Sequence[Way] = (
    Way("aborted", MigrationStatus.CANCELLED, "transfer", has_fault=False, around=_never_converging, meanwhile=_abort),
    Way(
        "its destination refuses it",
        MigrationStatus.FAILED,
        "dest_check",
        needs_host=True,
        around=_failing_at_destination("check_can_come"),
    ),
    HOST_FULL,
    SOURCE_DIES,
    Way(
        "its memory does not arrive",
        MigrationStatus.FAILED,
        "transfer",
        around=_failing_at_source("transfer.memory"),
    ),
    DESTINATION_DEAD,
    Way(
        "cold, its disk does not arrive",
        MigrationStatus.FAILED,
        "transfer",
        is_cold=True,
        around=_failing_at_source("send_disk.copy"),
    ),
    Way("deleted", MigrationStatus.CANCELLED, "transfer", has_fault=False, around=_never_converging, meanwhile=_delete),
    Way(
        "its destination cannot prepare",
        MigrationStatus.FAILED,
        "pre",
        needs_host=True,
        around=_failing_at_destination("prepare_arrival"),
    ),
    Way("it never converges", MigrationStatus.FAILED, "transfer", around=_never_converging),
)

WAYS: Mapping[str, Way] = {way.name: way for way in (LIVE, COLD, *FAILING)}
