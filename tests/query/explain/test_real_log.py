"""The log of a real cloud, where it is there: nothing in it is explained wrongly, and what it tells of is recognised."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty, Explanation, Verdict
from cloud.logs.query.explain.identity import NotFoundError
from cloud.logs.query.search import Search
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.timeline import timeline
from cloud.logs.replay.nova_log import read_records
from cloud.logs.replay.sender import ReplaySender
from tests.query.explain.wire import explained, table

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "OpenStack_2k.log"
HOST = "compute-01"
EVERY = 40
"""Of the requests one in so many is asked about."""

pytestmark = pytest.mark.skipif(
    not REAL.is_file(),
    reason="needs ../shared/data/OpenStack_2k.log: the log of a real cloud, which is not ours to ship",
)


class Taken:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.messages.append(message)


def one_a_line() -> list[bytes]:
    """As a host's rsyslogd sends them that reads the files."""
    found = []
    for line in REAL.read_text().splitlines():
        file, _, text = line.partition(" ")
        day, clock, _ = text.split(" ", 2)
        found.append(f"<142>1 {day}T{clock}Z {HOST} {file.partition('.')[0]} - - - {text}".encode())
    return found


def replayed() -> list[bytes]:
    taken = Taken()
    ReplaySender(taken, HOST, "a-replay").send(read_records(REAL.read_text().splitlines()))  # type: ignore[arg-type]
    return taken.messages


@pytest.fixture(scope="module", params=[one_a_line, replayed], ids=["one a line", "replayed"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    store = DuckDbStore(tmp_path_factory.mktemp("real"))
    store.append(table(request.param()))
    yield store
    store.close()


def ids(pattern: str) -> list[str]:
    return sorted(set(re.findall(pattern, REAL.read_text())))


def test_each_instance_is_explained_without_a_cause_and_its_build_and_deletion_are_recognised(
    real: DuckDbStore,
) -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    took_s = []
    for uuid in ids(r"\[instance: ([0-9a-f-]{36})\]"):
        began_s = time.perf_counter()
        found = explained(real, uuid)
        took_s.append(time.perf_counter() - began_s)
        assert (found.verdict, found.causes, found.failure) == (Verdict.NO_FAILURE, (), None)
        outcomes[found.procedure, str(found.ending)] += 1
        assert_told(found)
    print(f"{dict(outcomes)}, at most {max(took_s):.2f} s each")  # noqa: T201 - the figures, for whoever wants them
    assert outcomes == {("deletion", "completed"): 21, ("deletion", "unknown"): 1}


def assert_told(found: Explanation) -> None:
    """Deleted, or said to be on its way to that; what was before that is another procedure of the same instance."""
    assert found.position is not None
    if found.ending == "completed":
        assert (found.position.host, found.position.is_safe) == (None, True)
    else:
        assert found.position.certainty is Certainty.UNKNOWN
    assert [(other.name, str(other.ending)) for other in found.others] in ([("build", "completed")], [])


def test_of_its_requests_none_is_explained_wrongly(real: DuckDbStore) -> None:
    outcomes: Counter[str] = Counter()
    for request in ids(r"\[(req-[0-9a-f-]{36})")[::EVERY]:
        try:
            found = explained(real, request)
        except NotFoundError:
            outcomes["tells of nothing"] += 1
        else:
            outcomes[found.procedure] += 1
            assert (found.verdict, found.causes) == (Verdict.NO_FAILURE, ())
    print(dict(outcomes))  # noqa: T201 - as above


def test_the_timeline_of_an_instance_has_its_lines_whatever_it_is_asked_by(real: DuckDbStore) -> None:
    uuid = ids(r"\[instance: ([0-9a-f-]{36})\]")[3]
    whole = timeline(uuid, Search(real), TimeRange(), 500, is_every=True)
    assert len(whole.rows) == REAL.read_text().count(f"[instance: {uuid}]")
    assert timeline(uuid[:13], Search(real), TimeRange(), 500, is_every=True) == whole
