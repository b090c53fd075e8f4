"""Addresses that a nova-network asks for: for instances of its own host, and taken back from what is undone or gone."""

from typing import Any

import pytest

from cloud.db.migration_records import NewMigration
from cloud.domain.expected import ANY
from cloud.domain.instance import TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import ConflictError, InstanceNotFoundError, InstanceStateError
from cloud.rpc.errors import BadMessageError
from cloud.services.network.options import Network
from tests.conductor.site import CIDR, Addresses, Site
from tests.db.making import uuid_of

HERE, ELSEWHERE = "compute-01", "compute-02"


@pytest.fixture
def addresses(site: Site) -> Addresses:
    """Of a cloud with an instance that is being built here."""
    site.enter()
    site.tables.instances.update(uuid_of(1), {"host": HERE, "task_state": TaskState.NETWORKING})
    return Addresses(site.tables)


def test_an_instance_gets_the_lowest_free_address_and_keeps_it(site: Site, addresses: Addresses) -> None:
    given = addresses.allocate_fixed_ip(uuid_of(1), HERE, "private", CIDR)
    assert (given["address"], given["network"]) == ("10.0.0.2", "private")
    assert given["mac"].startswith("fa:16:3e:")
    assert addresses.allocate_fixed_ip(uuid_of(1), HERE, "private", CIDR) == given
    assert site.instance().addresses == ("10.0.0.2",)


def test_a_host_gives_none_to_an_instance_of_another(site: Site, addresses: Addresses) -> None:
    with pytest.raises(InstanceStateError, match="on host compute-02: it is on host compute-01"):
        addresses.allocate_fixed_ip(uuid_of(1), ELSEWHERE, "private", CIDR)
    with pytest.raises(InstanceNotFoundError):
        addresses.allocate_fixed_ip(uuid_of(2), HERE, "private", CIDR)
    assert site.instance().addresses == ()


def test_a_host_gives_an_instance_that_is_on_its_way_there_the_address_that_it_has(
    site: Site, addresses: Addresses
) -> None:
    given = addresses.allocate_fixed_ip(uuid_of(1), HERE, "private", CIDR)
    instance = site.instance()
    new = NewMigration(
        instance_uuid=instance.uuid,
        type=MigrationType.EVACUATION,
        request_id=None,
        source_compute=HERE,
        source_node=None,
        old_flavor=instance.flavor,
        new_flavor=instance.flavor,
        old_vm_state=instance.vm_state,
        dest_compute=ELSEWHERE,
    )
    migration, _ = site.tables.migrations.begin(new, {}, ANY)
    assert addresses.allocate_fixed_ip(uuid_of(1), ELSEWHERE, "private", CIDR) == given
    with pytest.raises(InstanceStateError):
        addresses.allocate_fixed_ip(uuid_of(1), "compute-03", "private", CIDR)
    site.tables.migrations.update(migration.id, {"status": MigrationStatus.FAILED})
    with pytest.raises(InstanceStateError):
        addresses.allocate_fixed_ip(uuid_of(1), ELSEWHERE, "private", CIDR)


def test_when_none_is_free_it_says_so(site: Site, addresses: Addresses) -> None:
    small = Addresses(site.tables, Network("private", "10.0.0.0/30"))
    small.allocate_fixed_ip(uuid_of(1), HERE, "private", "10.0.0.0/30")
    site.enter(2)
    site.tables.instances.update(uuid_of(2), {"host": HERE})
    with pytest.raises(ConflictError, match=r"^cannot allocate an address of network private: none of 10\.0\.0\.0/30"):
        small.allocate_fixed_ip(uuid_of(2), HERE, "private", "10.0.0.0/30")


@pytest.mark.parametrize(
    ("network", "cidr"),
    [("invented", CIDR), ("private", "10.0.0.0/30"), ("private", "192.0.2.0/24"), ("invented", "192.0.2.0/24")],
)
def test_a_host_gives_addresses_of_no_network_but_the_conductors_own(
    site: Site, addresses: Addresses, network: str, cidr: str
) -> None:
    with pytest.raises(BadMessageError, match=r": nova-conductor has private, 10\.0\.0\.0/24$"):
        addresses.allocate_fixed_ip(uuid_of(1), HERE, network, cidr)
    assert site.instance().addresses == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"task_state": None},
        {"vm_state": VmState.ERROR, "task_state": None},
        {"vm_state": VmState.ERROR, "task_state": None, "host": None},
        {"vm_state": VmState.ACTIVE, "task_state": TaskState.DELETING},
    ],
    ids=["being undone", "in error", "in error and nowhere", "being deleted"],
)
def test_it_is_taken_back_from_what_is_undone_or_unwanted(
    site: Site, addresses: Addresses, changes: dict[str, Any]
) -> None:
    addresses.allocate_fixed_ip(uuid_of(1), HERE, "private", CIDR)
    site.tables.instances.update(uuid_of(1), changes)
    for _ in range(2):
        addresses.release_fixed_ip(uuid_of(1), HERE)
    assert site.instance().addresses == ()


@pytest.mark.parametrize(
    ("changes", "host"),
    [
        ({"task_state": None}, ELSEWHERE),
        ({"task_state": TaskState.SPAWNING}, HERE),
        ({"vm_state": VmState.ACTIVE, "task_state": None}, HERE),
        ({"vm_state": VmState.ERROR, "task_state": TaskState.REBUILDING}, HERE),
    ],
    ids=["of another host", "being built", "in use", "being rebuilt"],
)
def test_it_is_not_taken_from_what_has_use_for_it(
    site: Site, addresses: Addresses, changes: dict[str, Any], host: str
) -> None:
    addresses.allocate_fixed_ip(uuid_of(1), HERE, "private", CIDR)
    site.tables.instances.update(uuid_of(1), changes)
    with pytest.raises(InstanceStateError, match="cannot take back the address of instance"):
        addresses.release_fixed_ip(uuid_of(1), host)
    assert site.instance().addresses == ("10.0.0.2",)


@pytest.mark.parametrize(
    "arguments",
    [
        (5, HERE, "private", CIDR),
        (uuid_of(1), None, "private", CIDR),
        (uuid_of(1), HERE, "", CIDR),
        (uuid_of(1), HERE, "x" * 256, CIDR),
        (uuid_of(1), HERE, "private", 5),
        (uuid_of(1), HERE, "private", "10.0.0.1/24"),
        (uuid_of(1), HERE, "private", "fd00::/64"),
        (uuid_of(1), HERE, "private", "everywhere"),
    ],
)
def test_a_network_that_cannot_be_is_the_askers_mistake(site: Site, addresses: Addresses, arguments: Any) -> None:
    with pytest.raises(BadMessageError):
        addresses.allocate_fixed_ip(*arguments)
    assert site.instance().addresses == ()
