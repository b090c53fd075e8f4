"""Any bytes behind RELP's `open`: what is found in place is what RelpFramer finds, and whoever stays is answered for all.

The first byte chooses where the bytes are cut.
"""

import re

from cloud.logs.collector.receivers.relp_framing import RelpError, RelpFramer
from tests.collector.receiving import RELP_OPEN
from tests.collector.test_scan import MAX_BYTES, cut, relp_framed, relp_scanned

_FRAME = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})")


def check(data: bytes) -> None:
    """`AssertionError` for what is framed or answered differently, and for a byte that is in no frame."""
    if not data:
        return
    stream = RELP_OPEN + data[1:]
    chunks = cut(stream, data[0])
    messages, output, reason = relp_scanned(chunks)
    expected, numbers, expected_reason = relp_framed(chunks)
    assert relp_framed([stream]) == (expected, numbers, expected_reason)
    account(stream)
    if reason:  # what was read together with the fault may be let go of: it was not answered
        assert messages == expected[: len(messages)]
        assert reason == expected_reason or b" close " in stream  # whatever comes behind that is a fault
        return
    assert messages == expected
    assert expected_reason == ""
    answered = [int(line.split()[0]) for line in output.splitlines() if line.endswith(b" rsp 6 200 OK")]
    assert sorted(answered) == sorted(numbers)


def account(stream: bytes) -> None:
    """Walk through `stream`: the frames are its bytes up to the first that is broken or not all there."""
    framer, at = RelpFramer(MAX_BYTES), 0
    try:
        for frame in framer.feed(stream):
            match = _FRAME.match(stream, at)
            assert match is not None
            assert (int(match[1]), match[2].decode()) == (frame.txnr, frame.command)
            length = int(match[3])
            start = match.end() + (stream[match.end() : match.end() + 1] == b" ")
            data = stream[start : start + length]
            if frame.message.is_truncated:
                half = MAX_BYTES // 2
                between = b" [... %d bytes cut ...] " % (length - 2 * half)
                assert frame.message.payload == data[:half] + between + data[-half:]
            else:
                assert frame.message.payload == data
            at = start + length + 1
            assert stream[at - 1 : at] == b"\n"
    except RelpError:
        return
    assert framer.held_bytes <= len(stream) - at
    assert not (framer.held_bytes == 0 and at < len(stream) and not framer.is_under_way)
