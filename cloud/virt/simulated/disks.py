"""Where the disks of a host's guests are: each in the guest's own directory, or in one that several hosts share.

A shared disk belongs to the host that has the guest. Only that one starts a guest of it or removes it, so that a host
that was given up for dead cannot spoil what another one has taken over.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from cloud.virt.driver import VirtError
from cloud.virt.simulated.disk_files import copy_disk, make_disk
from cloud.virt.simulated.guest import DiskContent
from cloud.virt.simulated.notes import lasting_id, read_note, write_note

HALF = ".half-"
"""Begins the name of what is on its way into being, or out of it."""
KEPT = ".kept-"
"""Begins the name of a disk on shared storage that a host keeps though it is no guest's any more."""

_NOTE = "disk.json"
_PART = ".part-"
_SIZES = ("image_bytes", "data_bytes", "size_bytes")


class Disks:
    """A place is the directory of a guest, or what will be one; each method says OSError as it comes."""

    def __init__(self, directory: Path, shared: Path | None) -> None:
        """`directory` is the host's own."""
        self._directory = directory
        self._shared = shared

    @property
    def is_shared(self) -> bool:
        return self._shared is not None

    def storage_id(self) -> str:
        return self._host_id() if self._shared is None else lasting_id(self._shared / ".id")

    def file(self, place: Path, uuid: str) -> Path:
        return self.home(place, uuid) / "disk"

    def home(self, place: Path, uuid: str) -> Path:
        """The directory of a guest's disk."""
        return place if self._shared is None else self._shared / uuid

    def incoming(self, place: Path) -> Path:
        """The directory where a disk is written before it is the guest's; `settle` makes it so."""
        return place if self._shared is None else self._shared / f"{HALF}{self._host_id()}-{place.name}"

    def make(self, place: Path, uuid: str, size: int, image: Path | None) -> DiskContent:
        """A new one, incoming; VirtError when the image does not fit, or another host has a disk of that guest."""
        self.check_free(uuid)
        directory = self.incoming(place)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = make_disk(directory / "disk", size, image, uuid)
        _note(directory, content, self._owner_id())
        return content

    def settle(self, place: Path, uuid: str) -> DiskContent:
        """What has come in is the guest's disk, or else the one that is there, and it is this host's.

        VirtError when there is neither. A second time is no change.
        """
        incoming, home = self.incoming(place), self.home(place, uuid)
        if self._shared is not None and (incoming / "disk").exists():
            self.check_free(uuid)
            _note(incoming, content_of(incoming), self._owner_id())
            old = home.with_name(f"{incoming.name}-{uuid4().hex}")
            with suppress(FileNotFoundError):
                home.rename(old)
            incoming.rename(home)
            shutil.rmtree(old, ignore_errors=True)
        content = self.own(place, uuid)
        self.discard_incoming(place)
        return content

    def own(self, place: Path, uuid: str) -> DiskContent:
        """Its disk is this host's from now on; VirtError when there is none."""
        home = self.home(place, uuid)
        content = content_of(home)
        for left in home.glob(".*"):  # by who died while sending or noting it
            left.unlink()
        if (read_note(home / _NOTE) or {}).get("owner") != self._owner_id():
            _note(home, content, self._owner_id())
        return content

    def check_owned(self, uuid: str) -> None:
        """VirtError when it is another host's."""
        if self._is_anothers(uuid):
            raise VirtError("its disk on shared storage belongs to another host by now")

    def is_owned(self, uuid: str) -> bool:
        """Whether shared storage has a disk of it, which is this host's."""
        return self.has_shared(uuid) and not self._is_anothers(uuid)

    def check_free(self, uuid: str) -> None:
        """VirtError when another host has a disk of that guest on the storage of this one."""
        if self._is_anothers(uuid):
            raise VirtError("shared storage has a disk of it, which belongs to another host")

    def has_shared(self, uuid: str) -> bool:
        """Whether shared storage has a disk of it."""
        return self._shared is not None and (self._shared / uuid / "disk").exists()

    def find(self, place: Path, uuid: str) -> Path:
        """The directory of the disk that `settle` would make the guest's; VirtError when there is none."""
        for directory in (self.incoming(place), self.home(place, uuid)):
            if (directory / "disk").exists():
                return directory
        raise VirtError(f"{self.home(place, uuid)} has no disk of it")

    def remove(self, uuid: str) -> None:
        """If it is shared and this host's; what is in the guest's directory goes with that."""
        if self._shared is None or self._owner(uuid) != self._host_id():
            return
        self._remove_shared(self._shared / uuid)

    def kept(self, name: str) -> Path:
        """The directory of a disk that is kept under that name; what is above it is there."""
        if self._shared is not None:
            return self._shared / f"{self._kept_mine()}{name}"
        kept = self._directory / "kept"
        kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        return kept / name

    def kept_names(self) -> Sequence[str]:
        """Those that this host keeps."""
        where, mine = (self._directory / "kept", "") if self._shared is None else (self._shared, self._kept_mine())
        try:
            return sorted(path.name.removeprefix(mine) for path in where.iterdir() if path.name.startswith(mine))
        except FileNotFoundError:
            return ()

    def remove_kept(self, name: str) -> None:
        """If shared storage has it; what is in the host's own directory goes with that."""
        if self._shared is not None:
            self._remove_shared(self.kept(name))

    def discard(self, place: Path) -> None:
        """Remove the place, and what has come in for it."""
        self.discard_incoming(place)
        shutil.rmtree(place, ignore_errors=True)

    def discard_incoming(self, place: Path) -> None:
        """Only what lies elsewhere than in the place."""
        if self._shared is not None:
            shutil.rmtree(self.incoming(place), ignore_errors=True)

    def sweep(self, arrivals: Collection[str]) -> None:
        """What a process of this host left half done on shared storage goes; not what comes in for those."""
        if self._shared is None or not self._shared.exists():
            return
        mine = f"{HALF}{self._host_id()}-"
        for path in self._shared.iterdir():
            if path.name.startswith(mine) and path.name.removeprefix(mine) not in arrivals:
                shutil.rmtree(path, ignore_errors=True)

    def _remove_shared(self, path: Path) -> None:
        half = path.with_name(f"{HALF}{self._host_id()}-{uuid4().hex}")
        with suppress(FileNotFoundError):
            path.rename(half)
        shutil.rmtree(half, ignore_errors=True)

    def _owner(self, uuid: str) -> str | None:
        if self._shared is None:
            return None
        note = read_note(self._shared / uuid / _NOTE)
        return None if note is None else note.get("owner")

    def _is_anothers(self, uuid: str) -> bool:
        owner = self._owner(uuid)
        return owner is not None and owner != self._host_id()

    def _owner_id(self) -> str | None:
        """This host, as the owner of a shared disk."""
        return None if self._shared is None else self._host_id()

    def _kept_mine(self) -> str:
        return f"{KEPT}{self._host_id()}-"

    def _host_id(self) -> str:
        return lasting_id(self._directory / "id")


def put_disk(incoming: Path, file: Path, content: DiskContent) -> None:
    """Copy a disk to where another host lets it come in; it appears there as a whole."""
    part = incoming / f"{_PART}{uuid4().hex}"
    size = file.stat().st_size
    try:
        copy_disk(file, part, content, size)
        _note(incoming, replace(content, size_bytes=size), None)
        part.replace(incoming / "disk")
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def content_of(directory: Path) -> DiskContent:
    """Of the disk there; VirtError when there is none."""
    note = read_note(directory / _NOTE)
    if note is None or not (directory / "disk").exists():
        raise VirtError(f"{directory} has no disk of it")
    try:
        return DiskContent(*(int(note[name]) for name in _SIZES))
    except (KeyError, TypeError, ValueError) as exc:
        raise VirtError(f"cannot read {directory / _NOTE}: {exc!r}") from exc


def resize_disk(directory: Path, content: DiskContent, root_gb: int) -> DiskContent:
    """VirtError, and no change, when what it holds has no room; a flavor without a disk leaves it as it is."""
    size = root_gb << 30 or (directory / "disk").stat().st_size
    if content.data_bytes > size:
        raise VirtError(f"its disk holds {content.data_bytes} bytes, that of the flavor would have {size}")
    return set_disk_size(directory, content, size)


def set_disk_size(directory: Path, content: DiskContent, size: int) -> DiskContent:
    """Nothing of what it holds is beyond that."""
    os.truncate(directory / "disk", size)
    changed = replace(content, size_bytes=size)
    note = read_note(directory / _NOTE) or {}
    _note(directory, changed, note.get("owner"))
    return changed


def _note(directory: Path, content: DiskContent, owner: str | None) -> None:
    sizes = {name: getattr(content, name) for name in _SIZES}
    write_note(directory / _NOTE, sizes | {"owner": owner})
