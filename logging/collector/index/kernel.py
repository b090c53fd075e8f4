"""The grams of many texts at once, as machine code."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.compiled import Bytes, byte_at, compiled
from cloud.logs.collector.index.grams import FACTOR, GRAM_BYTES, GRAM_MASK, SHIFT

Offsets = npt.NDArray[np.int32]

_UPPER_A, _UPPER_Z, _TO_LOWER = 0x41, 0x5A, 0x20
# A regular expression without case takes two characters beyond ASCII for one of it: the Kelvin sign for a k, and the
# long s. In UTF-8:
_KELVIN, _LONG_S = (0xE2, 0x84, 0xAA), (0xC5, 0xBF)
_K, _S = 0x6B, 0x73


@compiled
def add_grams(data: Bytes, offsets: Offsets, bits: Bytes) -> int:
    """Set the bits of the texts that `offsets` cut `data` into, and give how many were not set before."""
    added = 0
    for number in range(len(offsets) - 1):
        at, end = offsets[number], offsets[number + 1]
        gram, length = 0, 0
        while at < end:
            byte = byte_at(data, at)
            at += 1
            if _UPPER_A <= byte <= _UPPER_Z:
                byte += _TO_LOWER
            elif byte == _LONG_S[0] and at < end and byte_at(data, at) == _LONG_S[1]:
                byte = _S
                at += 1
            elif (
                byte == _KELVIN[0]
                and at + 1 < end
                and byte_at(data, at) == _KELVIN[1]
                and byte_at(data, at + 1) == _KELVIN[2]
            ):
                byte = _K
                at += 2
            gram = (gram << 8 | byte) & GRAM_MASK
            length += 1
            if length >= GRAM_BYTES:
                bit = (gram * FACTOR & 0xFFFFFFFF) >> SHIFT
                mask = 1 << (bit & 7)
                if not bits[bit >> 3] & mask:
                    bits[bit >> 3] |= mask
                    added += 1
    return added


def load_grams() -> None:
    """Compile what is not compiled yet, for texts that cannot be written to."""
    add_grams(np.frombuffer(b"", np.uint8), np.frombuffer(bytes(4), np.int32), np.zeros(8, np.uint8))
