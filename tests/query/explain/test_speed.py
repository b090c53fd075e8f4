"""How long an explanation takes in a store of many lines: told, not judged, for machines differ."""

import time

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.explain.test_blind import ALIVE, FAILED, UUID, WHOLE
from tests.query.explain.wire import NOON_US, explained, table

HOSTS = ("compute-01", "compute-02", "compute-03", "controller")
PORTIONS, PORTION = 4, 50_000


def test_the_time_of_an_explanation_in_many_lines_is_told(store: DuckDbStore) -> None:
    for portion in range(PORTIONS):
        observed_us = NOON_US + (portion - PORTIONS + 1) * 900_000_000
        store.append(table([_noise(portion * PORTION + n) for n in range(PORTION)], observed_us=observed_us))
    store.append(table([*WHOLE, *FAILED, *ALIVE], observed_us=NOON_US + 45_000_000))
    took = {}
    for subject in ("7", UUID, UUID[:9]):
        began_s = time.perf_counter()
        found = explained(store, subject)
        took[subject] = time.perf_counter() - began_s
        assert (found.migration, found.failure is not None) == ("7", True)
    told = ", ".join(f"{subject} {seconds:.2f} s" for subject, seconds in took.items())
    print(f"{PORTIONS * PORTION + len(WHOLE)} lines: {told}")  # noqa: T201 - for whoever wants to know


def _noise(number: int) -> bytes:
    host = HOSTS[number % len(HOSTS)]
    return (
        f"<142>1 2027-01-15T11:{number // 5000 % 60:02d}:{number // 100 % 60:02d}Z {host} nova-compute 1 - - "
        f'@cee: {{"message":"line {number} of many","level":"INFO","logger":"nova.compute",'
        f'"request_id":"req-{number % 5000}-{number}"}}'
    ).encode()
