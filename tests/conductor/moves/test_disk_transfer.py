"""The transfer of a disk: watched until it is there, sent again by a source that has forgotten, given up in time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.logs.emit import logger
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.disk_transfer import DiskTransfers
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Move, MoveAbortedError, OvertakenError
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.moves.request import request_of
from cloud.virt.moving import Transfer, TransferPhase
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import CASES, HERE, ResizeSite
from tests.db.making import uuid_of
from tests.services.said import Line

__all__ = ["case", "site"]

pytestmark = [
    pytest.mark.parametrize("case", [CASES["cold"]], ids=str),
    pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session"),
]
TARGET = {"path": "/there"}
PATIENCE = Patience(disk_transfer_s=1000.0, silence_s=60.0)
DONE, LOST = Transfer(TransferPhase.COMPLETED, progress=100), Transfer(TransferPhase.NONE)
SILENCE = ComputeError("cannot call nova-compute on compute-01: no reply in 10 s")


def sent(percent: int) -> Transfer:
    return Transfer(TransferPhase.RUNNING, progress=percent)


class Source:
    """Answers one after the other, the last one for ever."""

    def __init__(self, answers: Sequence[Transfer | Exception]) -> None:
        self.answers = list(answers)
        self.begun: list[tuple[str, str, Mapping[str, Any]]] = []
        self.asked = 0
        self.on_ask: Callable[[int], None] = lambda _number: None

    def send_disk(self, host: str, uuid: str, target: Mapping[str, Any]) -> None:
        self.begun.append((host, uuid, target))

    def disk_transfer(self, host: str, uuid: str) -> Transfer:
        assert (host, uuid) == (HERE, uuid_of(1))
        self.asked += 1
        self.on_ask(self.asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Watching:
    """A migration whose disk is to be sent, and a clock that goes on by what is waited."""

    def __init__(self, site: ResizeSite, *answers: Transfer | Exception) -> None:
        self.site = site
        instance = site.enter()
        self.migration_id = site.begin()
        migration = site.tables.migrations.update(
            self.migration_id, {"status": MigrationStatus.RUNNING, "step": "transfer"}
        )
        self.move = Move(migration, instance, request_of(migration, instance))
        self.source = Source(answers)
        self.waited_s: list[float] = []

    def run(self, patience: Patience = PATIENCE) -> None:
        journal = Journal(self.site.tables)
        clock_s = lambda: sum(self.waited_s)  # noqa: E731 - it is one
        transfers = DiskTransfers(self.source, journal, patience, wait=self.waited_s.append, clock_s=clock_s)
        transfers.run(self.move, TARGET)


def test_it_is_watched_until_it_is_there(site: ResizeSite) -> None:
    watching = Watching(site, sent(0), sent(40), DONE)
    watching.run()
    assert watching.source.begun == [(HERE, uuid_of(1), TARGET)]
    assert watching.source.asked == 3
    assert watching.waited_s == [0.2, pytest.approx(0.3)]
    assert site.migration().progress == 100


def test_it_is_asked_less_often_the_longer_it_takes(site: ResizeSite) -> None:
    watching = Watching(site, *[sent(1)] * 30, DONE)
    watching.run()
    assert watching.waited_s == sorted(watching.waited_s)
    assert watching.waited_s[-1] == 2.0


def test_how_far_it_is_is_noted_once_in_a_second_and_said_in_steps_of_ten(site: ResizeSite, lines: list[Line]) -> None:
    watching = Watching(site, *[sent(percent) for percent in range(0, 100, 2)], DONE)
    noted: list[int] = []
    watching.source.on_ask = lambda _number: noted.append(site.migration().progress)
    watching.run()
    assert noted[:6] == [0, 0, 0, 0, 0, 8]
    said = [fields for _, _, fields in lines if fields.get("event") == "resize.transfer.progress"]
    assert [fields["progress"] for fields in said] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert {(fields["migration"], fields["step"], fields["source_compute"]) for fields in said} == {
        (watching.migration_id, "transfer", HERE)
    }


def test_one_that_stands_still_is_said_all_the_same(site: ResizeSite, lines: list[Line]) -> None:
    watching = Watching(site, *[sent(1)] * 50, DONE)
    watching.run()
    said = [fields for _, _, fields in lines if fields.get("event") == "resize.transfer.progress"]
    assert len(said) == int(sum(watching.waited_s) // 30)


def test_a_source_that_has_forgotten_sends_it_again(site: ResizeSite) -> None:
    watching = Watching(site, sent(50), LOST, sent(10), DONE)
    watching.run()
    assert len(watching.source.begun) == 2


@pytest.mark.parametrize("phase", [TransferPhase.FAILED, TransferPhase.CANCELLED])
def test_one_that_fails_says_why(site: ResizeSite, phase: TransferPhase) -> None:
    watching = Watching(site, sent(50), Transfer(phase, progress=50, error="cannot send disk: the disk is full"))
    with pytest.raises(ComputeError, match=r"^cannot send disk: the disk is full$"):
        watching.run()


def test_a_source_that_is_silent_for_a_moment_is_borne(site: ResizeSite) -> None:
    watching = Watching(site, sent(50), *[SILENCE] * 5, sent(60), *[SILENCE] * 5, DONE)
    watching.run()
    assert site.migration().progress == 100


def test_one_that_is_silent_for_too_long_is_not(site: ResizeSite) -> None:
    watching = Watching(site, sent(50), SILENCE)
    with pytest.raises(ComputeError, match="no reply in 10 s"):
        watching.run()
    assert 60 <= sum(watching.waited_s) < 64


def test_without_the_bus_nothing_is_borne(site: ResizeSite) -> None:
    watching = Watching(site, BusUnavailableError("cannot reach the bus"))
    with pytest.raises(BusUnavailableError):
        watching.run()


@pytest.mark.parametrize(("limit_s", "fails"), [(100.0, True), (0.0, False)])
def test_one_that_takes_too_long_is_given_up(site: ResizeSite, limit_s: float, fails: bool) -> None:
    watching = Watching(site, *[sent(50)] * 200, DONE)
    patience = Patience(disk_transfer_s=limit_s)
    if fails:
        with pytest.raises(ComputeError, match=r": it has not come to its end in 100 s$"):
            watching.run(patience)
        assert 100 <= sum(watching.waited_s) < 103
    else:
        watching.run(patience)


def test_of_an_instance_that_is_to_be_deleted_it_is_given_up(site: ResizeSite) -> None:
    watching = Watching(site, sent(10))
    watching.source.on_ask = lambda number: site.delete(hears=False) if number == 3 else None
    with pytest.raises(MoveAbortedError, match=r": the instance is deleted$"):
        watching.run()
    assert watching.source.asked == 3


def test_where_another_mover_has_gone_on_it_is_let_go(site: ResizeSite) -> None:
    watching = Watching(site, sent(10))
    changes = {"step": "post"}
    watching.source.on_ask = lambda _number: logger.debug(
        site.tables.migrations.update(watching.migration_id, changes).id
    )
    with pytest.raises(OvertakenError):
        watching.run()
