"""A live migration's calls on their way to a host: what is asked for arrives, and so does the answer."""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloud.domain.instance import PowerState
from cloud.errors import ComputeError, InstanceStateError
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BadMessageError, RpcTimeoutError
from cloud.rpc.methods import invoke, methods_of
from cloud.rpc.topology import Target
from cloud.services.compute.client import ComputeClient
from cloud.services.compute.live_migration_methods import LiveMigrationMethods
from cloud.virt.moving import Transfer, TransferPhase
from tests.compute.site import ADDRESS, UUID

HOST = "compute-02"
SOURCE = {"storage_id": "a", "hypervisor": {"cpu_model": "qemu64"}}
REACH = {"uri": "qemu+tcp://192.0.2.12/system"}
TRANSFER = Transfer(TransferPhase.RUNNING, progress=40, memory_total_bytes=1 << 31, is_paused=True)


class LiveMigrations:
    """Does nothing, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], Mapping[str, Any]]] = []
        self.answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, args, kwargs))
            return self.answers.get(name)

        return ask


class Wire:
    """Both ends of a bus: what goes over it is JSON."""

    def __init__(self, live: LiveMigrations) -> None:
        manager = LiveMigrationMethods()
        manager._duties = cast("Any", SimpleNamespace(live_migrations=live))
        self._methods = methods_of(manager)
        self.targets: list[str] = []
        self.error: Exception | None = None

    def call(self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float) -> Any:
        self.targets.append(str(target))
        assert timeout_s >= 10
        if self.error is not None:
            raise self.error
        return json.loads(json.dumps(invoke(self._methods, method, json.loads(json.dumps(arguments)))))


@pytest.fixture
def live() -> LiveMigrations:
    return LiveMigrations()


@pytest.fixture
def wire(live: LiveMigrations) -> Wire:
    return Wire(live)


@pytest.fixture
def compute(wire: Wire) -> ComputeClient:
    return ComputeClient(cast("RpcClient", wire))


CALLS: list[tuple[Callable[[ComputeClient], Any], str, Any, tuple[Any, ...], Mapping[str, Any]]] = [
    (lambda c: c.check_live_source(HOST, UUID, block=None), "check_source", SOURCE, (UUID,), {"block": None}),
    (
        lambda c: c.check_live_destination(HOST, UUID, block=True, disk_over_commit=False, source=SOURCE),
        "check_destination",
        True,
        (UUID,),
        {"block": True, "disk_over_commit": False, "source": SOURCE},
    ),
    (
        lambda c: c.prepare_live_arrival(HOST, UUID, [ADDRESS], block=False),
        "prepare_arrival",
        REACH,
        (UUID, [ADDRESS]),
        {"block": False},
    ),
    (
        lambda c: c.start_live_transfer(HOST, UUID, REACH, block=True),
        "start_transfer",
        False,
        (UUID, REACH),
        {"block": True},
    ),
    (lambda c: c.live_transfer(HOST, UUID), "transfer", TRANSFER, (UUID,), {}),
    (lambda c: c.abort_live_transfer(HOST, UUID), "abort_transfer", None, (UUID,), {}),
    (lambda c: c.force_live_transfer(HOST, UUID), "force_transfer", None, (UUID,), {}),
    (
        lambda c: c.complete_live_arrival(HOST, UUID, [ADDRESS]),
        "complete_arrival",
        PowerState.PAUSED,
        (UUID, [ADDRESS]),
        {},
    ),
    (lambda c: c.cancel_live_arrival(HOST, UUID), "cancel_arrival", None, (UUID,), {}),
    (lambda c: c.clear_departed(HOST, UUID, keeps_disk=True), "clear_departed", None, (UUID,), {"keeps_disk": True}),
    (lambda c: c.guest_state(HOST, UUID), "guest_state", PowerState.RUNNING, (UUID,), {}),
    (lambda c: c.guest_state(HOST, UUID), "guest_state", None, (UUID,), {}),
]


@pytest.mark.parametrize(("ask", "name", "answer", "args", "kwargs"), CALLS, ids=[call[1] for call in CALLS])
def test_what_is_asked_for_arrives_and_so_does_the_answer(
    live: LiveMigrations,
    wire: Wire,
    compute: ComputeClient,
    ask: Callable[[ComputeClient], Any],
    name: str,
    answer: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    live.answers[name] = answer
    assert ask(compute) == answer
    assert live.asked == [(name, args, kwargs)]
    assert wire.targets == [f"nova-compute on {HOST}"]


@pytest.mark.parametrize("ask", [call[0] for call in CALLS], ids=[call[1] for call in CALLS])
def test_a_host_that_does_not_answer_is_an_error_of_that_host(
    wire: Wire, compute: ComputeClient, ask: Callable[[ComputeClient], Any]
) -> None:
    wire.error = RpcTimeoutError("cannot call: no reply in 10 s")
    with pytest.raises(ComputeError, match=r"^cannot call: no reply in 10 s$"):
        ask(compute)
    wire.error = InstanceStateError("cannot do it: it is elsewhere")
    with pytest.raises(InstanceStateError):
        ask(compute)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("check_live_source", {"uuid": "a", "block": None}),
        ("check_live_source", {"uuid": UUID, "block": "auto"}),
        ("check_live_destination", {"uuid": UUID, "block": None, "disk_over_commit": None, "source": SOURCE}),
        ("check_live_destination", {"uuid": UUID, "block": None, "disk_over_commit": False, "source": {}}),
        ("check_live_destination", {"uuid": UUID, "block": None, "disk_over_commit": False, "source": "a"}),
        ("prepare_live_arrival", {"uuid": UUID, "fixed_ips": [{"address": "10.0.0.2"}], "block": True}),
        ("prepare_live_arrival", {"uuid": UUID, "fixed_ips": [], "block": None}),
        ("start_live_transfer", {"uuid": UUID, "destination": "there", "block": True}),
        ("start_live_transfer", {"uuid": UUID, "destination": REACH, "block": 1}),
        ("live_transfer", {"uuid": None}),
        ("abort_live_transfer", {"uuid": "../a"}),
        ("force_live_transfer", {"uuid": 5}),
        ("complete_live_arrival", {"uuid": UUID, "fixed_ips": [{}]}),
        ("cancel_live_arrival", {"uuid": ""}),
        ("clear_departed", {"uuid": UUID, "keeps_disk": "yes"}),
        ("guest_state", {"uuid": []}),
    ],
)
def test_what_cannot_be_read_is_the_askers_mistake(
    live: LiveMigrations, wire: Wire, method: str, arguments: Mapping[str, Any]
) -> None:
    with pytest.raises(BadMessageError):
        wire.call(Target("compute", HOST), method, arguments, timeout_s=10)
    assert live.asked == []
