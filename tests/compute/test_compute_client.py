"""What ComputeClient asks of nova-compute, for how long it waits, and what it makes of the answers."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from cloud.domain.instance import PowerState
from cloud.errors import ComputeError, ImageNotFoundError, InstanceStateError
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BusUnavailableError, NoSuchTargetError, RemoteError, RpcTimeoutError
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.compute.client import (
    COMPUTE_CLIENT_OPTIONS,
    ComputeClient,
    ComputeTimeouts,
    configured_timeouts,
)
from cloud.services.compute.manager import ComputeManager
from cloud.services.configuration import read_configuration
from tests.compute.image_store import IMAGE
from tests.compute.site import ADDRESS, UUID, Site

HOST = "compute-01"
TIMEOUTS = ComputeTimeouts(compute_image_timeout=3.0, compute_spawn_timeout=2.0, compute_destroy_timeout=1.0)


class FakeClient:
    def __init__(self) -> None:
        self.answer: object = None
        self.asked: list[tuple[str, str, str, Mapping[str, Any], float | None]] = []

    def call(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        self.asked.append(("call", str(target), method, arguments or {}, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cast(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> None:
        self.asked.append(("cast", str(target), method, arguments or {}, timeout_s))


@pytest.fixture
def fake() -> FakeClient:
    return FakeClient()


@pytest.fixture
def compute(fake: FakeClient) -> ComputeClient:
    return ComputeClient(cast("RpcClient", fake), TIMEOUTS)


def test_calls_of_a_build_have_timeouts_of_their_own(fake: FakeClient, compute: ComputeClient, site: Site) -> None:
    compute.prepare_image(HOST, IMAGE)
    fake.answer = 1
    assert compute.spawn(HOST, site.enter(), [ADDRESS]) is PowerState.RUNNING
    compute.destroy(HOST, UUID)
    there = "nova-compute on compute-01"
    addresses = [{"address": "10.0.0.2", "mac": "fa:16:3e:00:00:02", "network": "private"}]
    assert fake.asked == [
        ("call", there, "prepare_image", {"image_id": IMAGE}, 3.0),
        ("call", there, "spawn", {"uuid": UUID, "fixed_ips": addresses}, 2.0),
        ("call", there, "destroy", {"uuid": UUID}, 1.0),
    ]


def test_addresses_need_not_be_given(fake: FakeClient, compute: ComputeClient, site: Site) -> None:
    fake.answer = 4
    assert compute.spawn(HOST, site.enter()) is PowerState.SHUTDOWN
    assert fake.asked[0][3] == {"uuid": UUID, "fixed_ips": None}


def test_calls_of_an_evacuation_take_as_long_as_those_of_a_build(fake: FakeClient, compute: ComputeClient) -> None:
    fake.answer = True
    assert compute.sees_disk(HOST, UUID) is True
    fake.answer = 4
    is_off = compute.evacuate_here(HOST, UUID, [ADDRESS], shares_disk=True, is_running=False)
    assert is_off is PowerState.SHUTDOWN
    arguments = {"uuid": UUID, "fixed_ips": [ADDRESS.as_dict()], "shares_disk": True, "is_running": False}
    assert [asked[2:] for asked in fake.asked] == [
        ("sees_disk", {"uuid": UUID}, 10.0),
        ("evacuate_here", arguments, 2.0),
    ]
    fake.answer = RpcTimeoutError("no reply in 2 s")
    for ask in (
        lambda: compute.sees_disk(HOST, UUID),
        lambda: compute.evacuate_here(HOST, UUID, [], shares_disk=True, is_running=True),
    ):
        with pytest.raises(ComputeError, match="no reply in 2 s"):
            ask()


def test_a_host_that_does_not_say_what_it_runs_is_silent_and_does_not_fail(
    fake: FakeClient, compute: ComputeClient
) -> None:
    fake.answer = [UUID]
    assert compute.running_instances(HOST, {UUID}) == (UUID,)
    compute.give_up_guest(HOST, UUID)
    assert [asked[2:] for asked in fake.asked] == [
        ("running_instances", {"uuids": [UUID]}, 10.0),
        ("give_up_guest", {"uuid": UUID}, 30.0),
    ]
    fake.answer = RpcTimeoutError("no reply in 30 s")
    for ask in (lambda: compute.running_instances(HOST, [UUID]), lambda: compute.give_up_guest(HOST, UUID)):
        with pytest.raises(RpcTimeoutError):
            ask()


@pytest.mark.parametrize(
    "error", [RpcTimeoutError("no reply in 2 s"), NoSuchTargetError("nobody"), RemoteError("KeyError: 'x'")]
)
def test_a_host_that_does_not_answer_a_build_is_an_error_of_that_host(
    fake: FakeClient, compute: ComputeClient, site: Site, error: Exception
) -> None:
    fake.answer = error
    instance = site.enter()
    for ask in (
        lambda: compute.prepare_image(HOST, IMAGE),
        lambda: compute.spawn(HOST, instance),
        lambda: compute.destroy(HOST, UUID),
    ):
        with pytest.raises(ComputeError, match=str(error)):
            ask()


@pytest.mark.parametrize(
    "error", [BusUnavailableError("x"), InstanceStateError("x"), ImageNotFoundError("x"), ComputeError("x")]
)
def test_other_errors_come_out_as_themselves(fake: FakeClient, compute: ComputeClient, error: Exception) -> None:
    fake.answer = error
    with pytest.raises(type(error), match=r"^x$"):
        compute.prepare_image(HOST, IMAGE)


def test_what_changes_an_instance_is_cast_to_its_host(fake: FakeClient, compute: ComputeClient) -> None:
    compute.reboot_instance(HOST, UUID, "SOFT")
    compute.stop_instance(HOST, UUID)
    compute.start_instance(HOST, UUID)
    compute.delete_instance(HOST, UUID)
    compute.rebuild_instance(HOST, UUID, IMAGE)
    compute.snapshot_instance(HOST, UUID, IMAGE)
    uuid = {"uuid": UUID}
    assert [(kind, method, arguments) for kind, _, method, arguments, _ in fake.asked] == [
        ("cast", "reboot_instance", {**uuid, "reboot_type": "SOFT"}),
        ("cast", "stop_instance", uuid),
        ("cast", "start_instance", uuid),
        ("cast", "delete_instance", uuid),
        ("cast", "rebuild_instance", {**uuid, "image_id": IMAGE}),
        ("cast", "snapshot_instance", {**uuid, "image_id": IMAGE}),
    ]
    assert {(target, timeout_s) for _, target, _, _, timeout_s in fake.asked} == {("nova-compute on compute-01", 10.0)}


def test_questions_are_answered(fake: FakeClient, compute: ComputeClient) -> None:
    fake.answer = "a\nb\n"
    assert compute.get_console_output(HOST, UUID, 2) == "a\nb\n"
    assert compute.host_uptime(HOST) == "a\nb\n"
    fake.answer = {"vcpus": 4}
    assert compute.host_info(HOST) == {"vcpus": 4}
    assert [(method, arguments, timeout_s) for _, _, method, arguments, timeout_s in fake.asked] == [
        ("get_console_output", {"uuid": UUID, "length": 2}, 10.0),
        ("host_uptime", {}, 10.0),
        ("host_info", {}, 10.0),
    ]


def test_guests_of_a_host_come_page_by_page(fake: FakeClient, compute: ComputeClient) -> None:
    pages = [{f"uuid-{number:05}": 1 for number in range(5000)}, {"uuid-05000": 4}]
    asked: list[object] = []

    def call(_target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Any:
        assert (method, 0 < timeout_s <= 3) == ("list_guests", True)
        asked.append(arguments["after"])
        return pages[len(asked) - 1]

    fake.call = call  # type: ignore[assignment,method-assign]
    guests = compute.list_guests(HOST, timeout_s=3)
    assert asked == [None, "uuid-04999"]
    assert len(guests) == 5001
    assert (guests["uuid-00000"], guests["uuid-05000"]) == (PowerState.RUNNING, PowerState.SHUTDOWN)


def test_host_that_repeats_itself_is_not_asked_for_ever(fake: FakeClient, compute: ComputeClient) -> None:
    fake.answer = {f"uuid-{number:05}": 1 for number in range(5000)}
    assert len(compute.list_guests(HOST)) == 5000
    assert len(fake.asked) == 2


def test_manager_offers_what_the_client_asks_for() -> None:
    asked = {name for name in dir(ComputeClient) if not name.startswith("_")}
    assert asked == set(methods_of(object.__new__(ComputeManager)))


def test_timeouts_are_those_of_nova_conf(tmp_path: Any) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = a\ncompute_spawn_timeout = 7\n")
    conf = read_configuration([file], groups={"DEFAULT": COMPUTE_CLIENT_OPTIONS})
    assert configured_timeouts(conf) == ComputeTimeouts(1800.0, 7.0, 120.0)
