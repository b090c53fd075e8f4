"""What a compute host has and has left: memory, disk and processors, read from the machine itself."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


class ResourceError(Exception):
    """Resources that cannot be read."""


@dataclass(frozen=True, slots=True)
class HostResources:
    """A host's resources at one moment; MiB and GiB, rounded down."""

    vcpus: int
    memory_mb: int
    free_memory_mb: int
    disk_gb: int
    free_disk_gb: int


def read_resources(state_path: Path, meminfo: Path = MEMINFO) -> HostResources:
    """The machine's resources, disk being that of `state_path` or its nearest parent that exists."""
    try:
        existing = next(path for path in (state_path.absolute(), *state_path.absolute().parents) if path.exists())
        lines = (line.split() for line in meminfo.read_text().splitlines())
        kib = {line[0].rstrip(":"): int(line[1]) for line in lines if len(line) > 1}
        disk = shutil.disk_usage(existing)
        return HostResources(
            vcpus=len(os.sched_getaffinity(0)),
            memory_mb=kib["MemTotal"] >> 10,
            free_memory_mb=kib["MemAvailable"] >> 10,
            disk_gb=disk.total >> 30,
            free_disk_gb=disk.free >> 30,
        )
    except (OSError, ValueError, KeyError) as exc:
        raise ResourceError(f"cannot read resources of {state_path}: {exc!r}") from exc
