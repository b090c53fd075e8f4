"""Lists of instances: which, in which order, page by page; alike on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from itertools import chain, product
from typing import Any

import pytest
from sqlalchemy import event

from cloud.db.engine import Database
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.instance_query import SORT_KEYS, InstanceQuery, instance_statement
from cloud.db.instances import InstanceTable
from cloud.domain.instance import TaskState, VmState
from cloud.errors import BadRequestError
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, new_instance, uuid_of


def number_of(uuid: str) -> int:
    return int(uuid.replace("-", ""), 16)


def listed(instances: InstanceTable, **conditions: Any) -> list[int]:
    return [number_of(instance.uuid) for instance in instances.list(InstanceQuery(**conditions))]


def pages(instances: InstanceTable, limit: int, **conditions: Any) -> list[list[int]]:
    """All pages, each asked for by the last one's end; at most ten."""
    found: list[list[int]] = []
    marker = None
    for _ in range(10):
        page = listed(instances, limit=limit, marker=marker, **conditions)
        if not page:
            break
        found.append(page)
        marker = uuid_of(page[-1])
    return found


@pytest.fixture
def five(instances: InstanceTable, clock: Clock) -> InstanceTable:
    """1 to 5, of which 3 and 4 were made at the same time; 5 is of another project."""
    for numbers in ((1,), (2,), (3, 4), (5,)):
        project_id = "p2" if numbers == (5,) else "p1"
        instances.create([new_instance(number, project_id=project_id) for number in numbers], NO_QUOTA)
        clock.advance(1)
    return instances


def test_newest_come_first_and_of_the_same_time_the_later_id(five: InstanceTable) -> None:
    assert listed(five) == [5, 4, 3, 2, 1]
    assert listed(five, project_id="p1") == [4, 3, 2, 1]
    assert listed(five, limit=2) == [5, 4]
    assert listed(five, limit=0) == []


def test_pages_leave_none_out_and_show_none_twice(five: InstanceTable) -> None:
    assert pages(five, 2) == [[5, 4], [3, 2], [1]]
    assert pages(five, 3, project_id="p1") == [[4, 3, 2], [1]]


def test_page_goes_on_behind_an_instance_that_was_deleted_meanwhile(five: InstanceTable) -> None:
    five.delete(uuid_of(4))
    assert listed(five, marker=uuid_of(4)) == [3, 2, 1]


def test_marker_that_the_project_does_not_have_is_refused(five: InstanceTable) -> None:
    for marker in (uuid_of(5), uuid_of(9), "", "x\x00"):
        with pytest.raises(BadRequestError, match="there is no such instance"):
            listed(five, project_id="p1", marker=marker)


CONDITIONS: tuple[tuple[dict[str, Any], list[int]], ...] = (
    ({"host": "a"}, [2, 1]),
    ({"host": "A"}, []),
    ({"vm_states": [VmState.ACTIVE]}, [2]),
    ({"vm_states": [VmState.ACTIVE, VmState.ERROR]}, [3, 2]),
    ({"vm_states": []}, []),
    ({"task_states": [None]}, [3, 2]),
    ({"task_states": [None, TaskState.SPAWNING]}, [3, 2, 1]),
    ({"task_states": [TaskState.SPAWNING]}, [1]),
    ({"exact_name": "web-1"}, [1]),
    ({"exact_name": "web"}, []),
    ({"exact_name": "WEB-1"}, []),
    ({"name": "web"}, [5, 4, 3, 2, 1]),
    ({"name": "^web-1$"}, [1]),
    ({"name": "b-1|-3$"}, [3, 1]),
    ({"name": "Web"}, []),
    ({"image_id": "i1"}, [4]),
    ({"flavorid": "2"}, [5, 4, 3, 2, 1]),
    ({"flavorid": "1"}, []),
    ({"uuids": [uuid_of(1), uuid_of(5), "x"]}, [5, 1]),
    ({"uuids": []}, []),
    ({"reservation_id": "r-22222222"}, [2]),
    ({"user_id": "u2"}, [2]),
    ({"ip": "10.0.0.2"}, [1]),
    ({"ip": "10.0.0."}, [2, 1]),
    ({"ip": "0.0.3"}, []),
    ({"ip": "^10.0.0.3$"}, [2]),
    ({"project_id": "p1", "vm_states": [VmState.ACTIVE], "host": "a"}, [2]),
)


# In one database: to make one takes longer than all the lists.
def test_instances_are_those_of_which_all_conditions_hold(instances: InstanceTable, fixed_ips: FixedIpTable) -> None:
    special: dict[int, dict[str, Any]] = {2: {"reservation_id": "r-22222222", "user_id": "u2"}, 4: {"image_id": "i1"}}
    for number in (1, 2, 3, 4, 5):
        instances.create([new_instance(number, **special.get(number, {}))], NO_QUOTA)
    instances.update(uuid_of(1), {"host": "a", "task_state": "spawning"})
    instances.update(uuid_of(2), {"host": "a", "vm_state": "active", "task_state": None})
    instances.update(uuid_of(3), {"vm_state": "error", "task_state": None})
    for number in (1, 2):
        fixed_ips.allocate(uuid_of(number), "private", "10.0.0.0/24")
    for conditions, expected in CONDITIONS:
        assert listed(instances, **conditions) == expected, conditions


def test_deleted_ones_are_listed_where_they_are_asked_for(five: InstanceTable, clock: Clock) -> None:
    five.delete(uuid_of(2))
    assert listed(five) == [5, 4, 3, 1]
    assert listed(five, is_deleted=True) == [2]
    assert listed(five, is_deleted=None) == [5, 4, 3, 2, 1]
    assert listed(five, is_deleted=None, vm_states=[VmState.DELETED]) == [2]


def test_changes_since_a_time_include_that_time(five: InstanceTable, clock: Clock) -> None:
    five.update(uuid_of(1), {"progress": 5})
    five.delete(uuid_of(2))
    changed_at = datetime(2014, 10, 16, 12, 0, 4, tzinfo=UTC)
    assert listed(five, changes_since=changed_at) == [1]
    assert listed(five, changes_since=changed_at, is_deleted=None) == [2, 1]
    clock.advance(1)
    assert listed(five, changes_since=clock(), is_deleted=None) == []


ORDERS: tuple[tuple[list[str], list[str], list[int]], ...] = (
    (["created_at"], ["asc"], [1, 2, 3, 4, 5]),
    (["created_at"], [], [5, 4, 3, 2, 1]),
    (["id"], ["asc"], [1, 2, 3, 4, 5]),
    (["display_name"], ["asc"], [4, 3, 1, 5, 2]),
    (["display_name"], ["desc"], [2, 5, 1, 3, 4]),
    (["host"], ["asc"], [1, 4, 5, 3, 2]),
    (["host"], ["desc"], [2, 3, 5, 4, 1]),
    (["host", "created_at"], ["asc", "desc"], [5, 4, 1, 3, 2]),
    (["launched_at"], ["asc"], [1, 3, 4, 5, 2]),
    (["launched_at", "display_name"], ["desc", "asc"], [2, 4, 3, 1, 5]),
    (["name", "name"], ["asc", "desc"], [4, 3, 1, 5, 2]),
)


def test_every_order_is_the_same_on_either_database_and_has_the_same_pages(
    instances: InstanceTable, clock: Clock
) -> None:
    names = {1: "a", 2: "ä", 3: "B", 4: "A", 5: "b"}
    for number, name in names.items():
        instances.create([new_instance(number, display_name=name)], NO_QUOTA)
        clock.advance(1)
    instances.update(uuid_of(2), {"host": "h2", "launched_at": clock()})
    instances.update(uuid_of(3), {"host": "h1"})
    for keys, dirs, expected in ORDERS:
        assert listed(instances, sort_keys=keys, sort_dirs=dirs) == expected, (keys, dirs)
        in_pages = pages(instances, 2, sort_keys=keys, sort_dirs=dirs)
        assert in_pages == [expected[:2], expected[2:4], expected[4:]], (keys, dirs)


def test_every_sort_key_has_pages(five: InstanceTable) -> None:
    for key, direction in product(SORT_KEYS, ("asc", "desc")):
        found = pages(five, 2, sort_keys=[key], sort_dirs=[direction])
        assert sorted(chain.from_iterable(found)) == [1, 2, 3, 4, 5], (key, direction)


SENSELESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"sort_keys": ["colour"]}, "cannot sort instances by colour: there is no such key"),
    ({"sort_keys": ["host"], "sort_dirs": ["up"]}, "cannot sort instances up: a direction is asc or desc"),
    ({"sort_keys": ["host"], "sort_dirs": ["asc", "asc"]}, "cannot sort instances: 2 directions for 1 keys"),
    ({"uuids": ["x"] * 5001}, "cannot list 5001 instances by uuid: 5000 at the most"),
)


def test_query_that_makes_no_sense_is_refused(five: InstanceTable) -> None:
    for conditions, complaint in SENSELESS:
        with pytest.raises(BadRequestError) as caught:
            listed(five, **conditions)
        assert str(caught.value) == complaint


def test_list_takes_two_statements_however_many_there_are(
    database: Database, five: InstanceTable, fixed_ips: FixedIpTable
) -> None:
    for number in (1, 2, 3):
        fixed_ips.allocate(uuid_of(number), "private", "10.0.0.0/24")
    statements: list[str] = []
    with database.reading() as session:
        engine = session.get_bind().engine

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        found = five.list(InstanceQuery())
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert [instance.addresses for instance in found] == [(), (), ("10.0.0.4",), ("10.0.0.3",), ("10.0.0.2",)]
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 2


@pytest.mark.parametrize(
    ("conditions", "index"),
    [
        ({}, "ix_instances_created_at_id"),
        ({"marker": uuid_of(3)}, "ix_instances_created_at_id"),
        ({"project_id": "p1"}, "ix_instances_project_id_created_at_id"),
        ({"project_id": "p1", "marker": uuid_of(3)}, "ix_instances_project_id_created_at_id"),
    ],
)
def test_page_is_read_from_an_index_without_sorting(
    database: Database, five: InstanceTable, conditions: dict[str, Any], index: str
) -> None:
    with database.reading() as session:
        statement = instance_statement(session, InstanceQuery(limit=1000, **conditions))
        connection = session.connection()
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:  # so few rows would be read whole
            for method in ("seqscan", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{method} = off")
        words = statement.compile(connection, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        plan = "\n".join(map(str, connection.exec_driver_sql(f"{explain}{words}").all()))
    assert index in plan
    assert "Sort" not in plan
    assert "B-TREE" not in plan
