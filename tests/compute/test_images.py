"""Images that are kept on a host: fetched once, kept while there is room, and never taken from who uses them."""

import os
import threading
from pathlib import Path

import pytest

from cloud.errors import ComputeError, ConflictError, ImageNotFoundError, ImageUnavailableError
from cloud.services.compute.images import ImageCache
from tests.compute.image_store import IMAGE, SNAPSHOT, ImageStore
from tests.services.said import Line

THIRD = "aaaaaaaa-5aa7-45d6-9d83-27deb882cf99"


@pytest.fixture
def store() -> ImageStore:
    store = ImageStore()
    for image_id in (IMAGE, SNAPSHOT, THIRD):
        store.put(image_id, b"0123456789")
    return store


def kept(directory: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in directory.iterdir())


def test_an_image_is_fetched_once_and_has_its_data(store: ImageStore, tmp_path: Path, lines: list[Line]) -> None:
    cache = ImageCache(store, tmp_path / "cache", max_bytes=100)
    cache.prepare(IMAGE)
    with cache.lease(IMAGE) as path:
        assert path is not None
        assert path.read_bytes() == b"0123456789"
    assert store.downloads == [IMAGE]
    assert [said for _, said, _ in lines] == ["image fetched"]


def test_another_process_finds_what_was_fetched(store: ImageStore, tmp_path: Path) -> None:
    ImageCache(store, tmp_path, max_bytes=100).prepare(IMAGE)
    ImageCache(store, tmp_path, max_bytes=100).prepare(IMAGE)
    assert store.downloads == [IMAGE]


def test_no_image_is_no_file(store: ImageStore, tmp_path: Path) -> None:
    with ImageCache(store, tmp_path, max_bytes=100).lease(None) as path:
        assert path is None


def test_many_who_want_the_same_image_fetch_it_once(store: ImageStore, tmp_path: Path) -> None:
    cache = ImageCache(store, tmp_path, max_bytes=100)
    all_are_here = threading.Barrier(4)
    is_fetching, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        is_fetching.set()
        assert goes_on.wait(10)

    store.before_download = wait

    def prepare() -> None:
        all_are_here.wait(10)
        cache.prepare(IMAGE)

    threads = [threading.Thread(target=prepare) for _ in range(3)]
    for thread in threads:
        thread.start()
    all_are_here.wait(10)
    assert is_fetching.wait(10)
    goes_on.set()
    for thread in threads:
        thread.join(10)
    assert store.downloads == [IMAGE]


def test_what_was_unused_for_longest_goes_when_room_is_needed(
    store: ImageStore, tmp_path: Path, lines: list[Line]
) -> None:
    cache = ImageCache(store, tmp_path, max_bytes=20)
    for age_s, image_id in ((200, IMAGE), (100, SNAPSHOT)):
        with cache.lease(image_id) as path:
            assert path is not None
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    cache.prepare(IMAGE)  # which makes it the one that was used last
    cache.prepare(THIRD)
    assert kept(tmp_path) == sorted([IMAGE, THIRD])
    assert [fields["image"] for _, said, fields in lines if said == "image removed to make room"] == [SNAPSHOT]


def test_what_is_used_stays_and_who_finds_no_room_is_refused(store: ImageStore, tmp_path: Path) -> None:
    cache = ImageCache(store, tmp_path, max_bytes=20)
    with cache.lease(IMAGE), cache.lease(SNAPSHOT):
        with pytest.raises(ComputeError) as raised:
            cache.prepare(THIRD)
        assert str(raised.value) == f"cannot keep image {THIRD}: it has 10 bytes, and 10 more are in use than may be"
        assert kept(tmp_path) == sorted([IMAGE, SNAPSHOT])
    cache.prepare(THIRD)


def test_what_is_being_fetched_counts(store: ImageStore, tmp_path: Path) -> None:
    cache = ImageCache(store, tmp_path, max_bytes=15)
    refused: list[str] = []

    def prepare_another() -> None:
        store.before_download = lambda: None
        with pytest.raises(ComputeError) as raised:
            cache.prepare(SNAPSHOT)
        refused.append(str(raised.value))

    store.before_download = prepare_another
    cache.prepare(IMAGE)
    assert refused == [f"cannot keep image {SNAPSHOT}: it has 10 bytes, and 5 more are in use than may be"]


def test_an_image_that_can_never_fit_is_refused(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match=f"^cannot keep image {IMAGE}: it has 10 bytes, and 1 more"):
        ImageCache(store, tmp_path, max_bytes=9).prepare(IMAGE)


def test_after_a_download_that_failed_it_is_fetched_again(store: ImageStore, tmp_path: Path) -> None:
    cache = ImageCache(store, tmp_path, max_bytes=10)

    def fail() -> None:
        store.before_download = lambda: None
        raise ImageUnavailableError("what came is not what was stored")

    store.before_download = fail
    with pytest.raises(ImageUnavailableError):
        cache.prepare(IMAGE)
    cache.prepare(IMAGE)  # whose room the first attempt does not hold any more
    assert store.downloads == [IMAGE, IMAGE]


def test_a_full_disk_is_this_hosts_trouble(store: ImageStore, tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    store.before_download = fail
    with pytest.raises(ComputeError, match=rf"^cannot keep image {IMAGE}: .*No space left on device"):
        ImageCache(store, tmp_path, max_bytes=10).prepare(IMAGE)


@pytest.mark.parametrize("image_id", ["", "../etc/passwd", "x"])
def test_what_is_no_image_id_names_no_file(store: ImageStore, tmp_path: Path, image_id: str) -> None:
    with pytest.raises(ImageNotFoundError, match="there is none"):
        ImageCache(store, tmp_path / "cache", max_bytes=10).prepare(image_id)
    assert not (tmp_path / "cache").exists()


def test_an_image_that_waits_for_its_data_is_a_conflict(store: ImageStore, tmp_path: Path) -> None:
    store.put(IMAGE, None)
    with pytest.raises(ConflictError):
        ImageCache(store, tmp_path, max_bytes=10).prepare(IMAGE)


def test_what_a_dead_process_has_half_fetched_goes(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / f".{IMAGE}-x").write_text("half")
    ImageCache(store, tmp_path, max_bytes=10).prepare(IMAGE)
    assert kept(tmp_path) == [IMAGE]
