"""Where an instance is after classic nova's procedures: never where another one may have taken it away from.

One short story for each rule, all of them in one store.
"""

from collections.abc import Iterator, Mapping

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty
from cloud.logs.query.explain.operation import Ending
from tests.query.explain.story import CLAIMS, DRIVER, RPC, Story, stored, where
from tests.query.explain.wire import explained

NOWHERE = (None, Certainty.UNKNOWN)
NO_ROUTE = "Live Migration failure: unable to connect to server at 'two:49152': No route to host"
NO_REPLY = "MessagingTimeout: Timed out waiting for a reply to message ID 1d3f3a6e"


def built(number: int) -> Story:
    return Story(number).say("one", 1, "INFO", "Starting instance...").say("one", 9, "INFO", "Took 8.1 seconds to build instance.")  # fmt: skip


def migrated(number: int) -> Story:
    return Story(number).say("one", 3, "INFO", f"Migrating instance to two-{number} finished successfully.")


LEFT_OPEN: Mapping[str, tuple[Story, tuple[str | None, Certainty]]] = {
    "evacuated after it was migrated": (
        migrated(101)
        .say("three", 300, "INFO", "Rebuilding instance", turn=2)
        .say("three", 301, "INFO", "disk not on shared storage, rebuilding from: 'u'", turn=2)
        .say("three", 310, "INFO", "Instance spawned successfully.", logger=DRIVER, turn=None),
        NOWHERE,
    ),
    "evacuated after its migration had failed": (
        Story(102)
        .say("one", 1, "ERROR", NO_ROUTE, logger=DRIVER)
        .say("two", 400, "INFO", "Rebuilding instance", turn=2),
        NOWHERE,
    ),
    "migrated a second time, to the third host's own words": (
        migrated(103)
        .say("two", 330, "INFO", "Migration operation has completed", logger=DRIVER, turn=2)
        .say("two", 330.1, "INFO", "_post_live_migration() is started..", turn=2)
        .say("three", 331, "INFO", "Post operation of migration started", turn=2),
        ("three-103", Certainty.LIKELY),
    ),
    "migrated a second time, nobody says to where": (
        migrated(104).say("two", 330, "INFO", "_post_live_migration() is started..", turn=2),
        NOWHERE,
    ),
    "migrated a second time, on its way": (
        migrated(105).say("two", 330, "INFO", "Migration running for 0 secs", logger=DRIVER, turn=2),
        NOWHERE,
    ),
    "moved while it was off": (
        built(106)
        .say("two", 300, "INFO", "Claim successful", logger=CLAIMS, turn=2)
        .say("two", 301, "INFO", "Migrating", turn=2)
        .say("one", 330, "INFO", "Instance destroyed successfully.", logger=DRIVER, turn=None),
        NOWHERE,
    ),
    "claimed by another host, nobody says what for": (
        built(107).say("two", 300, "INFO", "Claim successful", logger=CLAIMS, turn=2),
        NOWHERE,
    ),
    "built, then migrated without an end": (
        built(108)
        .say("one", 300, "INFO", "Migration running for 0 secs, memory 100% remaining", logger=DRIVER, turn=2)
        .say("two", 310, "INFO", "Post operation of migration started", turn=2),
        ("two-108", Certainty.LIKELY),
    ),
    "shelved": (
        built(109)
        .say("one", 300, "INFO", "Shelving", turn=2)
        .say("one", 310, "INFO", "Instance destroyed successfully.", logger=DRIVER, turn=None)
        .say("one", 330, "INFO", "Shelve offloading", turn=2),
        NOWHERE,
    ),
    "offloaded by a periodic task": (
        built(117).say("one", 3000, "INFO", "Shelve offloading", turn=None),
        NOWHERE,
    ),
    "resized, and reverted while it was off": (
        Story(110)
        .say("two", 1, "INFO", "Claim successful", logger=CLAIMS)
        .say("two", 2, "INFO", "Migrating")
        .say("two", 40, "INFO", "Instance running successfully.", logger=DRIVER, turn=None)
        .say("one", 310, "INFO", "Updating instance to original state", turn=2),
        NOWHERE,
    ),
    "resized, and cannot be finished": (
        Story(111)
        .say("two", 2, "INFO", "Migrating")
        .say("one", 9, "ERROR", "an echo", trace="Odd: it is", frames=["compute/manager.py resize_instance"])
        .say("two", 20, "ERROR", "it is off", trace="Odd: so", frames=["compute/manager.py finish_resize"]),
        ("one-111", Certainty.LIKELY),
    ),
    "broken off in post-copy mode": (
        Story(112)
        .say("one", 1, "INFO", "Migration running for 0 secs, memory 100% remaining", logger=DRIVER)
        .say("one", 60, "INFO", "Switching to post-copy migration mode", logger="nova.virt.libvirt.migration")
        .say("one", 63, "ERROR", "Live Migration failure: operation failed: job: unexpectedly failed", logger=DRIVER),
        NOWHERE,
    ),
    "spawned on a second host after a first": (
        Story(113)
        .say("one", 1, "INFO", "Starting instance...")
        .say("one", 8, "INFO", "Instance spawned successfully.", logger=DRIVER, turn=None)
        .say("one", 70, "ERROR", "Error: nobody answers", trace=NO_REPLY)
        .say("two", 75, "INFO", "Starting instance...")
        .say("two", 90, "INFO", "Instance spawned successfully.", logger=DRIVER, turn=None)
        .say("two", 91, "INFO", "Took 16.1 seconds to build instance."),
        ("two-113", Certainty.CERTAIN),
    ),
    "deleted, though a filter was not": (
        built(114)
        .say("one", 100, "INFO", "Terminating instance", turn=2)
        .say("one", 102, "ERROR", "Error from libvirt during unfilter. Code=55", logger=DRIVER, turn=2)
        .say("one", 103, "INFO", "Took 0.42 seconds to deallocate network for instance.", turn=2),
        (None, Certainty.LIKELY),
    ),
    "migrated to a second destination, without an end": (
        Story(115)
        .say("d1", 1, "ERROR", "Exception during message handling: no", logger=RPC, is_tagged=False,
             trace="InvalidCPUInfo: no", frames=["compute/manager.py check_can_live_migrate_destination"])
        .say("one", 5, "INFO", "Migration running for 0 secs, memory 100% remaining", logger=DRIVER)
        .say("d2", 9, "INFO", "Post operation of migration started"),
        ("d2-115", Certainty.LIKELY),
    ),
    "failed where only the caller's frames name a step": (
        Story(116)
        .say("one", 10, "ERROR", "Pre live migration failed at two-116", trace="RemoteError: Remote error: Odd it is",
             frames=["compute/manager.py live_migration", "compute/rpcapi.py pre_live_migration"])
        .say("one", 10.5, "ERROR", "Exception during message handling: Remote error: Odd", logger=RPC, is_tagged=False,
             trace="RemoteError: Remote error: Odd it is",
             frames=["compute/manager.py live_migration", "compute/rpcapi.py pre_live_migration"]),
        ("one-116", Certainty.LIKELY),
    ),
}  # fmt: skip
RESUMED = (
    built(130)
    .say("one", 300, "INFO", "Resuming", turn=2)
    .say("one", 305, "INFO", "Instance running successfully.", logger=DRIVER, turn=None)
)
OTHERS_FRAMES = Story(131).say(
    "one", 10, "ERROR", "Exception during message handling: Remote error: Odd", logger=RPC,
    trace="RemoteError: Remote error: Odd it is\n[u'Traceback (most recent call last):\\n', "
    'u\'  File "/usr/lib/python2.7/dist-packages/nova/compute/manager.py", line 5, in pre_live_migration\\n\']',
    frames=["compute/manager.py live_migration", "compute/rpcapi.py pre_live_migration"],
)  # fmt: skip
NOT_SENT = (
    Story(132)
    .say("two", 1, "INFO", "Claim successful", logger=CLAIMS)
    .say("two", 1.1, "INFO", "Migrating")
    .say("two", 30, "ERROR", "Error: no broker", trace="MessageDeliveryFailure: Unable to connect to AMQP server",
         frames=["compute/manager.py _prep_resize", "compute/rpcapi.py resize_instance"])
)  # fmt: skip
CUT_OFF = Story(133).say(
    "one", 82, "ERROR", "Live migration failed.", trace=NO_REPLY,
    frames=["virt/libvirt/driver.py live_migration", "compute/manager.py _post_live_migration",
            "compute/rpcapi.py post_live_migration_at_destination"],
)  # fmt: skip
STORIES = [*(story for story, _ in LEFT_OPEN.values()), RESUMED, OTHERS_FRAMES, NOT_SENT, CUT_OFF]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    store = stored(STORIES, tmp_path_factory.mktemp("told"))
    yield store
    store.close()


def test_no_place_is_told_that_a_later_procedure_may_have_changed(told: DuckDbStore) -> None:
    found = {name: where(explained(told, story.uuid)) for name, (story, _) in LEFT_OPEN.items()}
    assert found == {name: place for name, (_, place) in LEFT_OPEN.items()}


def test_a_guest_that_runs_again_is_where_its_host_says_and_was_not_resized(told: DuckDbStore) -> None:
    found = explained(told, RESUMED.uuid)
    assert (found.procedure, where(found)) == ("request", (RESUMED.host("one"), Certainty.LIKELY))


def test_frames_of_a_host_that_was_called_do_not_make_the_caller_that_host(told: DuckDbStore) -> None:
    found = explained(told, OTHERS_FRAMES.uuid)
    assert found.failure is not None
    assert (found.failure.step, found.source, found.destination) == ("pre", None, None)
    assert where(found) == NOWHERE


def test_a_call_that_was_not_sent_is_no_step_of_the_host_that_was_to_be_called(told: DuckDbStore) -> None:
    found = explained(told, NOT_SENT.uuid)
    assert found.failure is not None
    assert (found.failure.step, found.source, found.destination) == ("claim", None, NOT_SENT.host("two"))


def test_a_failure_behind_the_transfer_is_known_by_its_traceback_where_all_before_it_is_cut_off(
    told: DuckDbStore,
) -> None:
    found = explained(told, CUT_OFF.uuid)
    assert found.failure is not None
    assert (found.ending, found.failure.step, where(found)) == (Ending.FAILED, "post", NOWHERE)
