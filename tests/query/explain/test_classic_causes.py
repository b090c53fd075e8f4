"""Why classic nova's procedures failed: by their own last failure, not by what failed before it or beside it.

One short story for each rule, all of them in one store.
"""

from collections.abc import Iterator

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Explanation, Verdict
from cloud.logs.query.explain.operation import Ending
from tests.query.explain.story import CLAIMS, DRIVER, RPC, Story, error_of, stored
from tests.query.explain.wire import explained

RUNNING = "Migration running for 0 secs, memory 100% remaining; (bytes processed=0)"
NO_ROUTE = "Live Migration failure: unable to connect to server at 'two:49152': No route to host"
BROKEN_OFF = "Live Migration failure: operation failed: migration job: unexpectedly failed"
NO_REPLY = "MessagingTimeout: Timed out waiting for a reply to message ID 1d3f3a6e"
KILLED = "Killed process 4711 (qemu-system-x86)"
NOT_REFRESHED = "An error occurred while refreshing the network cache."

PASSED_OVER = (
    Story(201)
    .say("d1", 0.5, "INFO", "Instance launched has CPU info", logger=DRIVER)
    .say("d1", 1, "ERROR", "Exception during message handling: Unacceptable CPU info", logger=RPC, is_tagged=False,
         trace="InvalidCPUInfo: Unacceptable CPU info: CPU doesn't have compatibility.",
         frames=["compute/manager.py check_can_live_migrate_destination"])
    .say("d1", 1.1, "ERROR", "Returning exception Unacceptable CPU info to caller", logger=RPC, is_tagged=False)
    .say("src", 5, "INFO", RUNNING, logger=DRIVER)
    .say("src", 9, "ERROR", NO_ROUTE, logger=DRIVER)
)  # fmt: skip
PASSED_OVER_TWICE = (
    Story(215)
    .say("d1", 1, "ERROR", "Exception during message handling: Unacceptable CPU info", logger=RPC, is_tagged=False,
         trace="InvalidCPUInfo: Unacceptable CPU info: CPU doesn't have compatibility.",
         frames=["compute/manager.py check_can_live_migrate_destination"])
    .say("d2", 3, "ERROR", "Exception during message handling: too large", logger=RPC, is_tagged=False,
         trace="MigrationError: Migration error: Disk of instance is too large(available on destination host:1 < need:2)",
         frames=["compute/manager.py check_can_live_migrate_destination"])
    .say("ctl", 4, "WARNING", "Setting instance to ACTIVE state.", service="nova-conductor")
)  # fmt: skip
ONE_OF_TWO, OTHER_OF_TWO = Story(202), Story(202)
OTHER_OF_TWO.uuid = "00000000-0000-4000-8000-999999999202"
(
    ONE_OF_TWO.tell(0.5, "INFO", "Attempting to build 2 instance(s)")
    .say("h1", 1, "INFO", "Starting instance...")
    .say("h1", 8, "INFO", "Instance spawned successfully.", logger=DRIVER)
)
(
    OTHER_OF_TWO.say("h2", 1, "INFO", "Starting instance...")
    .say("h2", 12, "ERROR", "Instance failed to spawn", trace="libvirtError: internal error")
    .tell(40, "WARNING", "Failed to compute_task_build_instances: No valid host was found.")
    .say("ctl", 40.1, "WARNING", "Setting instance to ERROR state.", service="nova-conductor")
)
ASIDE_LATER = (
    Story(203)
    .say("one", 1, "INFO", "Migration operation has completed", logger=DRIVER)
    .say("one", 3, "INFO", "Migrating instance to two-203 finished successfully.")
    .say("two", 20, "ERROR", NOT_REFRESHED, turn=None, trace=NO_REPLY)
)
ASIDE_BEFORE = (
    Story(204)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .say("one", 20, "ERROR", NOT_REFRESHED, turn=None, trace=NO_REPLY)
    .say("one", 50, "ERROR", NO_ROUTE, logger=DRIVER)
)
IN_A_LOOP = (
    Story(205)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .say("one", 50, "ERROR", "Live Migration failure: operation failed: it is odd", logger=DRIVER)
    .say("one", 51, "ERROR", "in a looping call", turn=None, logger="nova.openstack.common.loopingcall",
         trace="libvirtError: operation failed: it is odd")
)  # fmt: skip
KILLED_LONG_BEFORE = (
    Story(206)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .beside("one", 70, KILLED, service="kernel")
    .say("one", 900, "ERROR", BROKEN_OFF, logger=DRIVER)
)
LOG_FULL = (
    Story(207)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .beside("one", 5, "file '/var/log/kern.log': write error: No space left on device", service="rsyslogd")
    .beside("one", 6, "cannot write /var/log/qemu.log: No space left on device", service="libvirtd")
    .say("one", 9, "ERROR", "Live Migration failure: End of file while reading data: Input/output error", logger=DRIVER)
)
RESET = (
    Story(208)
    .say("h1", 1, "INFO", "Starting instance...")
    .beside("h1", 3, KILLED, service="kernel")
    .say("h1", 5, "ERROR", "Instance failed to spawn", trace="ConnectionFailed: Connection to neutron failed: Connection reset by peer")
)  # fmt: skip
PLUGGED_LATE = (
    Story(209)
    .say("h1", 1, "INFO", "Starting instance...")
    .say("h1", 302, "WARNING", "Timeout waiting for vif plugging callback for instance", logger=DRIVER)
    .say("h1", 305, "ERROR", "Instance failed to spawn",
         trace="libvirtError: qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory")
)  # fmt: skip
PLUGGED_LATE_BEFORE = (
    Story(210)
    .say("two", 0.5, "WARNING", "Timeout waiting for vif plugging callback for instance", logger=DRIVER)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .say("one", 30, "ERROR", BROKEN_OFF, logger=DRIVER)
)
TWO_HOSTS = (
    Story(211)
    .say("h1", 1, "INFO", "Starting instance...")
    .say("h1", 2, "INFO", "Claim successful", logger=CLAIMS)
    .say("h1", 8, "ERROR", "Instance failed to spawn", trace="VirtualInterfaceCreateException: Virtual Interface creation failed")
    .say("h2", 12, "INFO", "Starting instance...")
    .say("h1", 12.5, "ERROR", "Failed to deallocate networks", trace="ConnectionFailed: neutron is away")
    .say("h2", 18, "ERROR", "Instance failed to spawn", trace="ImageUnacceptable: Image 11 is unacceptable: Converted to raw")
    .tell(20, "WARNING", "Failed to compute_task_build_instances: No valid host was found. Exceeded max scheduling attempts 2 for instance x. Last exception: Image 11 is unacceptable: Converted to raw")
)  # fmt: skip
OTHER_LIBVIRT = (
    Story(212)
    .say("one", 1, "INFO", RUNNING, logger=DRIVER)
    .say("one", 9, "ERROR", "Live Migration failure: Cannot recv data: Connection reset by peer", logger=DRIVER,
         trace="libvirtError: Cannot recv data: Connection reset by peer")
)  # fmt: skip
NO_AGENT = Story(213).say("one", 1, "INFO", "Starting instance...").say(
    "one", 2, "ERROR", "Instance failed to spawn",
    trace="libvirtError: authentication failed: polkit: Authorization requires authentication but no agent is available.",
)  # fmt: skip
ASKED_MEANWHILE = (
    Story(214)
    .say("two", 5, "INFO", "Instance launched has CPU info", logger=DRIVER)
    .say("one", 880, "INFO", "Get console output", turn=2)
    .say("one", 900, "ERROR", NO_ROUTE, logger=DRIVER, turn=None)
)
STORIES = [each for each in list(globals().values()) if isinstance(each, Story)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    store = stored(STORIES, tmp_path_factory.mktemp("told"))
    yield store
    store.close()


def causes_of(found: Explanation) -> list[str]:
    return [cause.id for cause in found.causes]


def test_a_host_that_was_passed_over_is_neither_why_it_failed_nor_its_destination(told: DuckDbStore) -> None:
    found = explained(told, PASSED_OVER.uuid)
    assert (error_of(found), causes_of(found)) == (NO_ROUTE, ["migration-port-refused"])
    assert (found.source, found.destination) == (PASSED_OVER.host("src"), None)
    assert [(each.step, each.hosts) for each in found.earlier_failures] == [("dest_check", (PASSED_OVER.host("d1"),))]
    assert found.earlier_failures[0].error.startswith("InvalidCPUInfo: Unacceptable CPU info")


def test_of_two_hosts_that_were_passed_over_the_last_is_why_it_failed(told: DuckDbStore) -> None:
    found = explained(told, PASSED_OVER_TWICE.request())
    assert found.failure is not None
    assert (found.failure.hosts, causes_of(found)) == ((PASSED_OVER_TWICE.host("d2"),), ["destination-disk-too-small"])
    assert [each.hosts for each in found.earlier_failures] == [(PASSED_OVER_TWICE.host("d1"),)]
    assert found.destination == PASSED_OVER_TWICE.host("d2")


def test_of_two_instances_of_one_request_the_one_that_runs_has_not_failed(told: DuckDbStore) -> None:
    found = explained(told, ONE_OF_TWO.uuid)
    assert (found.ending, found.verdict) == (Ending.COMPLETED, Verdict.NO_FAILURE)
    other = explained(told, OTHER_OF_TWO.uuid)
    assert (other.ending, error_of(other), causes_of(other)) == (Ending.FAILED, "libvirtError: internal error", [])


def test_what_a_periodic_task_says_does_not_undo_a_success(told: DuckDbStore) -> None:
    found = explained(told, ASIDE_LATER.uuid)
    assert (found.ending, found.verdict) == (Ending.COMPLETED, Verdict.NO_FAILURE)


def test_what_a_periodic_task_says_is_not_why_it_failed(told: DuckDbStore) -> None:
    found = explained(told, ASIDE_BEFORE.uuid)
    assert (error_of(found), causes_of(found)) == (NO_ROUTE, ["migration-port-refused"])


def test_what_is_said_without_a_request_is_an_echo_where_it_tells_the_same(told: DuckDbStore) -> None:
    found = explained(told, IN_A_LOOP.uuid)
    assert error_of(found) == "libvirtError: operation failed: it is odd"
    assert found.failure is not None
    assert [echo.host for echo in found.failure.echoes] == [IN_A_LOOP.host("one")]


@pytest.mark.parametrize("story", [KILLED_LONG_BEFORE, LOG_FULL, RESET], ids=["long before", "a log", "another's"])
def test_what_a_host_says_is_not_behind_an_error_that_it_cannot_have_caused(told: DuckDbStore, story: Story) -> None:
    found = explained(told, story.uuid)
    assert (found.ending, causes_of(found)) == (Ending.FAILED, [])


def test_a_warning_is_not_why_it_failed_where_an_error_tells_that(told: DuckDbStore) -> None:
    assert causes_of(explained(told, PLUGGED_LATE.uuid)) == ["destination-out-of-memory"]
    found = explained(told, PLUGGED_LATE_BEFORE.uuid)
    assert (error_of(found), causes_of(found)) == (BROKEN_OFF, [])


def test_a_build_that_was_tried_on_two_hosts_has_failed_for_what_the_last_one_says(told: DuckDbStore) -> None:
    found = explained(told, TWO_HOSTS.uuid)
    assert found.failure is not None
    assert (found.failure.step, found.failure.hosts, causes_of(found)) == ("spawn", (TWO_HOSTS.host("h2"),), ["image-damaged"])  # fmt: skip
    assert [(each.step, each.hosts, each.error) for each in found.earlier_failures] == [
        ("spawn", (TWO_HOSTS.host("h1"),), "VirtualInterfaceCreateException: Virtual Interface creation failed")
    ]
    assert found.destination == TWO_HOSTS.host("h2")


@pytest.mark.parametrize("story", [OTHER_LIBVIRT, NO_AGENT], ids=["the other host's libvirt", "its own libvirt"])
def test_words_that_libvirt_has_for_several_things_are_no_cause(told: DuckDbStore, story: Story) -> None:
    found = explained(told, story.uuid)
    assert (found.ending, causes_of(found)) == (Ending.FAILED, [])


def test_a_failure_that_is_told_without_a_request_is_of_the_procedure_that_was_under_way(told: DuckDbStore) -> None:
    for subject in (ASKED_MEANWHILE.uuid, ASKED_MEANWHILE.request(1)):
        found = explained(told, subject)
        assert (found.procedure, error_of(found)) == ("migration", NO_ROUTE)
        assert (found.source, found.destination) == (ASKED_MEANWHILE.host("one"), ASKED_MEANWHILE.host("two"))
