"""Comparing bytes with bytes."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.compiled import WORD_BYTES, Bytes, byte_at, compiled, inlined, word_at

Words = npt.NDArray[np.uint64]
"""The same memory as a buffer's bytes, eight at a time."""
HASH_BITS = 58
_LOW, _FACTOR = (1 << HASH_BITS) - 1, 0x9E3779B97F4A7C15 >> 6
_TOP = 63  # the bits of a word that _LOW leaves out
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
    """A number of HASH_BITS bits that is the same for the same bytes. Reads up to seven bytes beyond `end`."""
    value = end - start
    for at in range(start, end, WORD_BYTES):
        word = word_at(data, at)
        if end - at < WORD_BYTES:
            word &= (1 << (8 * (end - at))) - 1
        value = mixed(value ^ word) ^ ((word >> HASH_BITS) & _TOP)
    return value


@inlined
def mixed(value: int) -> int:
    """A number of HASH_BITS bits, each of which depends on many of the lower bits of `value`."""
    product = ((value & _LOW) * _FACTOR) & _LOW
    return product ^ (product >> 29)


@compiled
def is_ascii(words: Words, start: int, end: int) -> bool:
    """Whether bytes `start` to `end` are. May say no for a neighbour's, since it looks at whole words."""
    for k in range(start >> 3, (end + 7) >> 3):
        if words[k] & _HIGH_BITS:
            return False
    return True
