import itertools
import random
import time
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.logs.collector.framing import Framer, Framing, Message

MAX_BYTES = 1024


def framed(*chunks: bytes, max_bytes: int = MAX_BYTES) -> list[Message]:
    """The messages of a connection that brings `chunks` and closes."""
    framer = Framer(max_bytes)
    return [*itertools.chain.from_iterable(framer.feed(chunk) for chunk in chunks), *framer.close()]


def payloads(*chunks: bytes) -> list[bytes]:
    return [message.payload for message in framed(*chunks)]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


VALID = [
    ("counted", [b"6 <13>hi"], [b"<13>hi"]),
    ("several counted", [b"7 <13>one7 <13>two"], [b"<13>one", b"<13>two"]),
    ("counted keeps newlines", [b"11 <13>one\ntwo7 <13>end"], [b"<13>one\ntwo", b"<13>end"]),
    ("counted keeps NUL", [b"11 <13>one\0two7 <13>end"], [b"<13>one\0two", b"<13>end"]),
    (
        "counted with a delimiter behind it",
        [b"7 <13>one\n7 <13>two\r\n7 <13>end\0"],
        [b"<13>one", b"<13>two", b"<13>end"],
    ),
    ("LF", [b"<13>one\n<13>two\n"], [b"<13>one", b"<13>two"]),
    ("LF without a last one", [b"<13>one\n<13>two"], [b"<13>one", b"<13>two"]),
    ("CRLF", [b"<13>one\r\n<13>two\r\n"], [b"<13>one", b"<13>two"]),
    ("empty lines", [b"\n\n<13>one\n\r\n\n<13>two\n\n"], [b"<13>one", b"<13>two"]),
    ("NUL", [b"<13>one\0<13>two\0"], [b"<13>one", b"<13>two"]),
    ("NUL keeps newlines", [b"<13>one\nmore\0<13>two\nmore\0"], [b"<13>one\nmore", b"<13>two\nmore"]),
    ("NUL, one message a chunk", [b"<13>a\nb\0", b"<13>c\nd\0", b"<13>e\n\0"], [b"<13>a\nb", b"<13>c\nd", b"<13>e"]),
    ("NUL learnt from the second message", [b"<13>a\0", b"<13>b\nc\0"], [b"<13>a", b"<13>b\nc"]),
    ("lines without a PRI", [b"one\ntwo\n"], [b"one", b"two"]),
    ("a line that begins with a number", [b"2026 was\n12\n7 days\n"], [b"2026 was", b"12", b"7 days"]),
    ("nothing", [b""], []),
    ("only delimiters", [b"\n\r\n\0\n"], []),
]
INCOMPLETE = [
    ("counted", [b"9 <13>on"], [b"<13>on"]),
    ("count alone", [b"9"], [b"9"]),
    ("count and space", [b"9 "], [b"9 "]),
    ("PRI alone", [b"<1"], [b"<1"]),
    ("count cut in two", [b"1", b"1 <13>one\ntwo"], [b"<13>one\ntwo"]),
    ("count cut before the PRI", [b"7 ", b"<13>one"], [b"<13>one"]),
    ("PRI cut in two behind NUL", [b"<13>a\nb\0<1", b"3>c\nd\0"], [b"<13>a\nb", b"<13>c\nd"]),
    ("line", [b"<13>on"], [b"<13>on"]),
    (
        "first chunk cut before its NUL: lines until a NUL is seen",
        [b"<13>a\nb", b"c\0", b"<13>d\ne\0"],
        [b"<13>a", b"bc", b"<13>d\ne"],
    ),
]
HOSTILE = [
    ("count that is none", [b"7 <13>onegarbage\n7 <13>two"], [b"<13>one", b"garbage", b"<13>two"]),
    ("count of zero", [b"7 <13>one0 <13>x\n7 <13>two"], [b"<13>one", b"0 <13>x", b"<13>two"]),
    ("count with eleven digits", [b"12345678901 <13>x\n<13>y\n"], [b"12345678901 <13>x", b"<13>y"]),
    ("count too small", [b"3 <13>one\n7 <13>two"], [b"<13", b">one", b"<13>two"]),
    ("count too large eats the next", [b"9 <13>one7 <13>two\n7 <13>end"], [b"<13>one7 ", b"<13>two", b"<13>end"]),
    ("LF behind counted", [b"7 <13>one<13>two\n<13>end\n"], [b"<13>one", b"<13>two", b"<13>end"]),
    ("stray NUL within a line", [b"<13>a\0b\n<13>c\n<13>d\n"], [b"<13>a\0b", b"<13>c", b"<13>d"]),
    (
        "stray NUL at the end of a chunk",
        [b"<13>a\n<13>b\0", b"c\n<13>d\n<13>e\n"],
        [b"<13>a", b"<13>b\0c", b"<13>d", b"<13>e"],
    ),
    (
        "stray NUL at the end of the first chunk",
        [b"<13>a\0", b"b\n<13>c\n<13>d\n"],
        [b"<13>a", b"b", b"<13>c", b"<13>d"],
    ),
    ("NUL and a PRI within a line", [b"<13>a\n<13>b\0<13>c\n<13>d\n"], [b"<13>a", b"<13>b\0<13>c", b"<13>d"]),
    ("NUL without a PRI in a NUL stream", [b"<13>a\0<13>b\0c\0<13>d\ne\0"], [b"<13>a", b"<13>b", b"c", b"<13>d\ne"]),
    ("binary", [b"\xff\xfe\x00\x80\n<13>one\n"], [b"\xff\xfe\x00\x80", b"<13>one"]),
    ("HTTP", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], [b"GET / HTTP/1.1", b"Host: x"]),
    ("TLS hello", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]),
]


@pytest.mark.parametrize(
    ("chunks", "expected"), [pytest.param(*rest, id=name) for name, *rest in VALID + INCOMPLETE + HOSTILE]
)
def test_chunks_become_messages(chunks: list[bytes], expected: list[bytes]) -> None:
    assert payloads(*chunks) == expected


def test_a_message_is_given_as_soon_as_it_is_whole() -> None:
    framer = Framer(MAX_BYTES)
    assert list(framer.feed(b"<13>one\n<13>t")) == [Message(b"<13>one")]
    assert list(framer.feed(b"wo\n")) == [Message(b"<13>two")]
    framer = Framer(MAX_BYTES)
    assert list(framer.feed(b"<13>one\0")) == [Message(b"<13>one")]
    framer = Framer(MAX_BYTES)
    assert list(framer.feed(b"7 <13>one7 <13>t")) == [Message(b"<13>one")]


def test_half_a_counted_message_is_marked_and_a_last_line_is_not() -> None:
    assert framed(b"90 <13>half") == [Message(b"<13>half", is_truncated=True)]
    assert framed(b"<13>whole") == [Message(b"<13>whole")]


def test_bad_counts_are_counted_once_each() -> None:
    framer = Framer(MAX_BYTES)
    list(framer.feed(b"7 <13>oneX\n7 <13>twoY\nZ\n"))
    assert framer.take_bad_counts() == 2  # Z comes while nothing is decided
    assert framer.take_bad_counts() == 0


OVERSIZE = [
    ("by one byte", 1025, b"a" * 512 + b" [... 1 bytes cut ...] " + b"a" * 512),
    ("twice", 2048, b"a" * 512 + b" [... 1024 bytes cut ...] " + b"a" * 512),
]


@pytest.mark.parametrize(("size", "expected"), [pytest.param(*rest, id=name) for name, *rest in OVERSIZE])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 500, 5000])
def test_oversize_keeps_head_and_tail_and_says_how_much_is_missing(
    size: int, expected: bytes, chunk_bytes: int
) -> None:
    stream = b"a" * size + b"\n<13>next\n"
    chunks = cut(stream, range(chunk_bytes, len(stream), chunk_bytes))
    assert framed(*chunks) == [Message(expected, is_truncated=True), Message(b"<13>next")]


def test_oversize_keeps_the_bytes_of_its_ends() -> None:
    body = b"<13>" + bytes(range(32, 127)) * 40  # 3804 bytes
    counted = b"%d %s7 <13>end" % (len(body), body)
    assert framed(counted) == [
        Message(body[:512] + b" [... 2780 bytes cut ...] " + body[-512:], is_truncated=True),
        Message(b"<13>end"),
    ]


def test_the_greatest_size_is_whole() -> None:
    assert framed(b"a" * 1024 + b"\n") == [Message(b"a" * 1024)]


@pytest.mark.parametrize("start", [b"1073741824 <13>", b"<13>", b"no pri ", b"<13>a\0<13>"])
def test_memory_is_bounded_by_the_greatest_size_and_one_chunk(start: bytes) -> None:
    framer, chunk, fed = Framer(64 << 10), b"x" * (256 << 10), len(start)
    list(framer.feed(start))
    tracemalloc.start()
    try:
        for _ in range(64):  # 16 MiB
            assert list(framer.feed(chunk)) == []
            fed += len(chunk)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 << 20
    [message] = framer.close()
    received = fed - len(start) + len(start[start.rindex(b"<13>") :] if b"<13>" in start else start)
    assert message.is_truncated
    assert message.payload.endswith(b" [... %d bytes cut ...] " % (received - (64 << 10)) + b"x" * (32 << 10))
    assert len(message.payload) < 66_000


PRIS = st.integers(0, 191).map(lambda pri: b"<%d>" % pri)
ANY_BYTES = st.binary(max_size=60)
LINE_BYTES = ANY_BYTES.map(lambda text: text.translate(None, b"\n\r\0"))
NUL_BYTES = ANY_BYTES.map(lambda text: text.translate(None, b"\r\0"))
WITH_PRI = {
    "counted": st.lists(st.builds(bytes.__add__, PRIS, ANY_BYTES), min_size=1, max_size=8),
    "line": st.lists(st.builds(bytes.__add__, PRIS, LINE_BYTES), min_size=1, max_size=8),
    "nul": st.lists(st.builds(bytes.__add__, PRIS, NUL_BYTES), min_size=1, max_size=8),
}


def split_at_random(stream: bytes, seed: int, first: int = 0) -> list[bytes]:
    """Up to six chunks, none of the cuts before `first`."""
    chooser = random.Random(seed)  # noqa: S311 - a choice of tests
    return cut(stream, (chooser.randint(first, len(stream)) for _ in range(chooser.randint(0, 5))))


@given(WITH_PRI["counted"], st.integers())
def test_counted_messages_come_out_as_they_were_however_they_are_cut(messages: list[bytes], seed: int) -> None:
    stream = b"".join(b"%d %s" % (len(message), message) for message in messages)
    assert payloads(*split_at_random(stream, seed)) == messages


@given(WITH_PRI["line"], st.integers())
def test_lines_come_out_as_they_were_however_they_are_cut(messages: list[bytes], seed: int) -> None:
    stream = b"".join(message + b"\n" for message in messages)
    assert payloads(*split_at_random(stream, seed)) == messages


@given(WITH_PRI["line"], st.integers())
def test_nul_terminated_lines_come_out_as_they_were_however_they_are_cut(messages: list[bytes], seed: int) -> None:
    stream = b"".join(message + b"\0" for message in messages)
    assert payloads(*split_at_random(stream, seed)) == messages


@given(WITH_PRI["nul"], st.integers())
@example([b"<13>a\n"], 0)
def test_nul_terminated_messages_keep_newlines_when_the_first_chunk_holds_the_first_nul(
    messages: list[bytes], seed: int
) -> None:
    stream = b"".join(message + b"\0" for message in messages)
    chunks = split_at_random(stream, seed, first=len(messages[0]) + 1)
    if any(b"\n<" in message for message in messages):  # looks like LF framing: cut there, nothing lost
        assert b"".join(payloads(*chunks)).translate(None, b"\n") == b"".join(messages).translate(None, b"\n")
    else:
        assert payloads(*chunks) == [message.rstrip(b"\n") for message in messages]


PIECES = [b"<13>", b"\n", b"\0", b"\r", b"5 <", b"7 ", b"12", b"x", b"<", b"99999 <1>", b"\xff"]


@given(st.lists(st.sampled_from(PIECES)), st.integers())
def test_no_byte_but_delimiters_and_counts_is_ever_lost(pieces: list[bytes], seed: int) -> None:
    stream = b"".join(pieces)
    kept = b"".join(payloads(*split_at_random(stream, seed)))
    without = b"\n\0\r 0123456789"
    assert kept.translate(None, without) == stream.translate(None, without)


@given(st.lists(st.sampled_from([b"<13>", b"\n", b"\r", b"x", b"<", b"\xff", b"12", b" "])), st.integers())
def test_without_nul_and_counts_cuts_do_not_matter(pieces: list[bytes], seed: int) -> None:
    stream = b"x" + b"".join(pieces).replace(b" <", b"<")
    assert payloads(*split_at_random(stream, seed)) == payloads(stream)


PINNED: list[tuple[str, Framing, list[bytes], list[bytes]]] = [
    ("LF takes counts for text", "lf", [b"7 <13>one\n7 <13>two\n"], [b"7 <13>one", b"7 <13>two"]),
    ("LF takes NUL for text", "lf", [b"<13>a\0<13>b\n"], [b"<13>a\0<13>b"]),
    ("NUL takes newlines for text from the start", "nul", [b"<13>a\nb", b"c\0x\0"], [b"<13>a\nbc", b"x"]),
    (
        "counted takes the line behind a bad count",
        "octet-counted",
        [b"<13>a\0<13>b\n7 <13>one"],
        [b"<13>a\0<13>b", b"<13>one"],
    ),
]


@pytest.mark.parametrize(("framing", "chunks", "expected"), [pytest.param(*rest, id=name) for name, *rest in PINNED])
def test_a_framing_that_was_asked_for_is_never_left(
    framing: Framing, chunks: list[bytes], expected: list[bytes]
) -> None:
    framer = Framer(MAX_BYTES, framing)
    messages = [*itertools.chain.from_iterable(framer.feed(chunk) for chunk in chunks), *framer.close()]
    assert [message.payload for message in messages] == expected
    assert framer.take_bad_counts() == (framing == "octet-counted")


STEADY: list[tuple[str, bytes, str | None, bytes]] = [
    ("one line tells nothing", b"<13>one\n", None, b""),
    ("lines", b"<13>one\n<13>two\n", "lf", b""),
    ("half a line behind others", b"<13>one\n<13>two\n<13>th", "lf", b"<13>th"),
    ("counted", b"7 <13>one", "octet-counted", b""),
    ("half a counted one behind others", b"7 <13>one99 <13>tw", "octet-counted", b"99 <13>tw"),
    ("half a count behind others", b"7 <13>one9", "octet-counted", b"9"),
    ("half a counted one alone", b"99 <13>tw", None, b""),
    ("oversize under way", b"7 <13>one9999 <13>" + b"x" * 2000, None, b""),
    ("NUL", b"<13>a\0<13>b\0", None, b""),
    ("behind a bad count", b"7 <13>onegarbage", None, b""),
]


@pytest.mark.parametrize(("chunk", "steady", "given"), [pytest.param(*rest, id=name) for name, *rest in STEADY])
def test_what_has_begun_is_given_back_where_a_scan_can_go_on(chunk: bytes, steady: str | None, given: bytes) -> None:
    framer = Framer(MAX_BYTES)
    list(framer.feed(chunk))
    assert framer.give_back() == given
    assert framer.steady == steady


def test_an_oversize_message_that_drips_in_costs_no_copy_for_each_byte() -> None:
    framer = Framer(4 << 20)
    list(framer.feed(b"5000000000 <13>" + b"x" * (8 << 20)))
    started_s = time.process_time()
    for _ in range(20_000):
        list(framer.feed(b"x"))
    assert time.process_time() - started_s < 1  # some 10 s with a copy each


def test_padding_between_many_messages_costs_no_copy_for_each() -> None:
    framer = Framer(MAX_BYTES)
    started_s = time.process_time()
    assert len(list(framer.feed(b"6 <13>hi\n" * 60_000))) == 60_000
    assert time.process_time() - started_s < 2  # some 10 s with a copy each
