"""A corpus that goes on for ever: blocks of one that was made once, in each round with other ids and other measures.

To make a line takes seven times as long as to store it. A variant has other digits in all UUIDs, the same ones for the
same UUID, and in the decimals of measures: an index or a dictionary meets as many different values as in a longer one.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from bench.corpus import Line, corpus
from cloud.logs.collector.batch import MAX_MESSAGES, Batch, Offsets, Source
from cloud.logs.collector.compiled import WORD_BYTES

DISTINCT = 4 * MAX_MESSAGES
"""So many lines are made."""
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_UUID_DIGITS = [at for at in range(36) if at not in (8, 13, 14, 18, 19, 23)]  # without version and variant
_DECIMALS = re.compile(rb"\.[0-9]{6}[0-9]?(?![0-9+])")  # a time has its zone behind them
_DECIMAL_DIGITS = range(1, 7)
_SOURCE = Source("192.0.2.7")

Table = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines one behind the other, as a batch has them."""

    data: npt.NDArray[np.uint8]
    starts: Offsets
    ends: Offsets
    uuids: Offsets
    decimals: Offsets


class Variants:
    """Batches of lines, for whoever reads each before asking for the next."""

    def __init__(self, lines: int, seed: int, distinct: int = DISTINCT) -> None:
        """Of `lines` that there shall be make `distinct`."""
        made = corpus(min(lines, distinct), seed)
        self._blocks = [_block(block) for block in iter(lambda: list(islice(made, MAX_MESSAGES)), [])]
        self.lines = lines
        self.seed = seed
        self._batch = Batch(-(-max(len(block.data) for block in self._blocks) // WORD_BYTES) * WORD_BYTES)

    def batches(self, observed_us: int, planted: Mapping[int, bytes]) -> Iterator[Batch]:
        """All lines, as if they had arrived at that moment; those of the numbers in `planted`, from 0, are these.

        Or one of the next, where the line of that number is too short to be written over.
        """
        first = 0
        for variant in range(-(-self.lines // sum(len(block.starts) for block in self._blocks))):
            rng = random.Random(f"{self.seed} {variant}")  # noqa: S311 - a corpus, not a secret
            of_uuids = [_xored(rng.randrange(16)) for _ in _UUID_DIGITS]
            of_decimals = [_added(rng.randrange(10)) for _ in _DECIMAL_DIGITS]
            for block in self._blocks:
                count = min(len(block.starts), self.lines - first)
                if not count:
                    return
                data = np.frombuffer(self._batch.data, np.uint8)
                data[: len(block.data)] = block.data
                _replace(data, block.uuids, _UUID_DIGITS, of_uuids)
                _replace(data, block.decimals, _DECIMAL_DIGITS, of_decimals)
                ends = block.ends[:count].copy()
                for number, payload in planted.items():
                    if first <= number < first + count:
                        _plant(data, block.starts[:count], ends, number - first, payload)
                self._batch.clear()
                self._batch.add(block.starts[:count], ends, len(block.data), _SOURCE, observed_us)
                yield self._batch
                first += count


def _block(lines: Sequence[Line]) -> _Block:
    joined = b"".join(line.payload for line in lines)
    ends = np.cumsum([len(line.payload) for line in lines]).astype(np.int32)
    starts = np.concatenate([np.zeros(1, np.int32), ends[:-1]])
    return _Block(
        np.frombuffer(joined, np.uint8),
        starts,
        ends,
        np.array([found.start() for found in _UUID.finditer(joined)], np.int32),
        np.array([found.start() for found in _DECIMALS.finditer(joined)], np.int32),
    )


def _xored(key: int) -> Table:
    """Of each hexadecimal digit another one, and of that the first."""
    table = np.arange(256, dtype=np.uint8)
    for digit in range(16):
        table[ord(f"{digit:x}")] = ord(f"{digit ^ key:x}")
    return table


def _added(key: int) -> Table:
    table = np.arange(256, dtype=np.uint8)
    for digit in range(10):
        table[ord(str(digit))] = ord(str((digit + key) % 10))
    return table


def _replace(data: npt.NDArray[np.uint8], starts: Offsets, places: Sequence[int], tables: Sequence[Table]) -> None:
    for place, table in zip(places, tables, strict=True):
        at = starts + np.int32(place)
        data[at] = table[data[at]]


def _plant(data: npt.NDArray[np.uint8], starts: Offsets, ends: Offsets, number: int, payload: bytes) -> None:
    fits = np.flatnonzero(ends[number:] - starts[number:] >= len(payload))
    if not len(fits):
        raise ValueError(f"cannot plant a line of {len(payload)} bytes: none that follows is as long")
    at = number + int(fits[0])
    data[starts[at] : starts[at] + len(payload)] = np.frombuffer(payload, np.uint8)
    ends[at] = starts[at] + len(payload)
