"""Any bytes as messages: the kernels, as Python, and the reference parser say the same of them.

The first byte chooses who sent them and when, the second what lies around them in the buffer; 0xFE stands between two.
"""

from tests.collector.agreement import ARRIVALS_US, SOURCES, Agreement, Sent

_BETWEEN = b"\xfe"
_MAX_MESSAGES = 8
_AGREEMENT = Agreement()


def check(data: bytes) -> None:
    """`AssertionError` for what the two disagree on."""
    how, filler, messages = data[:1], data[1:2], data[2:]
    if not filler:
        return
    source, arrival, cut = how[0] & 3, (how[0] >> 2) % len(ARRIVALS_US), how[0] >> 7
    payloads = messages.split(_BETWEEN, _MAX_MESSAGES - 1)
    _AGREEMENT.check(
        [
            Sent(payload, SOURCES[(source + number) % len(SOURCES)], ARRIVALS_US[arrival], is_truncated=bool(cut))
            for number, payload in enumerate(payloads)
        ],
        filler=filler[0],
    )
