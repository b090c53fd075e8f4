"""All that an instance is called leads to it; what could be several things is said to be, and never guessed."""

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.identity import NotFoundError, names_of, resolve
from cloud.logs.query.explain.lines import line_of
from cloud.logs.query.explain.subject import SubjectError
from cloud.logs.query.search import Search
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.query.explain.wire import line, table

ONE = "0a1b2c3d-1111-4aaa-8aaa-000000000001"
TWO = "0a1b2c3d-2222-4bbb-8bbb-000000000002"
THREE = "7f000000-3333-4ccc-8ccc-000000000003"
REQUEST = "req-5d0f3a52-0d5c-4f1e-9a3b-6a0a6c7e1f10"
BUILT = '@cee: {"message":"build requested","event":"build.request.started","instance":"%s","instance_id":%d,"display_name":"%s"}'
STARTED = (
    '@cee: {"message":"step started","event":"migration.pre.started","instance":"%s","migration":%d,"request_id":"%s"}'
)
QEMU = '@cee: {"message":"-name guest=instance-00000abc,debug-threads=on -m 512 -uuid 7f000000-4444-4ddd-8ddd-000000000004"}'
MESSAGES = [
    line(BUILT % (ONE, 5561, "web-1"), at_s=0),
    line(BUILT % (TWO, 5562, "web-2"), at_s=1),
    line(BUILT % (THREE, 12, "web-2"), at_s=2),
    line(STARTED % (ONE, 42, REQUEST), at_s=3),
    line(STARTED % (TWO, 12, "req-0"), at_s=4),
    line(QEMU, at_s=5, service="qemu"),
    line("instance: instance-00000001 and instance-00000002 are gone", at_s=6),
]


@pytest.fixture
def search(store: DuckDbStore) -> Search:
    store.append(table(MESSAGES))
    return Search(store)


@pytest.mark.parametrize(
    ("asked", "kind", "found"),
    [
        (ONE, "instance", ONE),
        (ONE.upper(), "instance", ONE),
        ("i-000015b9", "instance", ONE),
        ("instance-000015b9", "instance", ONE),
        ("5561", "instance", ONE),
        ("web-1", "instance", ONE),
        ("0a1b2c3d-1", "instance", ONE),
        ("7f0000", "instance", THREE),
        ("42", "migration", "42"),
        (REQUEST, "request", REQUEST),
        (REQUEST.removeprefix("req-"), "request", REQUEST),
        ("req-5d0f3a52", "request", REQUEST),
        ("instance-00000abc", "instance", "7f000000-4444-4ddd-8ddd-000000000004"),
    ],
)
def test_each_name_leads_to_what_it_names(search: Search, asked: str, kind: str, found: str) -> None:
    subject = resolve(asked, search, TimeRange())
    assert (str(subject.kind), subject.id) == (kind, found)


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        ("web-2", {TWO, THREE}),
        ("0a1b2c3d", {ONE, TWO}),
        ("web-9", set()),
        ("instance-00000001", set()),
        ("99", set()),
        ("deadbeef-0000-4000-8000-000000000000", set()),
    ],
)
def test_what_is_several_things_or_nothing_is_said_and_not_guessed(
    search: Search, asked: str, choices: set[str]
) -> None:
    with pytest.raises(NotFoundError) as raised:
        resolve(asked, search, TimeRange())
    assert set(raised.value.choices) == choices
    assert asked in str(raised.value)


def test_a_number_that_is_a_migrations_and_an_instances_is_taken_for_the_migrations_and_that_is_said(
    search: Search,
) -> None:
    subject = resolve("12", search, TimeRange())
    assert (str(subject.kind), subject.id) == ("migration", "12")
    assert subject.note is not None
    assert f"instance {THREE} has that number, too: ask for i-0000000c" in subject.note


@pytest.mark.parametrize("asked", ["", "   ", "a\x00b", "x" * 256])
def test_what_is_no_name_at_all_is_refused(search: Search, asked: str) -> None:
    with pytest.raises(SubjectError, match="cannot explain"):
        resolve(asked, search, TimeRange())


def test_what_an_instance_is_called_is_read_from_its_own_lines(search: Search) -> None:
    lines = [line_of(row) for row in search.find(Where(), TimeRange(), 100)]
    names = names_of(ONE, lines)
    assert (names.domain, names.ec2_id, names.instance_id, names.display_name) == (
        "instance-000015b9",
        "i-000015b9",
        5561,
        "web-1",
    )
