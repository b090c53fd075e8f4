"""ImageStore: what is on the disk is whole, whatever happens."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    ImageNotFoundError,
    QuotaError,
    TooLargeError,
)
from cloud.services.image import store as store_module
from cloud.services.image.data import DamagedImageError
from cloud.services.image.store import Expected, ImageStore, StoreError, StoreFailedError, StoreLimits
from tests.image.conftest import Line
from tests.image.sample import ID, NOW, OTHER_ID, image

MD5_OF_ABC = "900150983cd24fb0d6963f7d28e17f72"
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class Opened:
    """Stores on one directory, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = self._open()

    def reopen(self) -> ImageStore:
        """As a process that starts anew, whatever became of the one before."""
        self.store.close()
        self.store = self._open()
        return self.store

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def _open(self) -> ImageStore:
        return ImageStore(self.directory, StoreLimits(max_image_bytes=1000, max_images=2), lambda: NOW)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path / "state" / "images")
    yield opened
    opened.store.close()


def uploaded(store: ImageStore, data: bytes = b"abc") -> Any:
    store.create(image())
    upload = store.begin_upload(ID)
    upload.write(data)
    return upload.commit(Expected())


def test_an_upload_makes_an_active_image_with_checksums_that_outlives_the_process(opened: Opened) -> None:
    uploaded(opened.store)
    expected = image(status="active", size=3, checksum=MD5_OF_ABC, sha256=SHA256_OF_ABC)
    assert opened.store.get(ID) == expected
    assert opened.reopen().get(ID) == expected
    with opened.store.open(expected) as data:
        assert (data.read(2), data.read(2), data.read(2)) == (b"ab", b"c", b"")


def test_everything_is_for_us_alone(opened: Opened) -> None:
    uploaded(opened.store)
    assert stat.S_IMODE(opened.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in opened.directory.iterdir()} == {0o600}


def test_an_empty_upload_is_an_image_of_no_bytes(opened: Opened) -> None:
    opened.store.create(image())
    made = opened.store.begin_upload(ID).commit(Expected(size=0))
    assert (made.status, made.size, made.checksum) == ("active", 0, "d41d8cd98f00b204e9800998ecf8427e")
    with opened.store.open(made) as data:
        assert data.read(10) == b""


def test_while_data_comes_the_image_is_saving_and_a_crash_leaves_it_queued_without_bytes(opened: Opened) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    upload.write(b"half of i")
    assert opened.store.get(ID).status == "saving"
    opened.store.update(ID, lambda old: replace(old, name="renamed meanwhile"))
    upload._writer._file.close()  # as the end of a process does
    assert opened.reopen().get(ID) == image(name="renamed meanwhile")
    assert opened.files() == [f"{ID}.json", "lock"]


def test_what_changes_while_data_comes_is_not_lost(opened: Opened) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    opened.store.update(ID, lambda old: replace(old, name="renamed meanwhile"))
    upload.write(b"abc")
    assert upload.commit(Expected()).name == "renamed meanwhile"


def test_of_two_uploads_one_wins(opened: Opened) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    with pytest.raises(ConflictError, match="it is saving, not queued"):
        opened.store.begin_upload(ID)
    upload.write(b"abc")
    upload.commit(Expected())
    with pytest.raises(ConflictError, match="it is active, not queued"):
        opened.store.begin_upload(ID)


def test_of_many_that_begin_at_once_one_wins(opened: Opened) -> None:
    opened.store.create(image())
    barrier, won, lost = threading.Barrier(8), [], []

    def begin() -> None:
        barrier.wait()
        try:
            won.append(opened.store.begin_upload(ID))
        except ConflictError as exc:
            lost.append(exc)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    won[0].abort(ConflictError("test"), is_final=False)


@pytest.mark.parametrize(("is_final", "status"), [(False, "queued"), (True, "killed")])
def test_an_aborted_upload_leaves_no_bytes(opened: Opened, is_final: bool, status: str) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    upload.write(b"abc")
    upload.abort(BadRequestError("the client has gone"), is_final=is_final)
    assert opened.store.get(ID).status == status
    assert opened.files() == [f"{ID}.json", "lock"]
    assert opened.reopen().get(ID).status == status


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (Expected(size=4), "its size is 3, and 4 was announced"),
        (Expected(md5="0" * 32), f"its checksum is {MD5_OF_ABC}, and 0"),
    ],
)
def test_what_was_not_announced_is_not_taken(opened: Opened, expected: Expected, message: str) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    upload.write(b"abc")
    with pytest.raises(BadRequestError, match=message):
        upload.commit(expected)
    upload.abort(BadRequestError(message), is_final=False)
    assert opened.files() == [f"{ID}.json", "lock"]


def test_more_bytes_than_an_image_may_have_are_not_written(opened: Opened) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    upload.write(b"x" * 1000)
    with pytest.raises(TooLargeError, match="more than 1000 bytes"):
        upload.write(b"x")
    upload.abort(TooLargeError("test"), is_final=False)


def test_an_image_that_is_deleted_while_its_data_comes_stays_deleted(opened: Opened) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    upload.write(b"ab")
    opened.store.delete(ID)
    with pytest.raises(ImageNotFoundError, match="deleted meanwhile"):
        upload.write(b"c")
    with pytest.raises(ImageNotFoundError, match="deleted meanwhile"):
        upload.commit(Expected())
    upload.abort(ImageNotFoundError("test"), is_final=True)
    assert opened.files() == ["lock"]


def test_an_upload_of_a_deleted_image_leaves_a_new_one_of_its_id_alone(opened: Opened) -> None:
    opened.store.create(image())
    first = opened.store.begin_upload(ID)
    opened.store.delete(ID)
    opened.store.create(image())
    second = opened.store.begin_upload(ID)
    first.abort(ImageNotFoundError("test"), is_final=True)
    second.write(b"abc")
    assert second.commit(Expected()).status == "active"


def test_a_reader_keeps_what_is_deleted(opened: Opened) -> None:
    made = uploaded(opened.store)
    with opened.store.open(made) as data:
        opened.store.delete(ID)
        assert data.read(10) == b"abc"
    assert opened.files() == ["lock"]
    with pytest.raises(ImageNotFoundError):
        opened.store.open(made)


def test_a_protected_image_is_not_deleted(opened: Opened) -> None:
    opened.store.create(image(is_protected=True))
    with pytest.raises(ForbiddenError, match="it is protected"):
        opened.store.delete(ID)
    assert opened.reopen().get(ID).is_protected


def test_an_id_is_taken_once_and_there_is_room_for_so_many(opened: Opened) -> None:
    opened.store.create(image())
    with pytest.raises(ConflictError):
        opened.store.create(image())
    opened.store.create(image(id=OTHER_ID))
    with pytest.raises(QuotaError):
        opened.store.create(image(id="00000000-0000-0000-0000-000000000000"))


def test_a_directory_is_one_process_s(opened: Opened) -> None:
    with pytest.raises(StoreError, match="another image service has it"):
        ImageStore(opened.directory, StoreLimits(1, 1), lambda: NOW)


def test_a_directory_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use image directory"):
        ImageStore(tmp_path / "file", StoreLimits(1, 1), lambda: NOW)


def test_leftovers_are_swept_and_strangers_are_not(opened: Opened) -> None:
    uploaded(opened.store)
    (opened.directory / "unfinished-1").write_bytes(b"half")
    (opened.directory / f"{OTHER_ID}.data").write_bytes(b"of a deleted image")
    (opened.directory / "backup.data").write_bytes(b"not ours")
    opened.reopen()
    assert opened.files() == [f"{ID}.data", f"{ID}.json", "backup.data", "lock"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b'{"id": "x"}', b"\xff", b'{"a": ' * 5000])
def test_metadata_that_cannot_be_read_costs_neither_other_images_nor_its_own_data(
    opened: Opened, lines: list[Line], content: bytes
) -> None:
    uploaded(opened.store)
    opened.store.create(image(id=OTHER_ID))
    (opened.directory / f"{ID}.json").write_bytes(content)
    store = opened.reopen()
    assert [item.id for item in store.all()] == [OTHER_ID]
    assert (opened.directory / f"{ID}.data").read_bytes() == b"abc"
    assert [line[1] for line in lines if line[0] == "ERROR"] == ["image is left out, its metadata cannot be read"]
    with pytest.raises(ConflictError):
        store.create(image())


def test_metadata_under_another_name_is_not_taken(opened: Opened) -> None:
    opened.store.create(image())
    (opened.directory / f"{ID}.json").rename(opened.directory / f"{OTHER_ID}.json")
    assert opened.reopen().all() == ()


@pytest.mark.parametrize("damage", [b"abd", b"ab", b"abcd", None])
def test_damaged_data_is_never_given_whole(opened: Opened, lines: list[Line], damage: bytes | None) -> None:
    made = uploaded(opened.store)
    path = opened.directory / f"{ID}.data"
    path.unlink() if damage is None else path.write_bytes(damage)
    given = b""
    with pytest.raises(DamagedImageError), opened.store.open(made) as data:  # noqa: PT012 - it may come at any read
        while piece := data.read(1):
            given += piece
    assert len(given) < 3
    opened.reopen()
    said_at_start = [line[1] for line in lines if line[0] == "ERROR"]
    assert said_at_start == ([] if damage == b"abd" else ["image data is damaged"])


def failing(code: int) -> Any:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, TooLargeError), (errno.EDQUOT, TooLargeError), (errno.EIO, StoreFailedError)]
)
@pytest.mark.parametrize("step", ["write", "fsync of the data", "rename of the data", "metadata"])
def test_a_disk_that_fails_at_any_step_of_an_upload_leaves_no_bytes(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, lines: list[Line], code: int, error: type[Exception], step: str
) -> None:
    opened.store.create(image())
    upload = opened.store.begin_upload(ID)
    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(upload._writer, "_file", FullFile(upload._writer._file, code))
        elif step == "fsync of the data":
            patch.setattr(os, "fsync", failing(code))
        elif step == "rename of the data":
            patch.setattr(Path, "rename", failing(code))
        else:
            patch.setattr(store_module, "_sync", failing(code))
        with pytest.raises(error):  # noqa: PT012 - the error may come at either step
            upload.write(b"abc")
            upload.commit(Expected())
    upload.abort(OSError("test"), is_final=False)
    assert opened.store.get(ID).status == "queued"
    assert opened.reopen().get(ID).status == "queued"
    assert opened.files() == [f"{ID}.json", "lock"]
    is_full = [line[1] for line in lines if line[0] == "ERROR"] == ["image store is full"]
    assert is_full == (error is TooLargeError)


class FullFile:
    """A file on a disk that takes nothing."""

    def __init__(self, file: Any, code: int) -> None:
        self._file = file
        self.write = failing(code)

    def close(self) -> None:
        self._file.close()


def test_a_disk_that_fails_leaves_metadata_as_it_was(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.store.create(image())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(StoreFailedError):
            opened.store.update(ID, lambda old: replace(old, name="new"))
        with pytest.raises(StoreFailedError):
            opened.store.create(image(id=OTHER_ID))
    assert opened.store.all() == (image(),)
    assert opened.reopen().all() == (image(),)
