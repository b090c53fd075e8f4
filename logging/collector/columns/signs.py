"""A search of text columns for strings of which a text with a secret has one: which cells are worth a closer look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.views import INLINE_BYTES, VIEW_BYTES, Cells
from cloud.logs.collector.compiled import WORD_BYTES, Bytes, byte_at, compiled, find_byte, word_at

Sign = tuple[tuple[str, ...], tuple[str, ...]]
"""Strings of which one must be there, and more of which, if any, one must be there too; ASCII, lower case."""
_KINDS = 64  # of bytes: what is in no sign, 26 letters, and the others
_WORD_MASK = 0xFFFFFFFF
MAX_BUFFERS = 4
"""That a column points into: a batch's three, and one for what was written later."""
_RARE = "qzjxkvw_%&=\\:/;<>. pygmuhlrsniotbfdc0123456789ae-"
"""Bytes of log lines, the rarest first."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is searched for, as tables for the kernel: a string is found by the rarest two bytes in succession in it."""

    pairs: Bytes
    """1 for each such pair, in both cases: its number has the first byte as its lower half."""
    kinds: Bytes
    """The kind of each byte; letters have one in both cases."""
    first: Bytes
    """By the kinds of two bytes in succession: one more than the number of the first string with them, 0 for none."""
    next: Bytes
    """By number, the same for the next such string."""
    texts: Bytes
    starts: npt.NDArray[np.int64]
    """Where each string begins in `texts`; the last one is the end."""
    offsets: npt.NDArray[np.int64]
    """Where in each string those two bytes stand."""
    needs: npt.NDArray[np.int64]
    """A byte that must stand somewhere in the cell too; -1 for none."""


def compile_signs(signs: Sequence[Sign]) -> Signs:
    """Tables for `signs`. They find at least the texts that have one of them: needs of several bytes are left out."""
    plain = {text for texts, needs in signs if not needs for text in texts}
    strings: dict[str, int] = dict.fromkeys(plain, -1)
    for texts, needs in signs:
        if needs and not plain.issuperset(needs):
            byte = ord(needs[0]) if len(needs) == 1 and len(needs[0]) == 1 else -1
            strings |= {text: byte if strings.get(text, byte) == byte else -1 for text in texts}
    shortest = [
        text for text, byte in strings.items()
        if not any(other != text and other in text and strings[other] in (-1, byte) for other in strings)
    ]  # fmt: skip
    others = sorted({character for text in shortest for character in text if not character.isalpha()})
    kinds = np.zeros(256, np.uint8)
    for number, character in enumerate(others):
        kinds[ord(character)] = 27 + number % (_KINDS - 27)
    for number in range(26):
        kinds[ord("a") + number] = kinds[ord("A") + number] = 1 + number
    first, following = np.zeros(_KINDS * _KINDS, np.uint8), np.zeros(len(shortest), np.uint8)
    offsets = np.empty(len(shortest), np.int64)
    for number, text in enumerate(shortest):
        offset = offsets[number] = min(range(len(text) - 1), key=lambda at: _commonness(text[at : at + 2]))
        pair = int(kinds[ord(text[offset])]) * _KINDS + int(kinds[ord(text[offset + 1])])
        following[number], first[pair] = first[pair], number + 1
    return Signs(
        _pairs(kinds, first), kinds, first, following, np.frombuffer("".join(shortest).encode(), np.uint8).copy(),
        np.cumsum([0, *map(len, shortest)], dtype=np.int64), offsets,
        np.array([strings[text] for text in shortest], np.int64),
    )  # fmt: skip


def _pairs(kinds: Bytes, first: Bytes) -> Bytes:
    low, high = np.meshgrid(kinds.astype(np.int64), kinds.astype(np.int64))  # by high, low
    pairs: Bytes = (first[low * _KINDS + high].reshape(-1) != 0).astype(np.uint8)
    return pairs


def _commonness(pair: str) -> int:
    return (_RARE.index(pair[0]) + 1) * (_RARE.index(pair[1]) + 1)


@compiled
def mark_signs(
    cells: Cells,
    cell_bytes: Bytes,
    buffers: tuple[Bytes, ...],
    is_valid: Bytes,
    pairs: Bytes,
    kinds: Bytes,
    first: Bytes,
    following: Bytes,
    texts: Bytes,
    starts: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    needs: npt.NDArray[np.int64],
    marked: Bytes,
) -> None:
    """Set `marked`, by column and row, to 1 for each cell that has a sign.

    `cells` are views by column and row, flat, `cell_bytes` the same memory as bytes, and `buffers` what the views of
    each column point into, MAX_BUFFERS of them; the others are those of `Signs`. It goes row by row: the texts of a row
    lie side by side in memory.
    """
    columns, rows = is_valid.shape
    for row in range(rows):
        for column in range(columns):
            if not is_valid[column, row]:
                continue
            slot = column * rows + row
            word, second = cells[2 * slot], cells[2 * slot + 1]
            length = int(word & _WORD_MASK)
            if length <= INLINE_BYTES:
                start = VIEW_BYTES * slot + 4
                has_sign = _has_sign(
                    cell_bytes, start, start + length, pairs, kinds, first, following, texts, starts, offsets, needs
                )
            elif row and is_valid[column, row - 1] and word == cells[2 * slot - 2] and second == cells[2 * slot - 1]:
                has_sign = marked[column, row - 1] != 0  # the very same bytes, as headers often are
            else:
                data = buffers[MAX_BUFFERS * column + int(second & _WORD_MASK)]
                start = int(second >> 32)
                has_sign = _has_sign(
                    data, start, start + length, pairs, kinds, first, following, texts, starts, offsets, needs
                )
            if has_sign:
                marked[column, row] = 1


@compiled
def _has_sign(
    data: Bytes,
    start: int,
    end: int,
    pairs: Bytes,
    kinds: Bytes,
    first: Bytes,
    following: Bytes,
    texts: Bytes,
    starts: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    needs: npt.NDArray[np.int64],
) -> bool:
    absent = -2  # a byte that is known not to be there: nothing is searched for twice
    at = start
    while at + 1 < end:
        # Seven pairs at a time, nearly always without any of interest.
        if at + WORD_BYTES <= end:
            word = word_at(data, at)
            hits = (
                pairs[np.uint16(word)] | pairs[np.uint16(word >> 8)] | pairs[np.uint16(word >> 16)]
                | pairs[np.uint16(word >> 24)] | pairs[np.uint16(word >> 32)] | pairs[np.uint16(word >> 40)]
                | pairs[np.uint16(word >> 48)]
            )  # fmt: skip
            if hits == 0:
                at += WORD_BYTES - 1
                continue
            stop = at + WORD_BYTES - 1
        else:
            stop = end - 1
        while at < stop:
            low, high = int(byte_at(kinds, byte_at(data, at))), int(byte_at(kinds, byte_at(data, at + 1)))
            number = int(byte_at(first, low * _KINDS + high))
            while number > 0:
                this = number - 1
                begin = at - offsets[this]
                need = needs[this]
                is_possible = begin >= start and need != absent
                if is_possible and _stands(data, begin, end, texts, starts[this], starts[this + 1]):
                    if need < 0 or find_byte(data, start, end, need) < end:
                        return True
                    absent = need
                number = int(byte_at(following, this))
            at += 1
    return False


@compiled
def _stands(data: Bytes, at: int, end: int, texts: Bytes, start: int, stop: int) -> bool:
    """Whether `texts[start:stop]`, lower case, stands at `at` in any case."""
    if end - at < stop - start:
        return False
    for k in range(stop - start):
        byte = byte_at(data, at + k)
        if 65 <= byte <= 90:
            byte += 32
        if byte != byte_at(texts, start + k):
            return False
    return True
