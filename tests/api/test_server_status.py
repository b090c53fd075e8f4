"""vm_state and task_state against the word that users read."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.services.api.server_status import States, states_of, status_of

NOW = datetime(2014, 10, 16, tzinfo=UTC)
INSTANCE = Instance(
    id=1,
    uuid="8b9fc2a4-84be-47f8-b0b4-c9c20acabbfd",
    project_id="p",
    user_id="u",
    display_name="vm1",
    flavor=Flavor(1, "1", "m1.tiny", 512, 1, 1),
    vm_state=VmState.ACTIVE,
    task_state=None,
    power_state=PowerState.RUNNING,
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "rebuilding", "REBUILD"),
        ("active", "migrating", "MIGRATING"),
        ("active", "resize_prep", "RESIZE"),
        ("active", "resize_migrating", "RESIZE"),
        ("active", "resize_migrated", "RESIZE"),
        ("active", "resize_finish", "RESIZE"),
        ("active", "image_snapshot", "ACTIVE"),
        ("active", "powering-off", "ACTIVE"),
        ("active", "deleting", "ACTIVE"),
        ("building", "scheduling", "BUILD"),
        ("building", "spawning", "BUILD"),
        ("building", None, "BUILD"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "powering-on", "SHUTOFF"),
        ("stopped", "resize_prep", "RESIZE"),
        ("stopped", "resize_finish", "RESIZE"),
        ("stopped", "rebuilding", "REBUILD"),
        ("paused", None, "PAUSED"),
        ("paused", "migrating", "MIGRATING"),
        ("suspended", None, "SUSPENDED"),
        ("resized", None, "VERIFY_RESIZE"),
        ("resized", "resize_confirming", "VERIFY_RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("rescued", None, "RESCUE"),
        ("error", None, "ERROR"),
        ("error", "deleting", "ERROR"),
        ("error", "rebuilding", "REBUILD"),
        ("deleted", None, "DELETED"),
    ],
)
def test_states_read_as_novas_word(vm_state: str, task_state: str | None, status: str) -> None:
    task = None if task_state is None else TaskState(task_state)
    assert status_of(replace(INSTANCE, vm_state=VmState(vm_state), task_state=task)) == status


def test_whatever_is_deleted_reads_deleted() -> None:
    assert status_of(replace(INSTANCE, deleted_at=NOW)) == "DELETED"


@pytest.mark.parametrize(
    ("statuses", "states"),
    [
        (["ACTIVE"], States(frozenset({VmState.ACTIVE}), None)),
        (["active"], States(frozenset({VmState.ACTIVE}), None)),
        (["HARD_REBOOT"], States(frozenset({VmState.ACTIVE}), frozenset({TaskState.REBOOTING_HARD}))),
        (["REVERT_RESIZE"], States(frozenset({VmState.RESIZED}), frozenset({TaskState.RESIZE_REVERTING}))),
        (["MIGRATING"], States(frozenset({VmState.ACTIVE, VmState.PAUSED}), frozenset({TaskState.MIGRATING}))),
        (["SHUTOFF", "ERROR"], States(frozenset({VmState.STOPPED, VmState.ERROR}), None)),
        (["NOTHING"], None),
        ([], None),
    ],
)
def test_words_are_read_back(statuses: list[str], states: States | None) -> None:
    assert states_of(statuses) == states
