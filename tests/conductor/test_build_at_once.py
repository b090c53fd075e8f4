"""Many builds at the same time on hosts that have room for some: as many are active, the others know why they are not."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from cloud.db.engine import Database
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest
from cloud.domain.instance import VmState
from tests.conductor.site import IMAGE, Site
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, new_instance

HOSTS = tuple(f"compute-{number:02}" for number in range(1, 11))
ROOM = Resources(10 * SMALL.memory_mb, 10_000, 10_000)
WANTED = 200
WORKERS = 16


def test_of_two_hundred_on_room_for_a_hundred_exactly_a_hundred_are_active(database: Database, clock: Clock) -> None:
    site = Site(database, clock, HOSTS, ROOM)
    numbers = range(1, WANTED + 1)
    entered = site.tables.instances.create([new_instance(number, image_id=IMAGE) for number in numbers], NO_QUOTA)
    requests = [BuildRequest(each.uuid, each.project_id, each.flavor, each.image_id) for each in entered]
    conductors = [site.builder() for _ in range(2)]
    with ThreadPoolExecutor(WORKERS) as threads:
        builds = [
            threads.submit(site.build, request, conductors[number % 2]) for number, request in enumerate(requests)
        ]
    for build in builds:
        build.result()

    active = [number for number in numbers if site.instance(number).vm_state is VmState.ACTIVE]
    assert len(active) == 100
    for number in active:
        site.assert_active(number)
    assert Counter(site.instance(number).host for number in active) == dict.fromkeys(HOSTS, 10)
    assert len({site.instance(number).addresses for number in active}) == 100
    for number in set(numbers) - set(active):
        assert site.assert_in_error(number).message == "no valid host: 10 hosts; RamFilter 10 -> 0"
    assert site.waited_s == []
