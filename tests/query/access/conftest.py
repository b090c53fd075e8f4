"""A store with the lines of two projects and of none, and a key for each role."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from tests.collector.batches import table_of
from tests.collector.receiving import Authority

BLUE_INSTANCE = "2fd3a6e1-5a3c-4c58-a4b5-5a8c3c1f5a10"
LINES = (
    b'<134>1 - controller-01 nova-api - - - @cee: {"message": "red one", "request_id": "req-1", "project": "red"}',
    b'<134>1 - controller-01 nova-api - - - @cee: {"message": "blue one", "request_id": "req-2", "project": "blue",'
    b' "instance": "%s"}' % BLUE_INSTANCE.encode(),
    b"<131>1 - compute-01 kernel - - - nobody's",
    b'<131>1 - compute-01 nova-compute - - - @cee: {"message": "red two", "request_id": "req-1", "project": "red"}',
)
ROLES = ("member", "reader", "operator", "admin")


def make_key(data: Path, name: str, role: Role, project: str | None = None) -> str:
    return KeyFile(data).create(Wanted(name, role, project))


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    store = DuckDbStore(tmp_path_factory.mktemp("store"))
    store.append(table_of(*LINES))
    yield store
    store.close()


@pytest.fixture(scope="module")
def keys(store: DuckDbStore) -> Mapping[str, str]:
    """By role; the member's is for project red."""
    data = store.files.path
    return {
        "member": make_key(data, "member", Role.MEMBER, "red"),
        "reader": make_key(data, "reader", Role.READER),
        "operator": make_key(data, "operator", Role.OPERATOR),
        "admin": make_key(data, "admin", Role.ADMIN),
    }


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged: message and fields."""
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(f"{message.record['message']} {message.record['extra']}"))
    yield lines
    logger.remove(number)
