"""What this machine has and has left: memory, disk and processors; and where it is reached."""

import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")
CPUINFO = Path("/proc/cpuinfo")


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


def read_cpu_info(vcpus: int, cpuinfo: Path = CPUINFO) -> dict[str, Any]:
    """Of the first processor, in nova's words, as a socket of `vcpus` cores; what is not known is `unknown`."""
    try:
        first = cpuinfo.read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        first = ""
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    return {
        "arch": platform.machine(),
        "vendor": said.get("vendor_id", "unknown"),
        "model": said.get("model name", "unknown"),
        "topology": {"sockets": 1, "cores": vcpus, "threads": 1},
        "features": sorted(said.get("flags", "").split()),
    }


def own_address() -> str:
    """The IPv4 address that packets to other machines leave from; loopback's where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
        try:
            chosen.connect(("192.0.2.1", 9))  # RFC 5737: nobody is there, and nothing is sent
            return str(chosen.getsockname()[0])
        except OSError:
            return "127.0.0.1"
