"""What the kernels read in batches is what the reference parser reads message by message."""

import random
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.corpus import corpus
from cloud.logs.collector.batch import Source
from cloud.logs.collector.columns import cee, kernel
from tests.collector.agreement import Agreement, Sent, some_sent
from tests.collector.batches import NOON_US
from tests.collector.grammar import EDGES

AGREEMENT = Agreement()
FILLERS = b'\0"]0: \xff'
REQUEST = b"req-5b7a3f0e-9d52-4b0c-8c0e-6d2f6d1f3a11"
UUID = b"0c9e8d7f-1a2b-3c4d-5e6f-708192a3b4c5"
LINE = b'[line@32473 host="compute-01" start="6f1c" n="%d"]'


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.sampled_from(FILLERS))
def test_any_messages(chooser: random.Random, count: int, filler: int) -> None:
    AGREEMENT.check([some_sent(chooser) for _ in range(count)], filler=filler)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5), st.sampled_from([b"", b"<13>", b"<13>1 ", b"<13>1 - - - - - "]))
def test_any_bytes(tails: list[bytes], head: bytes) -> None:
    AGREEMENT.check([Sent(head + tail) for tail in tails])


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_many_messages(seed: int) -> None:
    chooser = random.Random(seed)  # noqa: S311 - a choice of tests
    for _ in range(20):
        AGREEMENT.check([some_sent(chooser) for _ in range(500)], filler=chooser.choice(FILLERS))


def test_all_that_is_only_just_right_or_wrong() -> None:
    AGREEMENT.check([Sent(payload) for payload in EDGES])


def test_the_corpus_of_the_benchmark() -> None:
    rows = AGREEMENT.check([Sent(line.payload) for line in corpus(5000, seed=5)])
    assert rows.by_reference == 0


WELL_FORMED = [
    ("RFC 5424", b"<134>1 2027-01-15T12:00:00.123456Z compute-01 nova-api 812 ID47 - started"),
    ("an offset", b"<134>1 2027-01-15T13:00:00.5+01:00 compute-01 nova-api 812 - - started"),
    ("no time", b"<134>1 - compute-01 nova-api 812 - - started"),
    ("NIL everywhere", b"<0>1 - - - - - -"),
    ("no MSG", b"<134>1 2027-01-15T12:00:00Z compute-01 nova-api 812 - -"),
    ("a BOM", b"<134>1 2027-01-15T12:00:00Z compute-01 nova-api 812 - - \xef\xbb\xbfstarted"),
    ("UTF-8", "<134>1 2027-01-15T12:00:00Z größer a - - - größer 😀".encode()),
    ("NUL and newline", b"<134>1 2027-01-15T12:00:00Z h a - - - one\0two\nthree"),
    ("structured data", rb'<134>1 - h a - - [a x="1" y="a\"b\\c\]"][b@32473] started'),
    ("brackets in values", b'<134>1 - h a - - [a x="[::1]:5672" y="[line@32473 "]' + LINE % 7 + b" started"),
    ("an identity", b"<134>1 - h a - - " + LINE % 12 + b" started"),
    ("an identity behind others", b'<134>1 - h a - - [a x="1"]' + LINE % 123456789012345678 + b" started"),
    ("an identity at the end", b"<134>1 - h a - - " + LINE % 1),
    ("JSON", b'<134>1 - h a - - - @cee: {"message": "spawned", "level": "INFO", "step_s": 1.5, "n": -7, "ok": true}'),
    ("nested JSON", b'<134>1 - h a - - - @cee: {"msg": "m", "a": [1, {"b": null, "c": []}, "x\\n"], "d": {}, "e": false}'),
    ("escapes", rb'<134>1 - h a - - - @cee: {"message": "a\n\"b\"\u00e9\ud83d\ude00\/", "x": "\t\\\u001f"}'),
    ("known keys of other types", b'<134>1 - h a - - - @cee: {"message": 5, "level": null, "migration": 12, "event": {}}'),
    ("cut by the sender", b'<134>1 - h a - - - @cee: {"message": "m", "truncated": true}'),
    ("white space in JSON", b'<134>1 - h a - - - @cee:\t{ "message" : "m" , "x" : [ 1 , 2 ] } '),
    ("an empty object", b"<134>1 - h a - - - @cee: {}"),
    ("a line of nova", b"<134>1 - h a - - - nova.compute.manager [%s admin demo - - -] [instance: %s] Took 3 s" % (REQUEST, UUID)),
    ("ids in a text", b"<134>1 - h a - - - failed [%s admin demo - - -] for [instance: %s]" % (REQUEST, UUID)),
    ("RFC 3164", b"<30>Jan 15 12:00:00 compute-01 libvirtd[812]: up"),
    ("RFC 3164, a day of one digit", b"<30>Jan  5 12:00:00 compute-01 libvirtd: up"),
    ("RFC 3164 without a host", b"<30>Jan 15 12:00:00 su[7]: up"),
    ("RFC 3164 without a tag", b"<30>Jan 15 12:00:00 compute-01 just words"),
    ("RFC 3164 without a time", b"<14>nova-api: started"),
    ("RFC 3164 with the time of RFC 3339", b"<30>2027-01-15T12:00:00.000000+00:00 compute-01 libvirtd[812]: up"),
    ("PRI alone", b"<13>  "),
]  # fmt: skip


@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in WELL_FORMED])
def test_what_is_well_formed_is_read_by_the_kernels(payload: bytes) -> None:
    assert AGREEMENT.check([Sent(payload)]).by_reference == 0


def test_most_of_what_the_grammar_makes_is_read_by_the_kernels() -> None:
    chooser = random.Random(1)  # noqa: S311 - a choice of tests
    assert AGREEMENT.check([some_sent(chooser) for _ in range(500)]).by_reference < 300


def test_no_message_is_an_empty_table() -> None:
    assert len(AGREEMENT.check([])) == 0


def test_more_runs_than_a_kernel_names() -> None:
    sent = [
        Sent(b'<134>1 - h a - - [line@32473 host="compute-%d" start="6f1c" n="%d"] m' % (number % 400, number + 1))
        for number in range(2000)
    ]
    assert len(AGREEMENT.check(sent).runs) == 400


def test_bodies_of_more_members_and_deeper_ones_than_a_kernel_takes() -> None:
    members = [
        b",".join(b'"k%d":%d' % (number, number) for number in range(count))
        for count in (cee.MAX_MEMBERS, cee.MAX_MEMBERS + 1)
    ]
    nested = [b'"a":{%s}' % b",".join(b'"k%d":1' % each for each in range(count)) for count in (64, 65)]
    deep = [b'"a":' + b"[" * depth + b"]" * depth for depth in (cee.MAX_NESTING, cee.MAX_NESTING + 1, 63, 64)]
    sent = [Sent(b"<13>1 - - - - - - @cee: {%s}" % each) for each in members + nested + deep]
    assert AGREEMENT.check(sent).by_reference == 5


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


def test_the_database_reads_the_same_values(database: duckdb.DuckDBPyConnection) -> None:
    chooser = random.Random(7)  # noqa: S311 - a choice of tests
    made = AGREEMENT.check([some_sent(chooser) for _ in range(2000)]).table
    found = database.from_arrow(made).to_arrow_table()
    assert found.num_rows == 2000
    for name in made.column_names:
        assert found.column(name).to_pylist() == made.column(name).to_pylist(), name


@pytest.mark.parametrize("place", range(2))
def test_a_name_of_the_certificate_vouches_for_names_of_every_length(place: int) -> None:
    """Names of up to 12 bytes stand in Arrow's view itself, longer ones in the buffer."""
    for length in range(1, 30):
        name = "h" * length
        named = [name.encode(), b"H" * length, b"h" * (length + 1), b"h" * (length - 1) + b"g"]
        payloads = (
            [b"<13>1 - %s a - - - m" % each for each in named],
            [b'<13>1 - %s a - - [line@32473 host="%s" start="s" n="1"] m' % (b"h" * length, each) for each in named],
        )
        sent = [Sent(payload, Source("x", frozenset({name, "other"}))) for payload in payloads[place]]
        assert [flags & 4 for flags in AGREEMENT.check(sent).table.column("flags").to_pylist()] == [0, 0, 4, 4]


def test_no_two_known_keys_share_length_and_first_letter() -> None:
    assert len({(len(key), key[0]) for key in kernel._KEYS}) == len(kernel._KEYS)


@pytest.mark.parametrize(
    ("arrival_us", "time", "expected_us"),
    [
        (1_798_761_600_000_005, b"Dec 31 23:59:59", 1_798_761_599_000_000),  # 2027-01-01 00:00:00
        (1_798_761_599_999_999, b"Jan  1 00:00:05", 1_798_761_605_000_000),
        (1_835_438_400_000_000, b"Feb 29 12:00:00", 1_835_438_400_000_000),  # 2028-02-29 12:00
        (NOON_US, b"Jan 15 12:00:00", NOON_US),
        (NOON_US, b"Jul 17 12:00:00", 1_784_289_600_000_000),  # 182 days before, not 183 after
        (NOON_US, b"Jul 16 12:00:00", 1_815_739_200_000_000),  # 182 days after, not 183 before
    ],
)
def test_the_year_of_a_time_without_one(arrival_us: int, time: bytes, expected_us: int) -> None:
    rows = AGREEMENT.check([Sent(b"<13>%s h a: m" % time, observed_us=arrival_us)])
    assert rows.table.column("timestamp").cast(pa.int64()).to_pylist() == [expected_us]
    assert rows.by_reference == 0
