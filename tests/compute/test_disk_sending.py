"""Disks on their way to another host: begun, asked about, given up."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cloud.errors import InstanceStateError
from cloud.logs.emit import request_context
from cloud.services.compute.disk_sending import MAX_ENDED, DiskSending
from cloud.virt.driver import Progress, VirtError
from cloud.virt.moving import Transfer, TransferPhase
from tests.compute.site import OTHER, REQUEST, UUID
from tests.services.said import Line
from tests.waiting import wait_until

THERE = {"path": "/there"}


class Hypervisor:
    """Sends a quarter each time it is let go on; `fails_with` is raised at the end."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.goes_on = threading.Semaphore(0)
        self.fails_with: Exception | None = None

    def send_disk(self, uuid: str, destination: Mapping[str, Any], progress: Progress) -> None:
        self.sent.append((uuid, destination))
        for percent in (25, 50, 75, 100):
            self.goes_on.acquire()
            progress(percent)
        if self.fails_with is not None:
            raise self.fails_with


@pytest.fixture
def hypervisor() -> Iterator[Hypervisor]:
    hypervisor = Hypervisor()
    yield hypervisor
    hypervisor.goes_on.release(1000)


@pytest.fixture
def sending(hypervisor: Hypervisor) -> DiskSending:
    return DiskSending(hypervisor.send_disk, stop_wait_s=10.0)


def wait_for(sending: DiskSending, wanted: Transfer, uuid: str = UUID) -> None:
    wait_until(lambda: sending.transfer(uuid) == wanted, what=f"{wanted}")


def test_it_is_sent_while_nobody_waits_and_says_how_far_it_is(sending: DiskSending, hypervisor: Hypervisor) -> None:
    assert sending.transfer(UUID) == Transfer(TransferPhase.NONE)
    sending.start(UUID, THERE)
    wait_for(sending, Transfer(TransferPhase.RUNNING))
    hypervisor.goes_on.release()
    wait_for(sending, Transfer(TransferPhase.RUNNING, progress=25))
    hypervisor.goes_on.release(3)
    wait_for(sending, Transfer(TransferPhase.COMPLETED, progress=100))
    assert hypervisor.sent == [(UUID, THERE)]


def test_while_it_is_sent_a_second_time_is_no_change_and_elsewhere_is_refused(
    sending: DiskSending, hypervisor: Hypervisor
) -> None:
    sending.start(UUID, THERE)
    sending.start(UUID, dict(THERE))
    with pytest.raises(InstanceStateError, match=f"^cannot send disk of instance {UUID}: it is being sent elsewhere$"):
        sending.start(UUID, {"path": "/elsewhere"})
    hypervisor.goes_on.release(4)
    wait_for(sending, Transfer(TransferPhase.COMPLETED, progress=100))
    assert hypervisor.sent == [(UUID, THERE)]


def test_once_it_was_sent_it_is_sent_anew(sending: DiskSending, hypervisor: Hypervisor) -> None:
    """What is on the disk may have changed meanwhile."""
    hypervisor.goes_on.release(8)
    for _ in range(2):
        sending.start(UUID, THERE)
        wait_for(sending, Transfer(TransferPhase.COMPLETED, progress=100))
    assert len(hypervisor.sent) == 2


@pytest.mark.parametrize(
    ("cause", "has_traceback"), [(VirtError("cannot send: disk full"), False), (OSError("cannot send: x"), True)]
)
def test_a_failure_is_told_and_said(
    sending: DiskSending, hypervisor: Hypervisor, lines: list[Line], cause: Exception, has_traceback: bool
) -> None:
    hypervisor.fails_with = cause
    hypervisor.goes_on.release(4)
    with request_context(request_id=REQUEST):
        sending.start(UUID, THERE)
    wait_for(sending, Transfer(TransferPhase.FAILED, progress=100, error=str(cause)))
    wait_until(lambda: lines)
    ((level, said, fields),) = lines
    assert (level, said) == ("ERROR", "disk was not sent")
    assert (fields["error"], fields["cause"]) == (str(cause), type(cause).__name__)


def test_one_that_is_not_wanted_any_more_is_given_up(sending: DiskSending, hypervisor: Hypervisor) -> None:
    sending.start(UUID, THERE)
    stopping = threading.Thread(target=sending.stop, args=(UUID,))
    stopping.start()
    while stopping.is_alive():  # it notices when it goes on
        hypervisor.goes_on.release()
        stopping.join(0.01)
    assert sending.transfer(UUID).phase is TransferPhase.CANCELLED
    sending.stop(UUID)
    sending.stop(OTHER)


def test_one_that_does_not_end_is_an_error_and_goes_on_being_known(hypervisor: Hypervisor) -> None:
    sending = DiskSending(hypervisor.send_disk, stop_wait_s=0.01)
    sending.start(UUID, THERE)
    with pytest.raises(VirtError, match=r"it goes on after 0\.01 s$"):
        sending.stop(UUID)
    assert sending.transfer(UUID).phase is TransferPhase.RUNNING


def test_of_those_that_have_ended_a_bounded_number_is_known(sending: DiskSending, hypervisor: Hypervisor) -> None:
    hypervisor.goes_on.release(4 * (MAX_ENDED + 3))
    for number in range(MAX_ENDED + 3):
        sending.start(str(number), THERE)
        wait_for(sending, Transfer(TransferPhase.COMPLETED, progress=100), str(number))
    known = [number for number in range(MAX_ENDED + 3) if sending.transfer(str(number)).phase is not TransferPhase.NONE]
    assert MAX_ENDED <= len(known) <= MAX_ENDED + 1
    assert known[-1] == MAX_ENDED + 2
