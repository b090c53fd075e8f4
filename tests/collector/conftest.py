"""What several of the collector's tests need."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; `mount -o remount,size=...` makes it another size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], stderr=subprocess.DEVNULL
    ):
        pytest.skip("mounting a small file system takes root")
    yield disk
    subprocess.check_call(["umount", "-l", disk])
