"""nova-compute's reports."""

from pathlib import Path

from cloud.rpc.client import RpcClient
from cloud.rpc.options import configured_publisher
from cloud.services.compute.manager import ComputeManager, make_manager
from cloud.services.compute.resources import HostResources, ResourceError, read_resources
from cloud.services.configuration import read_configuration
from cloud.services.manager import Parts
from tests.services.said import Line

HAVE = HostResources(vcpus=4, memory_mb=16000, free_memory_mb=8000, disk_gb=100, free_disk_gb=40)


def test_report_is_an_audit_of_what_the_host_has_left(lines: list[Line]) -> None:
    clock = iter([100.0, 200.0, 260.4])
    manager = ComputeManager(lambda: HAVE, interval_s=60, clock_s=lambda: next(clock))
    manager.start()
    manager.report()
    manager.stop()
    assert lines == [
        (
            "AUDIT",
            "resources audited",
            {
                "uptime_s": 60,
                "vcpus": 4,
                "memory_mb": 16000,
                "free_memory_mb": 8000,
                "disk_gb": 100,
                "free_disk_gb": 40,
            },
        )
    ]


def test_resources_that_cannot_be_read_are_a_warning_and_the_next_report_tries_again(lines: list[Line]) -> None:
    outcomes: list[HostResources | None] = [None, HAVE]

    def read() -> HostResources:
        found = outcomes.pop(0)
        if found is None:
            raise ResourceError("cannot read resources of /srv: gone")
        return found

    manager = ComputeManager(read, interval_s=0)
    manager.start()
    manager.report()
    manager.report()
    assert lines[0] == ("WARNING", "cannot audit resources", {"error": "cannot read resources of /srv: gone"})
    assert lines[1][:2] == ("AUDIT", "resources audited")


def test_audits_have_an_interval_of_their_own(lines: list[Line]) -> None:
    now_s = [100.0]
    manager = ComputeManager(lambda: HAVE, interval_s=60, clock_s=lambda: now_s[0])
    manager.start()
    for now_s[0] in (100.0, 130.0, 159.9, 160.0, 165.0):
        manager.report()
    assert [fields["uptime_s"] for _, _, fields in lines] == [0, 60]


def test_manager_audits_the_disk_of_state_path(tmp_path: Path, lines: list[Line]) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\nhost = a\nstate_path = {tmp_path}\n")
    conf = read_configuration([file])
    publisher = configured_publisher(conf)
    manager = make_manager(Parts(conf, RpcClient(publisher, "test"), database=None))
    manager.start()
    manager.report()
    assert lines[0][2]["disk_gb"] == read_resources(tmp_path).disk_gb
