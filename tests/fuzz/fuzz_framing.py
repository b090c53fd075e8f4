"""Any bytes as a connection: what is found in place is what Framer finds, and no byte is lost.

The first byte chooses the framing, the second where the bytes are cut.
"""

import re

from tests.collector.test_scan import FRAMINGS, MAX_BYTES, cut, framed, scanned

_PADDING = b"\r\n\0"
_SKIPPED = re.compile(rb"[\r\n\0]*")
_COUNT = re.compile(rb"[1-9][0-9]{0,9} ")
_BYTES_CUT = re.compile(rb" \[\.\.\. ([0-9]+) bytes cut \.\.\.\] ")


def check(data: bytes) -> None:
    """`AssertionError` for what is framed differently, and for a byte that is neither delivered nor counted."""
    how, seed, stream = data[:1], data[1:2], data[2:]
    if not seed:
        return
    framing = FRAMINGS[how[0] % len(FRAMINGS)]
    chunks = cut(stream, seed[0])
    messages, bad_counts = framed(chunks, framing)
    assert scanned(chunks, framing) == (messages, bad_counts)
    account(stream, messages)
    if framing == "auto":  # which lines end at a NUL depends on the cuts; that they are all there does not
        account(stream, framed([stream], framing)[0])
    else:
        assert framed([stream], framing) == (messages, bad_counts)
    if framing == "lf":
        lines = [line.lstrip(_PADDING) for line in stream.split(b"\n")]
        short = [(line.rstrip(_PADDING), False) for line in lines if len(line) <= MAX_BYTES]
        assert [each for each in messages if not each[1]] == [each for each in short if each[0]]


def account(stream: bytes, messages: list[tuple[bytes, bool]]) -> None:
    """Walk through `stream`: all but counts and padding is in the messages, or in their counts of bytes cut out."""
    at = 0
    for payload, is_truncated in messages:
        at = _end_of_padding(stream, at)
        if (end := _end(stream, at, payload, is_truncated)) is None:
            count = _COUNT.match(stream, at)
            assert count is not None, (stream[at:], payload)
            end = _end(stream, count.end(), payload, is_truncated)
        assert end is not None, (stream[at:], payload)
        at = end
    assert _end_of_padding(stream, at) == len(stream), stream[at:]


def _end(stream: bytes, at: int, payload: bytes, is_truncated: bool) -> int | None:
    """Where `payload` ends that begins at `at`; None if it does not."""
    if stream.startswith(payload, at):
        return at + len(payload)
    half = MAX_BYTES // 2
    if not is_truncated or (match := _BYTES_CUT.match(payload, half)) is None:
        return None
    tail, tail_at = payload[match.end() :], at + half + int(match[1])
    if not stream.startswith(payload[:half], at) or not stream.startswith(tail, tail_at) or len(tail) != half:
        return None
    return tail_at + len(tail)


def _end_of_padding(stream: bytes, at: int) -> int:
    match = _SKIPPED.match(stream, at)
    return match.end() if match else at
