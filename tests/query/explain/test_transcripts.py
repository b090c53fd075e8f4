"""Failures of nova as its log files told them: none is explained wrongly, whichever way the lines came in."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.explain.transcript import JUDGING, WORKED_WITH, expected, joined, one_a_line, verdict_on
from tests.query.explain.wire import explained, table

RIGHT = expected()


def score(names: list[str], messages: Callable[[str], list[bytes]], directory: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in names:
        store = DuckDbStore(directory / name)
        try:
            store.append(table(messages(name)))
            found[verdict_on(explained(store, RIGHT[name].subject), RIGHT[name])] += 1
        finally:
            store.close()
    return found


@pytest.mark.parametrize("messages", [one_a_line, joined], ids=["one a line", "joined"])
@pytest.mark.parametrize("names", [WORKED_WITH, JUDGING], ids=["worked with", "judging"])
def test_none_is_explained_wrongly_and_most_are_explained(
    names: list[str], messages: Callable[[str], list[bytes]], tmp_path: Path
) -> None:
    found = score(names, messages, tmp_path)
    print(f"of {len(names)}: {dict(found)}")  # noqa: T201 - the score, for whoever wants to see it
    assert found["wrong"] == 0
    assert found["right"] >= len(names) - 2


def test_a_traceback_that_came_as_lines_is_one_error_with_its_innermost_exception(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    store.append(table(one_a_line("23")))
    found = explained(store, RIGHT["23"].subject)
    store.close()
    assert found.failure is not None
    assert (found.failure.step, found.failure.first.host) == ("pre", "compute-02")
    assert found.failure.error.startswith("DestinationDiskExists: The supplied disk path (/var/lib/nova/instances/")
    assert [echo.host for echo in found.failure.echoes] == ["compute-01"]
    assert (found.source, found.destination) == ("compute-01", "compute-02")
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.is_safe) == ("compute-01", "likely", None)
