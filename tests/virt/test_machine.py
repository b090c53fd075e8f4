"""What a host has left, and what is said when that cannot be read."""

import os
from collections import namedtuple
from pathlib import Path

import pytest

from cloud.virt.machine import HostResources, ResourceError, read_cpu_info, read_resources

Usage = namedtuple("Usage", "total used free")
GIB = 1 << 30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:   16777215 kB\nMemFree: 1 kB\nMemAvailable:  8388608 kB\nHugePages_Total:   0\n\n")
    return file


def test_resources_are_read_and_rounded_down(tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(100 * GIB - 1, 0, 40 * GIB))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 5})
    assert read_resources(tmp_path, meminfo) == HostResources(
        vcpus=3, memory_mb=16383, free_memory_mb=8192, disk_gb=99, free_disk_gb=40
    )


def test_this_machine_has_some() -> None:
    found = read_resources(Path("/"))
    assert found.vcpus >= 1
    assert found.memory_mb > found.free_memory_mb > 0
    assert found.disk_gb >= found.free_disk_gb


def test_state_path_that_does_not_exist_yet_is_on_its_parents_disk(
    tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def disk_usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(0, 0, 0)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    read_resources(tmp_path / "not" / "yet", meminfo)
    monkeypatch.chdir(tmp_path)
    read_resources(Path("relative/not"), meminfo)
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize("text", ["", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n"])
def test_meminfo_that_lacks_something_is_a_resource_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "meminfo"
    file.write_text(text)
    with pytest.raises(ResourceError, match=f"cannot read resources of {tmp_path}: "):
        read_resources(tmp_path, file)


def test_missing_meminfo_is_a_resource_error(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="FileNotFoundError"):
        read_resources(tmp_path, tmp_path / "none")


def test_state_path_that_may_not_be_looked_at_is_a_resource_error(
    tmp_path: Path, meminfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(ResourceError, match="Permission denied"):
        read_resources(tmp_path, meminfo)


def test_cpu_info_is_that_of_the_first_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: EPYC 7B13: x\nflags\t\t: sse fpu\n\n"
        "processor\t: 1\nvendor_id\t: other\n"
    )
    found = read_cpu_info(3, file)
    assert found.pop("arch")
    assert found == {
        "vendor": "AuthenticAMD",
        "model": "EPYC 7B13: x",
        "topology": {"sockets": 1, "cores": 3, "threads": 1},
        "features": ["fpu", "sse"],
    }


def test_cpu_info_that_is_not_said_is_unknown(tmp_path: Path) -> None:
    found = read_cpu_info(1, tmp_path / "none")
    assert (found["vendor"], found["model"], found["features"]) == ("unknown", "unknown", [])
