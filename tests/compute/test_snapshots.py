"""An instance's disk as an image: what is there afterwards, and what is not when it fails."""

import threading
from collections.abc import Callable

import pytest

from cloud.domain.image import ACTIVE, QUEUED
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ImageUnavailableError
from cloud.logs.emit import request_context
from cloud.services.compute.snapshots import Snapshots
from tests.compute.image_store import SNAPSHOT
from tests.compute.site import HOST, REQUEST, UUID, Site
from tests.services.said import Line

DISK = f"disk of {UUID}\n".encode()


@pytest.fixture
def taken(site: Site) -> Site:
    """Where one is to be taken."""
    site.run(task_state=TaskState.IMAGE_SNAPSHOT)
    site.images.put(SNAPSHOT, None)
    return site


def left(site: Site) -> list[str]:
    directory = site.directory / "snapshots"
    return [path.name for path in directory.iterdir()] if directory.exists() else []


def test_the_image_has_the_disk_and_the_instance_is_as_before(taken: Site, lines: list[Line]) -> None:
    taken.snapshots.take(UUID, SNAPSHOT)
    assert taken.images.data[SNAPSHOT] == DISK
    assert taken.images.images[SNAPSHOT].status == ACTIVE
    assert taken.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert left(taken) == []
    assert [said for _, said, _ in lines] == ["instance snapshotted"]


def test_it_says_that_it_uploads(taken: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TaskState | None] = []
    upload = taken.images.upload

    def look(*arguments: object) -> object:
        seen.append(taken.state()[1])
        return upload(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(taken.images, "upload", look)
    taken.snapshots.take(UUID, SNAPSHOT)
    assert seen == [TaskState.IMAGE_UPLOADING]


@pytest.mark.parametrize("step", ["snapshot", "snapshot.copy", "upload"])
def test_after_a_failure_there_is_no_image_and_the_instance_is_as_before(
    taken: Site, lines: list[Line], step: str
) -> None:
    if step == "upload":
        taken.images.upload_fails = ImageUnavailableError("no answer")
    else:
        taken.turn(fail=[step])
    with request_context(request_id=REQUEST):
        taken.records.actions.start(UUID, "createImage")
        taken.snapshots.take(UUID, SNAPSHOT)
    assert SNAPSHOT not in taken.images.images
    assert taken.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert taken.fault() is not None
    assert taken.steps() == [("compute_snapshot_instance", HOST, "Error")]
    assert left(taken) == []
    assert [(level, said) for level, said, _ in lines] == [("ERROR", "cannot snapshot instance")]


def test_a_directory_that_cannot_be_written_is_a_failure_like_any_other(taken: Site) -> None:
    (taken.directory / "snapshots").write_text("")
    taken.snapshots.take(UUID, SNAPSHOT)
    assert str(taken.fault()).startswith(f"cannot snapshot instance {UUID}: ")
    assert taken.state()[1] is None
    assert SNAPSHOT not in taken.images.images


def lose(site: Site) -> None:
    site.records.instances.delete(UUID)


def go_on(site: Site) -> None:
    site.records.instances.update(UUID, {"task_state": None})


@pytest.mark.parametrize("change", [lose, go_on])
def test_a_request_that_does_not_hold_any_more_takes_its_image_with_it(
    taken: Site, change: Callable[[Site], None]
) -> None:
    change(taken)
    taken.snapshots.take(UUID, SNAPSHOT)
    assert SNAPSHOT not in taken.images.images


def test_a_request_that_comes_again_after_its_end_leaves_the_image(taken: Site) -> None:
    taken.snapshots.take(UUID, SNAPSHOT)
    taken.snapshots.take(UUID, SNAPSHOT)
    assert taken.images.data[SNAPSHOT] == DISK
    assert taken.fault() is None


@pytest.mark.parametrize("task_state", [TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_UPLOADING])
def test_what_a_dead_process_has_begun_is_done_anew(taken: Site, task_state: TaskState) -> None:
    taken.records.instances.update(UUID, {"task_state": task_state})
    (taken.directory / "snapshots").mkdir()
    (taken.directory / "snapshots" / f"{UUID}.raw").write_text("half")
    Snapshots(taken.host, taken.images, taken.directory / "snapshots").take(UUID, SNAPSHOT)
    assert taken.images.data[SNAPSHOT] == DISK
    assert taken.state()[1] is None


def test_what_was_uploaded_just_before_the_process_died_is_not_uploaded_again(taken: Site) -> None:
    taken.images.put(SNAPSHOT, b"all of it")
    taken.records.instances.update(UUID, {"task_state": TaskState.IMAGE_UPLOADING})
    taken.snapshots.take(UUID, SNAPSHOT)
    assert taken.images.data[SNAPSHOT] == b"all of it"
    assert taken.state()[1] is None


def test_an_instance_is_deleted_while_its_snapshot_is_uploaded(taken: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = taken.images.upload

    def delete_first(*arguments: object) -> object:
        taken.records.instances.update(UUID, {"task_state": TaskState.DELETING})
        deleting = threading.Thread(target=taken.lifecycle.delete, args=(UUID,))
        deleting.start()
        deleting.join(10)
        assert taken.snapshots.is_taking(UUID)
        return upload(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(taken.images, "upload", delete_first)
    taken.snapshots.take(UUID, SNAPSHOT)
    assert taken.state()[0] is VmState.DELETED
    assert taken.fault() is None
    assert taken.images.images[SNAPSHOT].status == ACTIVE  # all of it is there
    assert not taken.snapshots.is_taking(UUID)


def test_an_image_that_cannot_be_deleted_is_said(
    taken: Site, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_image_id: str) -> None:
        raise ImageUnavailableError("no answer")

    monkeypatch.setattr(taken.images, "delete", refuse)
    taken.turn(fail=["snapshot"])
    taken.snapshots.take(UUID, SNAPSHOT)
    assert taken.images.images[SNAPSHOT].status == QUEUED
    assert "cannot delete the image of a failed snapshot" in [said for _, said, _ in lines]
