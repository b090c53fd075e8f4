"""What a nova-compute is told of guests that may be another host's, and how a claim follows what was done by hand."""

from dataclasses import replace
from typing import Any

import pytest

from cloud.db.migration_records import NewMigration
from cloud.domain.expected import ANY
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.domain.whereabouts import Departure, Whereabouts
from cloud.errors import HostNotFoundError, InstanceNotFoundError, InstanceStateError
from cloud.rpc.errors import BadMessageError
from cloud.services.conductor.client import WHEREABOUTS_PAGE
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import WhereaboutsMethods
from tests.conductor.site import ROOM, Site
from tests.db.making import SMALL, compute_node, uuid_of
from tests.services.said import Line

HERE, THERE, ELSEWHERE = "compute-01", "compute-02", "compute-03"
UUID = uuid_of(1)
LEFT, CAME = (HERE, THERE), (THERE, HERE)
"""A migration's source and destination, for the host that asks."""


class Methods(WhereaboutsMethods):
    def __init__(self, tables: Tables) -> None:
        self._tables = tables


@pytest.fixture
def methods(site: Site) -> Methods:
    return Methods(site.tables)


@pytest.fixture
def active(site: Site) -> Instance:
    """One that runs on the host that asks."""
    site.enter()
    return put(site, HERE, vm_state=VmState.ACTIVE, task_state=None, node=node_of(HERE))


def put(site: Site, host: str | None, **changes: Any) -> Instance:
    return site.tables.instances.update(UUID, {"host": host, **changes})


def node_of(host: str) -> str:
    return f"{host}.example.org"


def migrate(
    site: Site,
    hosts: tuple[str, str],
    status: MigrationStatus,
    kind: MigrationType = MigrationType.EVACUATION,
    **changes: Any,
) -> Migration:
    source, destination = hosts
    instance = site.tables.instances.get(UUID, deleted=True)
    new = NewMigration(
        instance_uuid=UUID,
        type=kind,
        request_id=None,
        source_compute=source,
        source_node=None,
        old_flavor=SMALL,
        new_flavor=SMALL,
        old_vm_state=instance.vm_state,
        dest_compute=destination,
    )
    migration, _ = site.tables.migrations.begin(new, {}, ANY)
    return site.tables.migrations.update(migration.id, {"status": status, **changes})


def told(methods: Methods, host: str = HERE) -> Whereabouts:
    (found,) = methods.whereabouts(host, [UUID])
    return Whereabouts.from_dict(found)


def test_of_an_instance_it_is_told_where_it_is(site: Site, methods: Methods, active: Instance) -> None:
    assert told(methods) == Whereabouts(UUID, HERE)
    assert told(methods, THERE) == Whereabouts(UUID, HERE)
    put(site, None)
    assert told(methods) == Whereabouts(UUID, None)


def test_of_what_the_database_does_not_know_it_is_told_that(methods: Methods) -> None:
    assert told(methods) == Whereabouts(UUID, None)


def test_of_a_deleted_one_it_is_told_where_it_was(site: Site, methods: Methods, active: Instance) -> None:
    site.tables.instances.delete(UUID)
    assert told(methods) == Whereabouts(UUID, HERE, is_deleted=True)


def test_several_come_in_the_order_in_which_they_are_asked_for(site: Site, methods: Methods, active: Instance) -> None:
    asked = [uuid_of(3), UUID, uuid_of(2)]
    assert [found["uuid"] for found in methods.whereabouts(HERE, asked)] == asked
    assert methods.whereabouts(HERE, []) == []


@pytest.mark.parametrize(
    ("hosts", "kind", "status", "changes", "departure"),
    [
        (LEFT, MigrationType.EVACUATION, MigrationStatus.ACCEPTED, {}, Departure.NONE),
        (LEFT, MigrationType.EVACUATION, MigrationStatus.PREPARING, {}, Departure.NONE),
        (LEFT, MigrationType.EVACUATION, MigrationStatus.RUNNING, {}, Departure.UNDER_WAY),
        (LEFT, MigrationType.EVACUATION, MigrationStatus.RUNNING, {"is_handed_over": True}, Departure.UNDER_WAY),
        (LEFT, MigrationType.EVACUATION, MigrationStatus.RUNNING, {"is_undoing": True}, Departure.NONE),
        (CAME, MigrationType.EVACUATION, MigrationStatus.RUNNING, {}, Departure.NONE),
        (LEFT, MigrationType.LIVE, MigrationStatus.RUNNING, {}, Departure.NONE),
        (CAME, MigrationType.LIVE, MigrationStatus.POST_MIGRATING, {"is_handed_over": True}, Departure.NONE),
    ],
)
def test_of_a_move_that_has_not_ended_it_is_told_that_it_moves(
    site: Site,
    methods: Methods,
    active: Instance,
    hosts: tuple[str, str],
    kind: MigrationType,
    status: MigrationStatus,
    changes: dict[str, Any],
    departure: Departure,
) -> None:
    migrate(site, hosts, status, kind, **changes)
    assert (told(methods).is_moving, told(methods).departure) == (True, departure)
    assert told(methods, ELSEWHERE) == Whereabouts(UUID, HERE)  # which has nothing to do with it


@pytest.mark.parametrize(
    ("status", "is_handed_over", "departure"),
    [
        (MigrationStatus.COMPLETED, True, Departure.COMPLETED),
        (MigrationStatus.CANCELLED, True, Departure.COMPLETED),  # deleted at its destination
        (MigrationStatus.ERROR, True, Departure.IN_ERROR),
        (MigrationStatus.ERROR, False, Departure.NONE),
        (MigrationStatus.FAILED, False, Departure.NONE),
        (MigrationStatus.CANCELLED, False, Departure.NONE),
    ],
)
def test_of_an_evacuation_that_has_ended_it_is_told_whether_the_instance_has_left(
    site: Site, methods: Methods, active: Instance, status: MigrationStatus, is_handed_over: bool, departure: Departure
) -> None:
    migrate(site, LEFT, status, is_handed_over=is_handed_over)
    put(site, THERE)
    assert (told(methods).is_moving, told(methods).departure) == (False, departure)
    assert told(methods, THERE).departure is Departure.NONE


@pytest.mark.parametrize(
    ("host", "vm_state", "is_moving"),
    [
        (THERE, VmState.RESIZED, True),
        (THERE, VmState.ACTIVE, False),  # by an admin
        (ELSEWHERE, VmState.RESIZED, False),
    ],
)
def test_a_resize_that_waits_holds_the_instance_while_it_is_as_that_has_left_it(
    site: Site, methods: Methods, active: Instance, host: str, vm_state: VmState, *, is_moving: bool
) -> None:
    migrate(site, LEFT, MigrationStatus.FINISHED, MigrationType.RESIZE, is_handed_over=True)
    put(site, host, vm_state=vm_state)
    assert [told(methods, each).is_moving for each in LEFT] == [is_moving, is_moving]


def test_from_the_host_of_a_resize_that_was_given_up_an_instance_may_be_evacuated(
    site: Site, methods: Methods, active: Instance
) -> None:
    waiting = migrate(site, CAME, MigrationStatus.FINISHED, MigrationType.RESIZE, is_handed_over=True)
    migrate(site, (HERE, ELSEWHERE), MigrationStatus.COMPLETED, is_handed_over=True)
    put(site, ELSEWHERE)
    assert (told(methods).is_moving, told(methods).departure) == (False, Departure.COMPLETED)
    assert site.tables.migrations.get(waiting.id).status is MigrationStatus.ERROR


def test_it_is_the_last_move_that_counts_but_not_one_that_was_undone(
    site: Site, methods: Methods, active: Instance
) -> None:
    migrate(site, LEFT, MigrationStatus.COMPLETED, is_handed_over=True)
    migrate(site, CAME, MigrationStatus.FAILED, MigrationType.LIVE)
    assert told(methods).departure is Departure.COMPLETED
    migrate(site, CAME, MigrationStatus.COMPLETED, MigrationType.LIVE, is_handed_over=True)
    assert told(methods).departure is Departure.NONE
    migrate(site, (HERE, ELSEWHERE), MigrationStatus.COMPLETED, MigrationType.COLD, is_handed_over=True)
    assert told(methods).departure is Departure.NONE
    migrate(site, (ELSEWHERE, THERE), MigrationStatus.RUNNING)
    assert told(methods) == Whereabouts(UUID, HERE)


@pytest.mark.parametrize(
    ("destination", "keeps_disk"), [({"shares_disk": True}, True), ({"shares_disk": False}, False), (None, True)]
)
def test_disk_is_kept_unless_it_is_known_that_nobody_else_uses_it(
    site: Site, methods: Methods, active: Instance, destination: dict[str, bool] | None, *, keeps_disk: bool
) -> None:
    migrate(site, LEFT, MigrationStatus.COMPLETED, is_handed_over=True, destination=destination)
    put(site, THERE)
    assert told(methods).keeps_disk is keeps_disk
    site.tables.instances.delete(UUID)
    assert told(methods).keeps_disk is False


@pytest.mark.parametrize(
    ("status", "changes", "departure"),
    [
        (MigrationStatus.REVERTING, {}, Departure.UNDER_WAY),
        (MigrationStatus.REVERTING, {"is_handed_over": True}, Departure.UNDER_WAY),
        (MigrationStatus.REVERTING, {"is_undoing": True}, Departure.NONE),
        (MigrationStatus.REVERTED, {"is_handed_over": True}, Departure.COMPLETED),
        (MigrationStatus.ERROR, {"is_handed_over": True}, Departure.IN_ERROR),
        (MigrationStatus.FINISHED, {"is_undoing": True}, Departure.NONE),
    ],
)
def test_of_one_that_was_taken_back_from_a_host_that_was_not_heard_it_is_told_that_it_has_left(
    site: Site,
    methods: Methods,
    active: Instance,
    status: MigrationStatus,
    changes: dict[str, Any],
    departure: Departure,
) -> None:
    kind = MigrationType.RESIZE
    migration = migrate(site, LEFT, status, kind, destination={"is_silent": True, "is_shared": False}, **changes)
    assert told(methods, THERE).departure is departure
    assert told(methods, HERE).departure is Departure.NONE
    assert told(methods, THERE).keeps_disk is (departure is Departure.NONE)
    site.tables.migrations.update(migration.id, {"destination": {"is_silent": True, "is_shared": True}})
    assert told(methods, THERE).keeps_disk is True
    site.tables.migrations.update(migration.id, {"destination": {"is_shared": False}})
    assert told(methods, THERE).departure is Departure.NONE  # it was heard, and has done what it was asked for


@pytest.mark.parametrize(
    "uuids", [None, "x", [5], [""], ["a\x00"], [UUID] * (WHEREABOUTS_PAGE + 1), {UUID: UUID}], ids=repr
)
def test_what_cannot_be_asked_about_is_the_askers_mistake(methods: Methods, uuids: Any) -> None:
    with pytest.raises(BadMessageError):
        methods.whereabouts(HERE, uuids)


@pytest.fixture
def by_hand(site: Site, active: Instance) -> Instance:
    """It was put on another host, and is being rebooted there."""
    site.tables.claims.claim(UUID, HERE, SMALL.resources, ROOM)
    return put(site, THERE, task_state=TaskState.REBOOTING_HARD)


def test_claim_and_node_follow_the_instance_and_that_is_said(
    site: Site, methods: Methods, by_hand: Instance, lines: list[Line]
) -> None:
    for _ in range(2):
        methods.take_over_claim(UUID, THERE)
    assert site.tables.claims.of(UUID) == {THERE: SMALL.resources}
    assert site.instance().node == node_of(THERE)
    (said,) = lines
    assert said[:2] == ("WARNING", "instance was put on another host by hand, what it has claimed is moved there")
    assert said[2] == {"instance": UUID, "host": THERE, "was_node": node_of(HERE), "released_of": (HERE,)}


def test_claim_follows_to_a_host_that_is_full(site: Site, methods: Methods, by_hand: Instance) -> None:
    site.enter(2)
    site.tables.claims.claim(uuid_of(2), THERE, ROOM, ROOM)
    methods.take_over_claim(UUID, THERE)
    assert site.tables.claims.of(UUID) == {THERE: SMALL.resources}


def test_a_claim_that_somebody_has_moved_already_leaves_the_node_to_be_put_right(
    site: Site, methods: Methods, by_hand: Instance
) -> None:
    site.tables.claims.release(UUID)
    site.tables.claims.claim(UUID, THERE, SMALL.resources, ROOM)
    methods.take_over_claim(UUID, THERE)
    assert (site.tables.claims.of(UUID), site.instance().node) == ({THERE: SMALL.resources}, node_of(THERE))


def test_former_hosts_are_those_of_its_claims_and_that_of_its_node(
    site: Site, methods: Methods, by_hand: Instance
) -> None:
    site.tables.services.report(ServiceReport(HERE, "nova-compute", "compute", "nova"))
    assert methods.former_hosts(UUID, THERE) == [{"host": HERE, "is_up": True, "is_forced_down": False}]
    site.tables.services.force_down(HERE, "nova-compute", is_forced=True)
    site.tables.claims.claim(UUID, ELSEWHERE, SMALL.resources, ROOM)
    assert methods.former_hosts(UUID, THERE) == [
        {"host": HERE, "is_up": False, "is_forced_down": True},
        {"host": ELSEWHERE, "is_up": False, "is_forced_down": False},
    ]
    site.tables.claims.release(UUID)
    assert [former["host"] for former in methods.former_hosts(UUID, THERE)] == [HERE]
    methods.take_over_claim(UUID, THERE)
    assert methods.former_hosts(UUID, THERE) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"host": HERE},
        {"host": None},
        {"task_state": None},
        {"task_state": TaskState.REBOOTING},
        {"task_state": TaskState.DELETING},
    ],
)
def test_a_host_takes_over_nothing_that_is_not_about_to_begin_anew_there(
    site: Site, methods: Methods, by_hand: Instance, changes: dict[str, Any]
) -> None:
    site.tables.instances.update(UUID, changes)
    for ask in (methods.take_over_claim, methods.former_hosts):
        with pytest.raises(InstanceStateError, match=f"cannot take over instance {UUID} on host {THERE}"):
            ask(UUID, THERE)
    assert site.tables.claims.of(UUID) == {HERE: SMALL.resources}


@pytest.mark.parametrize("status", [MigrationStatus.RUNNING, MigrationStatus.FINISHED, MigrationStatus.CONFIRMING])
def test_a_host_takes_over_nothing_that_a_migration_has_in_hand(
    site: Site, methods: Methods, by_hand: Instance, status: MigrationStatus
) -> None:
    migrate(site, (ELSEWHERE, HERE), status, MigrationType.RESIZE)
    for ask in (methods.take_over_claim, methods.former_hosts):
        with pytest.raises(InstanceStateError, match=f"is {status}"):
            ask(UUID, THERE)


def test_a_host_that_nobody_knows_takes_over_nothing(site: Site, methods: Methods, by_hand: Instance) -> None:
    put(site, "compute-99")
    with pytest.raises(HostNotFoundError):
        methods.take_over_claim(UUID, "compute-99")
    site.tables.instances.delete(UUID)
    for ask in (methods.take_over_claim, methods.former_hosts):
        with pytest.raises(InstanceNotFoundError):
            ask(UUID, "compute-99")


def test_two_nodes_of_one_name_are_both_asked(site: Site, methods: Methods, by_hand: Instance) -> None:
    site.tables.compute_nodes.report(replace(compute_node("compute-04"), node=node_of(HERE)))
    assert [former["host"] for former in methods.former_hosts(UUID, THERE)] == [HERE, "compute-04"]
