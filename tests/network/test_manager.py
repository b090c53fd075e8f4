"""nova-network: what it asks of its conductor, and what it answers."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from oslo_config import cfg

from cloud.domain.fixed_ip import FixedIp
from cloud.errors import ConflictError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.manager import Parts
from cloud.services.network.client import NetworkClient
from cloud.services.network.manager import NetworkManager, make_manager
from cloud.services.network.options import NETWORK_OPTIONS, Network
from tests.db.making import uuid_of
from tests.services.said import Line

GIVEN = FixedIp("10.1.0.2", "fa:16:3e:00:00:01", "office")


class Conductor:
    """Gives every instance the same."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def allocate_fixed_ip(self, instance_uuid: str, network: str, cidr: str) -> FixedIp:
        self._note("allocate", instance_uuid, network, cidr)
        return GIVEN

    def release_fixed_ip(self, instance_uuid: str) -> None:
        self._note("release", instance_uuid)

    def _note(self, *asked: str) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error


class Bus:
    """Remembers what is called."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, Any], float]] = []

    def call(self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float) -> Any:
        self.calls.append((str(target), method, arguments or {}, timeout_s))
        return self.answer


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def manager(conductor: Conductor) -> NetworkManager:
    return NetworkManager(conductor, Network("office", "10.1.0.0/24"))


def test_an_address_is_one_of_the_network_that_is_configured(
    manager: NetworkManager, conductor: Conductor, lines: list[Line]
) -> None:
    given = {"address": "10.1.0.2", "mac": "fa:16:3e:00:00:01", "network": "office"}
    assert manager.allocate_for_instance(uuid_of(1)) == given
    assert conductor.asked == [("allocate", uuid_of(1), "office", "10.1.0.0/24")]
    assert lines == [("INFO", "instance has an address", {"instance": uuid_of(1), **given})]


def test_it_is_taken_back(manager: NetworkManager, conductor: Conductor, lines: list[Line]) -> None:
    manager.deallocate_for_instance(uuid_of(1))
    assert conductor.asked == [("release", uuid_of(1))]
    assert lines == [("INFO", "address of instance taken back", {"instance": uuid_of(1)})]


def test_what_the_conductor_refuses_is_refused(
    manager: NetworkManager, conductor: Conductor, lines: list[Line]
) -> None:
    conductor.error = ConflictError("cannot allocate an address of network office: none is free")
    for call in (manager.allocate_for_instance, manager.deallocate_for_instance):
        with pytest.raises(ConflictError, match=r"^cannot allocate an address of network office: none is free$"):
            call(uuid_of(1))
    assert lines == []


def test_the_manager_asks_the_conductor_as_the_host_that_it_is_on() -> None:
    conf = cfg.ConfigOpts()
    conf.register_opts([*NETWORK_OPTIONS, cfg.StrOpt("host", default="compute-01")])
    conf(args=[], default_config_files=[], default_config_dirs=[])
    bus = Bus(GIVEN.as_dict())
    manager = make_manager(Parts(conf, cast("RpcClient", bus), database=None))
    manager.allocate_for_instance(uuid_of(1))
    arguments = {"host": "compute-01", "instance_uuid": uuid_of(1), "network": "private", "cidr": "10.0.0.0/16"}
    assert bus.calls == [("nova-conductor", "allocate_fixed_ip", arguments, 10.0)]


def test_the_client_asks_the_one_on_the_host_and_waits_longer_than_that_waits_for_its_conductor() -> None:
    bus = Bus(GIVEN.as_dict())
    client = NetworkClient(cast("RpcClient", bus))
    assert client.allocate_for_instance("compute-01", uuid_of(1)) == GIVEN
    client.deallocate_for_instance("compute-02", uuid_of(2))
    bus.answer = "10.1.0.1"
    assert client.dhcp_server("compute-03") == "10.1.0.1"
    assert bus.calls == [
        ("nova-network on compute-01", "allocate_for_instance", {"instance_uuid": uuid_of(1)}, 15.0),
        ("nova-network on compute-02", "deallocate_for_instance", {"instance_uuid": uuid_of(2)}, 15.0),
        ("nova-network on compute-03", "dhcp_server", {}, 15.0),
    ]


def test_guests_are_told_their_address_by_the_gateway(manager: NetworkManager, conductor: Conductor) -> None:
    assert manager.dhcp_server() == "10.1.0.1"
    assert conductor.asked == []


def test_manager_offers_what_the_client_asks_for(conductor: Conductor, manager: NetworkManager) -> None:
    assert set(methods_of(manager)) == {"allocate_for_instance", "deallocate_for_instance", "dhcp_server"}
