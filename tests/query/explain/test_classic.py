"""How classic nova's lines are read: one short story for each rule, all of them in one store."""

from collections.abc import Iterator

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.classic import is_tried_again
from cloud.logs.query.explain.explanation import Certainty, Verdict
from cloud.logs.query.explain.lines import line_of
from cloud.logs.query.explain.operation import Ending
from tests.query.explain.story import DRIVER, PERIODIC, RPC, Story, error_of, stored, where
from tests.query.explain.wire import explained

REFUSED_BY_CONDUCTOR = (
    Story(1)
    .tell(1, "WARNING", "Failed to compute_task_rebuild_server: nobody has heard of this reason")
    .say("ctl", 1.1, "WARNING", "Setting instance to ERROR state.", service="nova-conductor")
)
REFUSED_BY_API = Story(2).tell(1, "INFO", "HTTP exception thrown: not on a Sunday", service="nova-api")
BUILT_ELSEWHERE = (
    Story(3)
    .say("one", 1, "INFO", "Starting instance...")
    .say("one", 2, "INFO", "Claim successful", logger="nova.compute.claims")
    .say("one", 3, "ERROR", "Instance failed to spawn", trace="NovaException: a first host has had enough")
    .say("two", 5, "INFO", "Starting instance...")
    .say("two", 6, "INFO", "Claim successful", logger="nova.compute.claims")
    .say("two", 8, "INFO", "VM Started (Lifecycle Event)", turn=2)
    .say("two", 90, "INFO", "Instance spawned successfully.", logger=DRIVER, turn=None)
)
BUILT_BY_ANOTHER = (
    Story(4)
    .say("one", 1, "INFO", "Starting instance...")
    .say("one", 2, "INFO", "Claim successful", logger="nova.compute.claims")
    .say("one", 3, "ERROR", "Instance failed to spawn", trace="NovaException: a first host has had enough")
    .say("one", 20, "INFO", "Rebuilding instance", turn=2)
    .say("one", 30, "INFO", "Instance spawned successfully.", logger=DRIVER, turn=None)
)
RESIZED_ELSEWHERE = (
    Story(5)
    .say("one", 1, "ERROR", "Error: no room", trace="ComputeResourcesUnavailable: Insufficient compute resources: few.")
    .say("two", 3, "INFO", "Claim successful", logger="nova.compute.claims")
    .say("two", 4, "INFO", "Migrating")
    .say("two", 40, "INFO", "Instance running successfully.", logger=DRIVER, turn=None)
)
TRIED_AGAIN = (
    Story(6)
    .say("one", 1, "INFO", "Starting instance...")
    .say("one", 2, "ERROR", "Neutron is in a mood", trace="ConnectionFailed: Connection to neutron failed: a mood")
    .say("one", 2.1, "WARNING", "Instance failed network setup (attempt 2 of 3)")
    .say("one", 9, "ERROR", "Instance failed to spawn", trace="NovaException: of quite another kind")
)
TRIED_IN_VAIN = (
    Story(7)
    .say("one", 1, "INFO", "Starting instance...")
    .say("one", 2, "ERROR", "Neutron is in a mood", trace="ConnectionFailed: Connection to neutron failed: a mood")
    .say("one", 2.1, "WARNING", "Instance failed network setup (attempt 3 of 3)")
    .say("one", 9, "ERROR", "Instance failed to spawn", trace="NovaException: of quite another kind")
)
MIGRATED = (
    Story(8)
    .say("one", 1, "INFO", "Migration operation has completed", logger=DRIVER)
    .say("two", 2, "INFO", "Post operation of migration started")
    .say("one", 3, "INFO", "Migrating instance to two-8 finished successfully.")
    .say("two", 70, "ERROR", "A cache was not refreshed", turn=2, trace="ConnectionFailed: much later")
    .say("two", 90, "INFO", "Looking around", turn=3, user=PERIODIC)
    .say("two", 91, "ERROR", "A periodic task has failed", turn=3, user=PERIODIC, trace="InternalError: later still")
)
FAILED_BEFORE = (
    Story(13)
    .say("one", 1, "ERROR", "Live Migration failure: nobody has heard of this reason", logger=DRIVER)
    .say("one", 70, "ERROR", "A periodic task has failed", turn=2, user=PERIODIC, trace="InternalError: later still")
)
MIGRATED_AND_STOPPED = (
    Story(9)
    .say("one", 1, "INFO", "Migration operation has completed", logger=DRIVER)
    .say("one", 3, "INFO", "Migrating instance to two-9 finished successfully.")
    .say("two", 70, "ERROR", "Exception during message handling", logger=RPC, turn=2, trace="OddError: cannot stop it")
)
GONE_OVER = (
    Story(10)
    .say("one", 1, "INFO", "Migration operation has completed", logger=DRIVER)
    .say("one", 1.1, "INFO", "_post_live_migration() is started..")
    .say("two", 2, "INFO", "Post operation of migration started")
    .say("one", 9, "ERROR", "Live migration failed.", trace="OddError: after all was done but the paperwork")
)
SAID_ON_THE_WAY = (
    Story(11)
    .say("one", 1, "INFO", "Starting instance...")
    .say("one", 2, "ERROR", "a file of /var is larger than is liked", logger="nova.virt.images", is_tagged=False)
    .say("one", 2.4, "ERROR", "Instance failed to spawn", trace="FlavorDiskSmallerThanImage: too small it is")
)
KILLED_THERE = (
    Story(12)
    .say("one", 1, "INFO", "Migration running for 0 secs, memory 100% remaining", logger=DRIVER)
    .say("two", 1.5, "INFO", "VM Stopped (Lifecycle Event)")
    .say("one", 4, "ERROR", "Live Migration failure: operation failed: job: unexpectedly failed", logger=DRIVER)
    .beside("two", 3, "Killed process 4711 (qemu-system-x86)", service="kernel")
)
STORIES = [each for each in list(globals().values()) if isinstance(each, Story)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    store = stored(STORIES, tmp_path_factory.mktemp("told"))
    yield store
    store.close()


def test_a_task_that_conductor_gives_up_has_failed_though_it_only_warns(told: DuckDbStore) -> None:
    found = explained(told, REFUSED_BY_CONDUCTOR.uuid)
    assert (found.ending, found.verdict) == (Ending.FAILED, Verdict.UNKNOWN)
    assert error_of(found) == "Failed to compute_task_rebuild_server: nobody has heard of this reason"


def test_a_request_that_the_api_refuses_has_failed_though_that_is_mere_news(told: DuckDbStore) -> None:
    found = explained(told, REFUSED_BY_API.request())
    assert (found.ending, found.verdict) == (Ending.FAILED, Verdict.UNKNOWN)
    assert error_of(found) == "HTTP exception thrown: not on a Sunday"


def test_a_guest_that_runs_without_a_request_ends_the_build_that_has_claimed_there_last(told: DuckDbStore) -> None:
    found = explained(told, BUILT_ELSEWHERE.uuid)
    assert (found.procedure, found.ending, found.failure) == ("build", Ending.COMPLETED, None)
    assert where(found) == (BUILT_ELSEWHERE.host("two"), Certainty.CERTAIN)


def test_a_guest_that_runs_after_another_request_has_begun_there_does_not_end_a_failed_build(
    told: DuckDbStore,
) -> None:
    found = explained(told, BUILT_BY_ANOTHER.request(1))
    assert (found.ending, error_of(found)) == (Ending.FAILED, "NovaException: a first host has had enough")


def test_a_resize_that_a_second_host_takes_has_not_failed(told: DuckDbStore) -> None:
    found = explained(told, RESIZED_ELSEWHERE.uuid)
    assert (found.procedure, found.ending, found.failure) == ("resize", Ending.COMPLETED, None)
    assert where(found) == (RESIZED_ELSEWHERE.host("two"), Certainty.LIKELY)


def test_an_attempt_that_is_followed_by_another_one_is_not_why_it_failed(told: DuckDbStore) -> None:
    found = explained(told, TRIED_AGAIN.uuid)
    assert found.failure is not None
    assert (found.failure.step, found.failure.error) == ("spawn", "NovaException: of quite another kind")


def test_the_last_attempt_is_why_it_failed(told: DuckDbStore) -> None:
    found = explained(told, TRIED_IN_VAIN.uuid)
    assert error_of(found) == "ConnectionFailed: Connection to neutron failed: a mood"


@pytest.mark.parametrize(
    ("text", "is_again"),
    [
        ("Instance failed network setup (attempt 1 of 3)", True),
        ("Instance failed network setup (attempt 3 of 3)", False),
        ("Error contacting glance server 'http://g:9292' for 'data', retrying.\nTraceback (most recent call last):", True),
        ("Error contacting glance server 'http://g:9292' for 'data', done trying.", False),
        ("a command failed. Not Retrying.", False),
        ("retrying is for others", False),
    ],
)  # fmt: skip
def test_whether_it_is_tried_again_is_said_in_the_first_line(text: str, *, is_again: bool) -> None:
    message = f"2027-01-15 12:00:00.000 77 ERROR nova.x [-] {text}"
    row = {"row_id": 1, "observed_timestamp": "2027-01-15T12:00:00Z", "severity": "err", "message": message}
    assert is_tried_again(line_of(row)) is is_again


def test_what_fails_aside_after_a_success_does_not_undo_it(told: DuckDbStore) -> None:
    found = explained(told, MIGRATED.uuid)
    assert (found.procedure, found.ending, found.failure) == ("migration", Ending.COMPLETED, None)
    assert where(found) == (MIGRATED.host("two"), Certainty.CERTAIN)
    assert [str(other.ending) for other in found.others] == ["failed", "failed"]


def test_what_fails_aside_after_a_failure_is_not_explained_in_its_place(told: DuckDbStore) -> None:
    found = explained(told, FAILED_BEFORE.uuid)
    assert error_of(found) == "Live Migration failure: nobody has heard of this reason"


def test_what_somebody_has_asked_for_after_a_success_is_explained(told: DuckDbStore) -> None:
    found = explained(told, MIGRATED_AND_STOPPED.uuid)
    assert (found.procedure, error_of(found)) == ("request", "OddError: cannot stop it")


def test_what_fails_behind_the_transfer_is_of_what_follows_it_and_the_guest_is_at_the_destination(
    told: DuckDbStore,
) -> None:
    found = explained(told, GONE_OVER.uuid)
    assert found.failure is not None
    assert (found.failure.step, found.failure.error) == ("post", "OddError: after all was done but the paperwork")
    assert where(found) == (GONE_OVER.host("two"), Certainty.LIKELY)


def test_what_a_service_says_on_the_way_to_a_traceback_is_an_echo_of_that(told: DuckDbStore) -> None:
    found = explained(told, SAID_ON_THE_WAY.uuid)
    assert error_of(found) == "FlavorDiskSmallerThanImage: too small it is"
    assert found.failure is not None
    assert ["is larger than is liked" in echo.text for echo in found.failure.echoes] == [True]


def test_a_qemu_that_the_kernel_has_killed_is_behind_a_transfer_that_broke_off(told: DuckDbStore) -> None:
    found = explained(told, KILLED_THERE.uuid)
    assert [(cause.id, cause.certainty) for cause in found.causes] == [("oom-killed", Certainty.LIKELY)]
