"""Failures of nova as its log files told them: none is explained wrongly, whichever way the lines came in."""

from collections import Counter
from collections.abc import Iterator

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.explain.transcript import JUDGING, NAMES, WORKED_WITH, expected, joined, one_a_line, verdict_on
from tests.query.explain.wire import explained, table

RIGHT = expected()


@pytest.fixture(scope="module", params=[one_a_line, joined], ids=["one a line", "joined"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """All of them, in one store."""
    store = DuckDbStore(tmp_path_factory.mktemp("told"))
    store.append(table([line for name in NAMES for line in request.param(name)]))
    yield store
    store.close()


@pytest.mark.parametrize("names", [WORKED_WITH, JUDGING], ids=["worked with", "judging"])
def test_none_is_explained_wrongly_and_most_are_explained(told: DuckDbStore, names: list[str]) -> None:
    verdicts = {name: verdict_on(explained(told, RIGHT[name].subject), RIGHT[name]) for name in names}
    found = Counter(verdicts.values())
    print(f"of {len(names)}: {dict(found)}")  # noqa: T201 - the score, for whoever wants to see it
    assert {name for name, verdict in verdicts.items() if verdict == "wrong"} == set()
    assert found["right"] >= len(names) - 2


def test_a_traceback_that_came_as_lines_is_one_error_with_its_innermost_exception(told: DuckDbStore) -> None:
    found = explained(told, RIGHT["23"].subject)
    assert found.failure is not None
    assert (found.failure.step, found.failure.first.host) == ("pre", "compute-02")
    assert found.failure.error.startswith("DestinationDiskExists: The supplied disk path (/var/lib/nova/instances/")
    assert [echo.host for echo in found.failure.echoes] == ["compute-01"]
    assert (found.source, found.destination) == ("compute-01", "compute-02")
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.is_safe) == ("compute-01", "likely", None)
