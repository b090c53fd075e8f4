"""A copy of a store and of who may ask it: taken while a collector runs, and put back into an empty directory."""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.names import UNFINISHED, FileName
from cloud.logs.collector.store import StoreError

CONTENTS = "backup.json"
"""Written last: a backup without it was not finished. Names and sizes of its files."""
BESIDE = ("keys.json", "searches.json")
"""What else of the data directory is kept, where it is there: who may ask, and what they have saved.

Both are replaced as a whole, never changed in place.
"""


def take_snapshot(data: Path, files: Iterable[Path]) -> Path:
    """Sealed files, and BESIDE, by second names, which stay whatever becomes of the first; `drop_snapshot` ends it."""
    snapshot = data / f"{directory.SNAPSHOT}{uuid.uuid4()}"
    snapshot.mkdir(mode=0o700)
    try:
        for path in files:
            os.link(path, snapshot / path.name)
        for name in BESIDE:
            with suppress(FileNotFoundError):
                os.link(data / name, snapshot / name)
    except OSError:
        drop_snapshot(snapshot)
        raise
    return snapshot


def drop_snapshot(snapshot: Path) -> None:
    shutil.rmtree(snapshot, ignore_errors=True)


def copy_backup(snapshot: Path, target: Path) -> Sequence[str]:
    """Copy a snapshot into `target`, which must be empty or missing, and give the names of the files."""
    _require_empty(target, "back up to")
    try:
        _make_private(target)
        names = sorted(path.name for path in snapshot.iterdir() if _is_kept(path.name))
        sizes = {name: _copy(snapshot / name, target / name) for name in names}
        contents = target / f"{UNFINISHED}{CONTENTS}"
        contents.write_text(json.dumps({"files": sizes}, indent=2) + "\n", encoding="ascii")
        directory.publish(contents, target / CONTENTS)
    except OSError as exc:
        raise StoreError(f"cannot back up to {target}: {exc}") from exc
    return names


def restore(backup: Path, data: Path) -> Sequence[str]:
    """Fill the data directory `data`, which must be empty or missing, and give the names of the files.

    As root, for whom the directory belongs to. `StoreError` for a backup that is not whole, before anything is copied;
    a restore that was interrupted must be begun again with an empty directory.
    """
    try:
        sizes = dict(json.loads((backup / CONTENTS).read_text(encoding="ascii"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"cannot restore {backup}: it is no finished backup: {exc}") from exc
    for name, size in sizes.items():
        path = backup / name
        if not _is_kept(name) or not path.is_file() or path.stat().st_size != size:
            raise StoreError(f"cannot restore {backup}: {name} is not there as it was backed up")
    _require_empty(data, "restore into")
    try:
        _make_private(data)
        for name in sizes:
            _copy(backup / name, data / name)
    except OSError as exc:
        raise StoreError(f"cannot restore into {data}: {exc}") from exc
    return sorted(sizes)


def _is_kept(name: str) -> bool:
    return name in BESIDE or FileName.parse(name) is not None


def _require_empty(path: Path, verb: str) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(f"cannot {verb} {path}: it is not an empty directory")


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _copy(source: Path, target: Path) -> int:
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    shutil.copyfile(source, unfinished)
    directory.publish(unfinished, target)
    return target.stat().st_size
