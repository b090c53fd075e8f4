"""The corpus of the benchmarks: fixed by its seed, and in the shapes that the project's hosts send."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from bench.corpus import HOSTS, Line, corpus
from bench.corpus_files import write_corpus
from bench.paced_sender import NumberedLines

IDENTITY = re.compile(rb'\[line@32473 host="([^"]+)" start="([^"]+)" n="(\d+)"\] ')


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return list(corpus(20_000, seed=1))


def _share(lines: list[Line], pattern: bytes) -> float:
    return sum(re.search(pattern, line.payload) is not None for line in lines) / len(lines)


def test_same_seed_gives_the_same_bytes_and_another_one_other_starts(lines: list[Line]) -> None:
    assert list(corpus(50, seed=1)) == lines[:50]
    starts = {match[2] for line in lines if (match := IDENTITY.search(line.payload))}
    others = {match[2] for line in corpus(500, seed=2) if (match := IDENTITY.search(line.payload))}
    assert len(starts) == len(others) == 8
    assert not starts & others


def test_numbers_of_each_host_ascend_from_one_without_a_gap(lines: list[Line]) -> None:
    numbers: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for host, payload in lines:
        if match := IDENTITY.search(payload):
            numbers[host, match[1]].append(int(match[3]))
    assert {(host, name.decode()) for host, name in numbers} == set(enumerate(HOSTS))
    for found in numbers.values():
        assert found == list(range(1, len(found) + 1))


def test_only_rfc_3164_lines_have_no_identity(lines: list[Line]) -> None:
    plain = [line.payload for line in lines if not IDENTITY.search(line.payload)]
    assert 20 < len(plain) < 120
    assert all(re.match(rb"<1\d\d>Jan 15 08:00:0\d [a-z]+-\d\d nova-[a-z]+\[\d+\]: ", payload) for payload in plain)


def test_shares_and_lengths_are_those_of_a_cloud(lines: list[Line]) -> None:
    assert _share(lines, rb"[\]:] @cee: ") == pytest.approx(0.48, abs=0.03)
    assert _share(lines, rb" - \[(?!line@)") == pytest.approx(0.04, abs=0.01)
    assert _share(lines, rb'"traceback":"Traceback[^"]+\\n') == pytest.approx(0.005, abs=0.004)
    assert _share(lines, rb"[\x80-\xff]") == pytest.approx(0.014, abs=0.006)
    assert 400 < sum(len(line.payload) for line in lines) / len(lines) < 470
    severities = [int(line.payload[1:4]) & 7 for line in lines]
    assert severities.count(6) / len(lines) > 0.9
    assert set(severities) == {3, 4, 5, 6, 7}


def test_bodies_are_json_in_the_order_of_the_emitter(lines: list[Line]) -> None:
    order = ["message", "level", "logger", "request_id", "user", "project", "instance", "src"]
    for line in lines[:5000]:
        if b"@cee: " in line.payload:
            keys = list(json.loads(line.payload.partition(b"@cee: ")[2]))
            assert keys[: len(set(order) & set(keys))] == [key for key in order if key in keys]
        assert b"\n" not in line.payload
        line.payload.decode()


def test_files_hold_each_hosts_lines_in_both_framings(tmp_path: Path) -> None:
    files = write_corpus(tmp_path, 500, seed=3)
    lines = list(corpus(500, seed=3))
    for host, (lf, octets) in enumerate(zip(files.lf, files.octet_counted, strict=True)):
        own = [line.payload for line in lines if line.host == host]
        assert lf.read_bytes().split(b"\n") == [*own, b""]
        assert octets.read_bytes() == b"".join(str(len(payload)).encode() + b" " + payload for payload in own)
    assert files.lf_bytes == sum(path.stat().st_size for path in files.lf)


def test_paced_lines_go_on_being_numbered_when_the_corpus_begins_anew() -> None:
    numbered = NumberedLines([b'<1>1 a [line@32473 host="h" start="s" n="7"] x n="9"', b"<1>old"])
    assert numbered.take(3) == (
        b'<1>1 a [line@32473 host="h" start="s" n="1"] x n="9"\n<1>old\n<1>1 a [line@32473 host="h" start="s" n="2"] x n="9"\n'
    )
    assert numbered.number == 2
