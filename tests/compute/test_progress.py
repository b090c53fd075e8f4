"""How far an instance is, as the database is told."""

from cloud.domain.instance import TaskState, VmState
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.compute.progress import ProgressReport
from tests.compute.site import UUID, Site


class Seconds:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_takes_less_than_a_second_is_not_told(site: Site) -> None:
    instance = site.enter()
    with ProgressReport(site.host, instance, clock_s=Seconds()) as progress:
        for percent in (33, 66, 100):
            progress(percent)
    assert site.records.asked == []


def test_it_is_told_once_a_second_and_is_nothing_at_the_end(site: Site) -> None:
    instance = site.enter()
    seconds = Seconds()
    told = []
    with ProgressReport(site.host, instance, clock_s=seconds) as progress:
        for percent, seconds.now_s in ((10, 101.0), (20, 101.5), (30, 102.0)):
            progress(percent)
            told.append(site.records.instances.get(UUID).progress)
    assert told == [10, 10, 30]
    assert site.records.instances.get(UUID).progress == 0


def test_an_instance_that_was_changed_meanwhile_is_left_alone(site: Site) -> None:
    instance = site.enter()
    site.records.instances.update(UUID, {"task_state": TaskState.DELETING})
    seconds = Seconds()
    with ProgressReport(site.host, instance, clock_s=seconds) as progress:
        for seconds.now_s in (101.0, 102.0, 103.0):
            progress(50)
    assert site.records.instances.get(UUID).progress == 0
    assert site.records.asked == ["update_instance"] * 2  # nor is it tried again, but for the end


def test_that_nobody_can_be_told_is_no_failure(site: Site) -> None:
    instance = site.enter(vm_state=VmState.BUILDING)
    site.records.away = {"update_instance": RpcTimeoutError("no reply")}
    seconds = Seconds()
    with ProgressReport(site.host, instance, clock_s=seconds) as progress:
        seconds.now_s = 101.0
        progress(50)
