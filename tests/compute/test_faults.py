"""What the owner of an instance reads of what failed, and what is left to admins."""

import pytest

from cloud.errors import CloudError, ComputeError
from cloud.rpc.errors import RemoteError, RpcTimeoutError
from cloud.services.compute.faults import told_to_owner
from cloud.virt.driver import VirtError
from tests.compute.site import UUID, Site

HOSTS = ("compute-1", "compute-10")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no valid host: 3 hosts; RamFilter 3 -> 0", "no valid host: 3 hosts; RamFilter 3 -> 0"),
        ("none of 10.0.0.0/24 is free", "none of 10.0.0.0/24 is free"),
        ("cannot start: no answer and/or no KVM", "cannot start: no answer and/or no KVM"),
        ("cannot claim 1 vcpus of host compute-1: 0 are left", "cannot claim 1 vcpus of the host: 0 are left"),
        ("cannot spawn on compute-10, full", "cannot spawn on the host, full"),
        ("cannot spawn on compute-10.example.org.", "cannot spawn on the host."),
        ("my-compute-1 compute-100 compute-1x", "my-compute-1 compute-100 compute-1x"),
        ("it is on host other-7.example.org.", "it is on another host."),
        ("no such file: /var/lib/nova/disk.raw", "no such file: a file"),
        ("no such file: '/var/lib/no va/disk.raw' (2)", "no such file: a file (2)"),
        ("cannot use ../images/x, ./y, ~/z", "cannot use a file, a file, a file"),
        ("cannot reach https://192.0.2.1:9292/v2/images: refused", "cannot reach a service: refused"),
    ],
)
@pytest.mark.parametrize("kind", [ComputeError, VirtError])
def test_the_cause_is_told_without_places(kind: type[Exception], text: str, told: str) -> None:
    assert told_to_owner(kind(text), HOSTS, otherwise="it failed") == told


@pytest.mark.parametrize("cause", [KeyError("password"), OSError("x"), RemoteError("x"), RpcTimeoutError("x")])
def test_of_defects_and_of_the_bus_nothing_is_told(cause: Exception) -> None:
    assert told_to_owner(cause, HOSTS, otherwise="it failed") == "it failed"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (
            OSError(28, "disk full", "/var/lib/nova/x"),
            f"cannot finish rebooting of instance {UUID}: its host failed with OSError",
        ),
        (CloudError("cannot reboot on compute-01: see /var/log/x"), "cannot reboot on the host: see a file"),
    ],
)
def test_the_fault_has_what_the_owner_may_read_and_in_its_details_all(
    site: Site, monkeypatch: pytest.MonkeyPatch, cause: Exception, told: str
) -> None:
    def fail(_uuid: str, *, hard: bool) -> None:
        raise cause

    site.run(task_state="rebooting")
    monkeypatch.setattr(site.driver, "reboot", fail)
    site.lifecycle.reboot(UUID, hard=False)
    assert site.fault() == told
    fault = site.records.instances.faults([UUID])[UUID]
    assert str(cause) in (fault.details or "")
