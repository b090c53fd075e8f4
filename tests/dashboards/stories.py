"""What the tests of migrations, requests and instances look at: procedures that went well or not, as services tell them."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.dashboards.lines import HOSTILE
from tests.query.explain.transcript import one_a_line

FAILED, UNKNOWN, RUNNING, RESIZED = "42", "44", "45", "46"
COMPLETED = tuple(str(number) for number in range(100, 108))
HOSTILE_ID, HOSTILE_INSTANCE, HOSTILE_REQUEST = "7", "00000000-dead-4bad-8bad-000000000007", "<i onclick=alert(1)>req"
INSTANCE = "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11"
REQUEST = "req-6c1a4b52-53c1-4b7e-8b59-3f6f0a2d9c10"
DISK_FULL = "disk-full"
"""Of the catalogue, by which migration 42 failed."""
CLASSIC = "05"
CLASSIC_INSTANCE = "20515eff-e472-482f-8834-298694824c8f"
CONTROLLER, SOURCE, DESTINATION = "controller-01", "compute-01", "compute-02"

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d\.\d{3})")
_QUICK = (
    ("request", 0.0, 0.041), ("source_check", 0.06, 0.182), ("schedule", 0.25, 0.034), ("claim", 0.29, 0.018),
    ("dest_check", 0.32, 0.244),
)  # fmt: skip
"""The steps before the first long one: when each began, in seconds, and how long it took."""


class Teller:
    """Lines of one procedure that began at a moment."""

    def __init__(self, began: datetime, procedure: str, **ids: Any) -> None:
        self._began = began
        self._procedure = procedure
        self._ids = ids

    def step(self, name: str, at_s: float, took_s: float, *, error: str | None = None) -> Iterator[bytes]:
        """From the event that it began to the one that it ended."""
        event = f"{self._procedure}.{name}"
        yield self.event(f"{event}.started", at_s)
        more: dict[str, Any] = {} if error is None else {"error": error, "cause": "ComputeError"}
        yield self.event(f"{event}.{'failed' if error else 'completed'}", at_s + took_s, step_s=took_s, **more)

    def event(self, name: str, at_s: float, **fields: Any) -> bytes:
        return self.line(
            f"step {name.split('.')[1]}", at_s, event=name, severity=3 if "error" in fields else 6, **fields
        )

    def line(
        self, text: str, at_s: float, *, host: str = CONTROLLER, service: str = "nova-conductor", severity: int = 6,
        is_of_it: bool = True, **fields: Any,
    ) -> bytes:  # fmt: skip
        moment = (self._began + timedelta(seconds=at_s)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        level = "ERROR" if severity <= 3 else "WARNING" if severity == 4 else "INFO"
        body = {"message": text, "level": level, **(self._ids if is_of_it else {}), **fields}
        facility = 18 if service == "nova-conductor" else 17
        head = f"<{facility * 8 + severity}>1 {moment} {host} {service} 4711 - - "
        return f"{head}@cee: {json.dumps(body)}".encode()


def failed(began: datetime) -> Iterator[bytes]:
    """A live migration whose destination has no room on its disk; its errors are told three times."""
    tells = Teller(
        began, "migration", migration=42, instance=INSTANCE, request_id=REQUEST, type="live-migration",
        source_compute=SOURCE, dest_compute=DESTINATION, display_name="web-1",
    )  # fmt: skip
    no_room = "cannot write '/var/lib/nova/instances/disk': [Errno 28] No space left on device"
    yield tells.line("live migration requested", 0.0, service="nova-api")
    for name, at_s, took_s in _QUICK:
        yield from tells.step(name, at_s, took_s)
    yield tells.line("preparing the arrival of the instance", 0.7, host=DESTINATION, service="nova-compute")
    yield tells.line("low on disk space", 2.0, host=DESTINATION, service="nova-compute", severity=4, is_of_it=False)
    yield tells.line(no_room, 3.4, host=DESTINATION, service="nova-compute", severity=3)
    yield from tells.step("pre", 0.62, 2.9, error=no_room)
    yield tells.line(f"cannot migrate: {no_room}", 3.55, severity=3)
    yield from tells.step("rollback", 3.6, 0.6)
    yield tells.line("migration ended", 4.3, status="failed", error=no_room)


def unknown(began: datetime) -> Iterator[bytes]:
    """A live migration that fails by what nobody has heard of, after a transfer."""
    tells = Teller(
        began, "migration", migration=44, instance=INSTANCE, request_id="req-44", type="live-migration",
        source_compute=SOURCE, dest_compute="compute-03",
    )  # fmt: skip
    for name, at_s, took_s in _QUICK:
        yield from tells.step(name, at_s, took_s)
    yield from tells.step("pre", 0.62, 1.8)
    yield from tells.step("transfer", 2.5, 61.0, error="cannot move it: the flux is not aligned")
    yield from tells.step("rollback", 63.6, 0.9)
    yield tells.line("migration ended", 64.6, status="failed", error="cannot move it: the flux is not aligned")


def completed(began: datetime, number: str) -> Iterator[bytes]:
    tells = Teller(
        began, "migration", migration=int(number), instance=f"0a1b2c3d-1111-4aaa-8aaa-000000000{number}",
        request_id=f"req-{number}", type="live-migration", source_compute="compute-03", dest_compute="compute-04",
    )  # fmt: skip
    for name, at_s, took_s in _QUICK:
        yield from tells.step(name, at_s, took_s)
    yield from tells.step("pre", 0.62, 1.1)
    yield from tells.step("transfer", 1.8, 34.0)
    yield from tells.step("post", 35.9, 0.7)
    yield from tells.step("cleanup", 36.7, 0.2)
    yield tells.line("migration ended", 37.0, status="completed")


def resized(began: datetime) -> Iterator[bytes]:
    tells = Teller(
        began, "resize", migration=46, instance="5d7e0c4a-1111-4aaa-8aaa-000000000046", request_id="req-46",
        type="resize", source_compute="compute-04", dest_compute=SOURCE,
    )  # fmt: skip
    for number, name in enumerate(("request", "schedule", "claim", "pre", "transfer", "post")):
        yield from tells.step(name, number * 2.0, 1.9)
    yield tells.line("migration ended", 12.0, status="finished")


def running(began: datetime) -> Iterator[bytes]:
    tells = Teller(
        began, "migration", migration=45, instance="5d7e0c4a-1111-4aaa-8aaa-000000000045", request_id="req-45",
        type="live-migration", source_compute=SOURCE, dest_compute=DESTINATION,
    )  # fmt: skip
    for name, at_s, took_s in _QUICK:
        yield from tells.step(name, at_s, took_s)
    yield from tells.step("pre", 0.62, 1.1)
    yield tells.event("migration.transfer.started", 1.8)


def hostile(began: datetime) -> Iterator[bytes]:
    """Names and messages that mean harm, wherever a story shows any."""
    tells = Teller(
        began, "migration", migration=HOSTILE_ID, instance=HOSTILE_INSTANCE,
        request_id=HOSTILE_REQUEST, type="<u>kind</u>", source_compute=HOSTILE[1], dest_compute=HOSTILE[0],
        display_name=HOSTILE[2],
    )  # fmt: skip
    yield from tells.step("request", 0.0, 0.1)
    yield from tells.step("pre", 0.2, 1.0, error=f"cannot: {HOSTILE[0]} {HOSTILE[6]}")
    yield tells.line(HOSTILE[3], 1.3, host="compute-03", service="nova-compute", severity=3)
    yield tells.line("migration ended", 1.5, status="error", error=HOSTILE[5])


def classic(began: datetime) -> Iterator[bytes]:
    """A boot that failed in 2014, as nova's own log files told it, at another time."""
    messages = [message.decode() for message in one_a_line(CLASSIC)]
    times = [
        datetime.fromisoformat(f"{day}T{time}+00:00") for each in messages for day, time in _TIME.findall(each[:60])
    ]
    by = began - min(times)

    def moved(found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00") + by
        return moment.strftime("%Y-%m-%d") + found[0][10] + moment.strftime("%H:%M:%S.%f")[:-3]

    return (_TIME.sub(moved, each).encode() for each in messages)


def fill(store: DuckDbStore, now: datetime) -> None:
    """Have each line arrive when it was written, as those do that hosts forward."""
    told = [
        *(completed(_before(now, 5.0 + 7 * place), number) for place, number in enumerate(COMPLETED)),
        classic(_before(now, 90.0)),
        unknown(_before(now, 75.0)),
        resized(_before(now, 50.0)),
        failed(_before(now, 22.0)),
        hostile(_before(now, 12.0)),
        running(_before(now, 1.0)),
    ]
    seconds: dict[int, list[bytes]] = {}
    for line in chain(*told):
        day, time = _TIME.search(line[:80].decode()).groups()  # type: ignore[union-attr]
        moment = datetime.fromisoformat(f"{day}T{time}+00:00")
        seconds.setdefault(int(moment.timestamp()), []).append(line)
    for second, lines in sorted(seconds.items()):
        store.append(table_of(*lines, observed_us=(second + 1) * 1_000_000))


def _before(now: datetime, minutes: float) -> datetime:
    return now.astimezone(UTC) - timedelta(minutes=minutes)
