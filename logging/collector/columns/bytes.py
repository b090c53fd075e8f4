"""Comparing bytes with bytes."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.compiled import WORD_BYTES, Bytes, byte_at, compiled, word_at

Words = npt.NDArray[np.uint64]
"""The same memory as a buffer's bytes, eight at a time."""
_LOW, _FACTOR = (1 << 58) - 1, 0x9E3779B97F4A7C15 >> 6
_HIGH_BITS = np.uint64(0x8080808080808080)


@compiled
def starts_with(data: Bytes, start: int, end: int, text: Bytes) -> bool:
    """Whether `data[start:end]` begins with `text`."""
    if end - start < len(text):
        return False
    for k in range(len(text)):
        if byte_at(data, start + k) != byte_at(text, k):
            return False
    return True


@compiled
def is_same(data: Bytes, first: int, second: int, length: int) -> bool:
    """Whether the `length` bytes at both places are the same."""
    k = 0
    while k + WORD_BYTES <= length:
        if word_at(data, first + k) != word_at(data, second + k):
            return False
        k += WORD_BYTES
    while k < length:
        if byte_at(data, first + k) != byte_at(data, second + k):
            return False
        k += 1
    return True


@compiled
def hash_of(data: Bytes, start: int, end: int) -> int:
    """A number of 24 bits that is the same for the same bytes."""
    value = end - start
    at = start
    while at + WORD_BYTES <= end:
        value = ((value ^ (word_at(data, at) & _LOW)) * _FACTOR) & _LOW
        value ^= value >> 29
        at += WORD_BYTES
    while at < end:
        value = ((value ^ byte_at(data, at)) * _FACTOR) & _LOW
        at += 1
    return value >> 34


@compiled
def is_ascii(words: Words, start: int, end: int) -> bool:
    """Whether bytes `start` to `end` are. May say no for a neighbour's, since it looks at whole words."""
    for k in range(start >> 3, (end + 7) >> 3):
        if words[k] & _HIGH_BITS:
            return False
    return True
