"""Whether bytes are UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF."""

from cloud.logs.collector.compiled import Bytes, byte_at, compiled


@compiled
def is_utf8(data: Bytes, start: int, end: int) -> bool:
    at = start
    while at < end:
        first = byte_at(data, at)
        if first < 0x80:
            at += 1
            continue
        if 0xC2 <= first < 0xE0:
            length = 2
        elif 0xE0 <= first < 0xF0:
            length = 3
        elif 0xF0 <= first < 0xF5:
            length = 4
        else:
            return False
        if at + length > end:
            return False
        for k in range(1, length):
            if byte_at(data, at + k) & 0xC0 != 0x80:
                return False
        second = byte_at(data, at + 1)
        if (
            (first == 0xE0 and second < 0xA0)
            or (first == 0xED and second >= 0xA0)
            or (first == 0xF0 and second < 0x90)
            or (first == 0xF4 and second >= 0x90)
        ):
            return False
        at += length
    return True
