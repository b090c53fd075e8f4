import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.logs.replay import nova_log
from cloud.logs.replay.nova_log import NovaRecord, read_records

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "logging" / "replay" / "corpus.log"
REAL = ROOT.parent / "shared" / "data" / "OpenStack_2k.log"

REQUEST = "req-6c2f0f4e-91d3-4f0b-8f57-0d9c1f1e2a3b"
LOCAL = "req-11111111-91d3-4f0b-8f57-0d9c1f1e2a3b"
VM = "0b7e6f4a-3c55-4a0e-9a55-8d8a6b1c2d3e"
NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
HALF = NOON.replace(microsecond=500_000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record(
    message: str,
    *,
    service: str = "nova-compute",
    timestamp: datetime = HALF,
    process: int | None = 2931,
    level: str = "INFO",
    logger: str = "nova.compute.manager",
    request_id: str | None = None,
    user: str | None = None,
    project: str | None = None,
    instance: str | None = None,
    lines: int = 1,
) -> NovaRecord:
    return NovaRecord(service, timestamp, process, level, logger, request_id, user, project, instance, message, lines)


HEAD = "2026-01-15 12:00:00.500 2931"

VALID = [
    (f"{HEAD} INFO nova.compute.manager [-] up", [record("up")]),
    (
        f"{HEAD} INFO nova.compute.manager [{REQUEST} u1 p1 - - -] [instance: {VM}] spawned",
        [record("spawned", request_id=REQUEST, user="u1", project="p1", instance=VM)],
    ),
    (
        f"{HEAD} AUDIT nova.compute.manager [{REQUEST} u1 p1] free ram: 512",
        [record("free ram: 512", level="AUDIT", request_id=REQUEST, user="u1", project="p1")],
    ),
    (f"{HEAD} INFO nova.compute.manager [{REQUEST} - - - - -] audit", [record("audit", request_id=REQUEST)]),
    (f"{HEAD} INFO nova.compute.manager [{REQUEST} None None] audit", [record("audit", request_id=REQUEST)]),
    (
        f"{HEAD} INFO nova.compute.manager [{REQUEST} {LOCAL} u1 p1 - - -] audit",
        [record("audit", request_id=LOCAL, user="u1", project="p1")],
    ),
    (
        f"{HEAD} INFO nova.compute.manager [None {LOCAL} u1 p1 - - -] audit",
        [record("audit", request_id=LOCAL, user="u1", project="p1")],
    ),
    (
        f"nova-api.log.1.2026-01-15_13:53:08 {HEAD} INFO nova.osapi_compute.wsgi.server [-] x",
        [record("x", service="nova-api", logger="nova.osapi_compute.wsgi.server")],
    ),
    (
        f"/var/log/nova/nova-cert.log:{HEAD} INFO nova.service [-] x",
        [record("x", service="nova-cert", logger="nova.service")],
    ),
    (f"nova.log {HEAD} INFO nova.virt.driver [-] x", [record("x", logger="nova.virt.driver")]),
    (f"{HEAD} INFO nova.compute.api [-] x", [record("x", service="nova-api", logger="nova.compute.api")]),
    (f"{HEAD} INFO nova.ec2.cloud [-] x", [record("x", service="nova-api", logger="nova.ec2.cloud")]),
    (f"{HEAD} INFO oslo.messaging [-] x", [record("x", service="nova", logger="oslo.messaging")]),
    ("2026-01-15 12:00:00 INFO nova.virt [-] x", [record("x", timestamp=NOON, process=None, logger="nova.virt")]),
    ("2026-01-15 12:00:00,500 7 DEBUG nova.virt x", [record("x", process=7, level="DEBUG", logger="nova.virt")]),
    (f"{HEAD} WARNING nova.virt [x] [-] y", [record("[x] [-] y", level="WARNING", logger="nova.virt")]),
    (
        "\n".join(
            [
                f"{HEAD} ERROR nova.virt [{REQUEST} u1 p1] [instance: {VM}] lost",
                f"{HEAD} TRACE nova.virt [instance: {VM}] Traceback (most recent call last):",
                f'{HEAD} TRACE nova.virt [instance: {VM}]   File "a.py", line 1',
                f"{HEAD} TRACE nova.virt [instance: {VM}] ",
                f"{HEAD} INFO nova.virt [-] on",
            ]
        ),
        [
            record(
                'lost\nTraceback (most recent call last):\n  File "a.py", line 1\n',
                level="ERROR",
                logger="nova.virt",
                request_id=REQUEST,
                user="u1",
                project="p1",
                instance=VM,
                lines=4,
            ),
            record("on", logger="nova.virt"),
        ],
    ),
    (
        f"{HEAD} CRITICAL nova [-] died\n{HEAD} ERROR nova Traceback:\n{HEAD} ERROR nova OSError",
        [record("died\nTraceback:\nOSError", service="nova", level="CRITICAL", logger="nova", lines=3)],
    ),
    (
        f"{HEAD} ERROR nova.virt [-] one\n{HEAD} ERROR nova.virt [-] two",
        [record("one", level="ERROR", logger="nova.virt"), record("two", level="ERROR", logger="nova.virt")],
    ),
    (f"{HEAD} INFO nova.virt [-] a\r\n\r\n  b\r", [record("a\n\n  b", logger="nova.virt", lines=3)]),
    (
        f"nova-compute.log {HEAD} ERROR nova.virt [-] a\nnova-compute.log   File x",
        [record("a\n  File x", level="ERROR", logger="nova.virt", lines=2)],
    ),
]

INCOMPLETE = [
    ("", []),
    ("no header", [record("no header", service="nova", timestamp=EPOCH, process=None, logger="nova")]),
    (
        f"cut off\n\n{HEAD} INFO nova.virt [-] a",
        [
            record("cut off\n", service="nova", process=None, logger="nova", lines=2),
            record("a", logger="nova.virt"),
        ],
    ),
    (f"{HEAD} INFO nova.virt", [record("", logger="nova.virt")]),
    (f"{HEAD} INFO nova.virt [-]", [record("", logger="nova.virt")]),
    (f"{HEAD} INFO nova.virt [{REQUEST}", [record(f"[{REQUEST}", logger="nova.virt")]),
    (f"{HEAD} INFO nova.virt [{REQUEST}] x", [record("x", logger="nova.virt", request_id=REQUEST)]),
    (f"{HEAD} INFO nova.virt [-] [instance: 12] x", [record("[instance: 12] x", logger="nova.virt")]),
    (
        f"{HEAD} TRACE nova.virt a\n{HEAD} TRACE nova.virt b\n2026-01-15 12:00:00.500 9 TRACE nova.virt c",
        [
            record("a\nb", level="TRACE", logger="nova.virt", lines=2),
            record("c", level="TRACE", logger="nova.virt", process=9),
        ],
    ),
]

HOSTILE = [
    (
        f"{HEAD} INFO nova.virt [-] a\n2026-02-31 12:00:00.500 2931 INFO nova.virt [-] b",
        [record("a\n2026-02-31 12:00:00.500 2931 INFO nova.virt [-] b", logger="nova.virt", lines=2)],
    ),
    (
        f"{HEAD} INFO nova.virt [-] a\n{HEAD} NOISE nova.virt [-] b",
        [record(f"a\n{HEAD} NOISE nova.virt [-] b", logger="nova.virt", lines=2)],
    ),
    (
        f"{HEAD} INFO nova.virt [-] {HEAD} ERROR nova.virt [-] b",
        [record(f"{HEAD} ERROR nova.virt [-] b", logger="nova.virt")],
    ),
    (f"{HEAD} INFO nova.virt [-] \x00\u2028\x85b", [record("\x00\u2028\x85b", logger="nova.virt")]),
    (
        f"x.log.log {HEAD} INFO nova.virt [-] a\nnova-api.log",
        [record("a\nnova-api.log", logger="nova.virt", lines=2)],
    ),
    (
        "0001-01-01 00:00:00 INFO nova.virt [-] a",
        [record("a", timestamp=datetime(1, 1, 1, tzinfo=UTC), process=None, logger="nova.virt")],
    ),
]


@pytest.mark.parametrize(("text", "records"), VALID + INCOMPLETE + HOSTILE)
def test_text_gives_records(text: str, records: list[NovaRecord]) -> None:
    lines = text.split("\n") if text else []
    assert list(read_records(lines)) == records
    assert sum(one.lines for one in records) == len(lines)


@pytest.mark.parametrize(
    ("line", "service", "file_name", "expected"),
    [
        (f"nova-api.log {HEAD} INFO nova.virt x", "nova-cert", "nova-network.log", "nova-api"),
        (f"nova.log {HEAD} INFO nova.virt x", "nova-cert", "nova-network.log", "nova-cert"),
        (f"{HEAD} INFO nova.virt x", None, "/var/log/nova/nova-network.log.2.gz", "nova-network"),
        (f"{HEAD} INFO nova.virt x", None, "compute-01.log", "nova-compute"),
        ("no header", None, "nova-network.log", "nova-network"),
    ],
)
def test_service_comes_from_the_nearest_source(
    line: str, service: str | None, file_name: str | None, expected: str
) -> None:
    assert [one.service for one in read_records([line], service=service, file_name=file_name)] == [expected]


def test_timestamps_are_read_in_the_zone_given() -> None:
    (one,) = read_records([f"{HEAD} INFO nova.virt x"], zone=timezone(timedelta(hours=-7)))
    assert one.timestamp == HALF + timedelta(hours=7)
    assert one.timestamp.tzinfo is UTC


def test_time_that_the_zone_moves_out_of_range_is_no_header() -> None:
    line = "0001-01-01 00:00:00 INFO nova.virt [-] a"
    (one,) = read_records([line], zone=timezone(timedelta(hours=7)))
    assert (one.message, one.timestamp) == (line, EPOCH)


def test_record_of_too_many_lines_is_followed_by_another_with_its_header() -> None:
    lines = [f"{HEAD} ERROR nova.virt [{REQUEST} u1 p1] a", *["more"] * nova_log.MAX_RECORD_LINES]
    first, second = read_records(lines)
    assert (first.lines, second.lines) == (nova_log.MAX_RECORD_LINES, 1)
    assert second == record("more", level="ERROR", logger="nova.virt", request_id=REQUEST, user="u1", project="p1")


def test_record_of_too_many_characters_is_followed_by_another() -> None:
    megabyte = "x" * 2**20
    lines = [f"{HEAD} ERROR nova.virt [-] a", *[megabyte] * 9]
    records = list(read_records(lines))
    assert [one.lines for one in records] == [4, 3, 3]
    assert all(len(one.message) <= nova_log.MAX_RECORD_CHARS for one in records)


@pytest.mark.parametrize("unit", [".log", "nova-api.log:", "2026-01-15 ", "[", "[req-", " ", "1", "a.", ":2026-01-15"])
def test_megabyte_line_is_read_to_its_end(unit: str) -> None:
    long = unit * (1_000_000 // len(unit))
    for line in (long, f"{HEAD} INFO nova.virt {long}", f"{HEAD} INFO nova.virt [req-{long}"):
        assert sum(one.lines for one in read_records([line])) == 1


@given(st.lists(st.sampled_from([HEAD, "INFO", "TRACE", "nova.virt", "[-]", f"[{REQUEST} u p]", "\n", "x", " "])))
def test_every_line_is_part_of_exactly_one_record(words: list[str]) -> None:
    lines = " ".join(words).split("\n")
    assert sum(one.lines for one in read_records(lines)) == len(lines)


def test_log_of_a_real_cloud_is_read_line_by_line() -> None:
    if not REAL.exists():
        pytest.skip(
            "needs ../shared/data/OpenStack_2k.log: the log of a real cloud, "
            "which its licence keeps out of this repository"
        )
    with REAL.open(encoding="utf-8", newline="") as file:
        records = list(read_records(file))
    assert len(records) == 2_000
    assert {one.lines for one in records} == {1}
    assert Counter(one.level for one in records) == {"INFO": 1_969, "WARNING": 31}
    assert Counter(one.service for one in records) == {"nova-api": 1_060, "nova-compute": 933, "nova-scheduler": 7}
    assert {one.timestamp.date().isoformat() for one in records} == {"2017-05-16"}
    assert not any("\r" in one.message or one.message.startswith("[") for one in records)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return CORPUS.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def records(lines: list[str]) -> list[NovaRecord]:
    return list(read_records(lines))


class TestCorpus:
    def test_every_line_has_a_header_of_its_own(self, lines: list[str]) -> None:
        assert 350 <= len(lines) <= 500
        alone = [next(read_records([line])) for line in lines]
        assert all(one.timestamp != EPOCH for one in alone)
        assert Counter(one.level for one in alone)["TRACE"] > 1

    def test_services_and_levels_of_a_cloud_are_there(self, records: list[NovaRecord]) -> None:
        assert len({one.service for one in records}) >= 5
        assert {one.level for one in records} == {"DEBUG", "INFO", "AUDIT", "WARNING", "ERROR"}

    def test_tracebacks_are_folded_into_their_errors(self, records: list[NovaRecord]) -> None:
        assert {one.level for one in records if one.lines > 1} == {"ERROR"}
        assert all("Traceback (most recent call last):" in one.message for one in records if one.lines > 1)

    def test_time_runs_forward_for_half_an_hour(self, records: list[NovaRecord]) -> None:
        times = [one.timestamp for one in records]
        assert times == sorted(times)
        assert timedelta(minutes=25) < times[-1] - times[0] < timedelta(minutes=35)

    def test_a_request_and_an_instance_can_be_followed_through_the_services(self, records: list[NovaRecord]) -> None:
        by_request: dict[str | None, set[str]] = {}
        for one in records:
            by_request.setdefault(one.request_id, set()).add(one.service)
        by_request.pop(None)
        assert max(len(services) for services in by_request.values()) >= 4
        assert max(Counter(one.instance for one in records if one.instance).values()) >= 10

    def test_a_failed_migration_gives_its_cause(self, records: list[NovaRecord]) -> None:
        cause = "unable to connect to server at 'compute-02:49152': Connection refused"
        assert any(one.level == "ERROR" and one.lines > 5 and cause in one.message for one in records)

    def test_addresses_are_nobodys(self, lines: list[str]) -> None:
        networks = [ip_network(one) for one in ("10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
        found = {word for line in lines for word in re.findall(r"(?<![\d.])\d+\.\d+\.\d+\.\d+(?![\d.])", line)}
        assert found
        assert all(any(ip_address(one) in network for network in networks) for one in found)
