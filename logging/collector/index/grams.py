"""From a text to the bits that stand for it: one for each of its grams, the runs of GRAM_BYTES bytes, in lower case.

What a text holds has all its grams among those of the text, wherever it begins and ends: unlike with words, a part of
an id or of a word is found as exactly as a whole one.
"""

from typing import Final

GRAM_BYTES: Final = 4
BITS_LOG2: Final = 17
"""Of the number of bits in which a block's grams are kept."""
GRAM_MASK: Final = (1 << 8 * GRAM_BYTES) - 1
FACTOR: Final = 0x9E3779B1  # 2 ** 32 over the golden ratio: Knuth, The Art of Computer Programming 6.4
SHIFT: Final = 32 - BITS_LOG2


def bits_of(text: str) -> list[int]:
    """The numbers of the bits that a block must have which holds `text`, ASCII in lower case; those far apart first."""
    data = text.encode("ascii")
    starts = sorted(range(len(data) - GRAM_BYTES + 1), key=lambda start: start % GRAM_BYTES)
    grams = (int.from_bytes(data[start : start + GRAM_BYTES]) for start in starts)
    return list(dict.fromkeys((gram * FACTOR & 0xFFFFFFFF) >> SHIFT for gram in grams))
