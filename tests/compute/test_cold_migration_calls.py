"""What is asked of a host for a resize or a cold migration, as it comes off the bus there."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloud.domain.instance import PowerState
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import invoke, methods_of
from cloud.services.compute.cold_migration_calls import ColdMigrationCalls
from cloud.services.compute.cold_migration_methods import ColdMigrationMethods
from cloud.services.compute.duties import Duties
from cloud.virt.moving import Transfer, TransferPhase
from tests.compute.site import ADDRESS, HOST, TINY, UUID


class Duty:
    """Notes what it is asked, and answers as a host does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
        self.answers: dict[str, object] = {
            "prepare_disk": {"storage_id": "s", "target": {"path": "/there"}},
            "power_off_for_resize": "s",
            "disk_transfer": Transfer(TransferPhase.RUNNING, progress=7),
            "start_resized": PowerState.RUNNING,
            "take_back": PowerState.SHUTDOWN,
        }

    def __getattr__(self, name: str) -> Any:
        def ask(*args: object, **kwargs: object) -> object:
            self.asked.append((name, args, kwargs))
            return self.answers.get(name)

        return ask


class Methods(ColdMigrationMethods):
    def __init__(self, duty: Duty) -> None:
        self._duties = cast("Duties", SimpleNamespace(cold_migrations=duty))


class Calls(ColdMigrationCalls):
    """Whose calls come to the methods of one host, as JSON."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods_of(methods)

    def _build(self, host: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        assert host == HOST
        assert timeout_s > 0
        return json.loads(json.dumps(invoke(self._methods, method, json.loads(json.dumps(arguments)))))


@pytest.fixture
def duty() -> Duty:
    return Duty()


@pytest.fixture
def calls(duty: Duty) -> Calls:
    return Calls(Methods(duty))


def test_what_is_asked_comes_there_and_the_answer_back(duty: Duty, calls: Calls) -> None:
    target = {"path": "/there"}
    assert calls.prepare_disk(HOST, UUID, TINY) == {"storage_id": "s", "target": target}
    assert calls.power_off_for_resize(HOST, UUID, TINY) == "s"
    calls.send_disk(HOST, UUID, target)
    assert calls.disk_transfer(HOST, UUID) == Transfer(TransferPhase.RUNNING, progress=7)
    calls.adopt(HOST, UUID, TINY, [ADDRESS])
    calls.resize_here(HOST, UUID, TINY)
    calls.set_aside(HOST, UUID)
    assert calls.start_resized(HOST, UUID, is_running=True) is PowerState.RUNNING
    assert calls.take_back(HOST, UUID, is_running=False) is PowerState.SHUTDOWN
    calls.drop_aside(HOST, UUID, keeps_disk=True)
    assert duty.asked == [
        ("prepare_disk", (UUID, TINY), {}),
        ("power_off_for_resize", (UUID, TINY), {}),
        ("send_disk", (UUID, target), {}),
        ("disk_transfer", (UUID,), {}),
        ("adopt", (UUID, TINY, [ADDRESS]), {}),
        ("resize_here", (UUID, TINY), {}),
        ("set_aside", (UUID,), {}),
        ("start_resized", (UUID,), {"is_running": True}),
        ("take_back", (UUID,), {"is_running": False}),
        ("drop_aside", (UUID,), {"keeps_disk": True}),
    ]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set_aside", {"uuid": "../etc"}),
        ("send_disk", {"uuid": UUID, "target": "/there"}),
        ("take_back", {"uuid": UUID, "is_running": 1}),
        ("drop_aside", {"uuid": UUID, "keeps_disk": "no"}),
        ("resize_here", {"uuid": UUID, "flavor": {"name": "m1.tiny"}}),
        ("resize_here", {"uuid": UUID, "flavor": TINY.as_dict() | {"root_gb": "1"}}),
        ("resize_here", {"uuid": UUID, "flavor": TINY.as_dict() | {"memory_mb": -1}}),
        ("adopt", {"uuid": UUID, "flavor": TINY.as_dict(), "fixed_ips": [{"address": "10.0.0.2"}]}),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_done(
    duty: Duty, method: str, arguments: Mapping[str, Any]
) -> None:
    with pytest.raises(BadMessageError):
        invoke(methods_of(Methods(duty)), method, arguments)
    assert duty.asked == []
