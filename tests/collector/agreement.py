"""Whether the kernels and the reference parser say the same of the same messages."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from cloud.logs.collector.batch import SLACK_BYTES, Batch, Source
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.framing import Message
from cloud.logs.collector.lines import Run
from cloud.logs.collector.parsing import Received, parse
from cloud.logs.collector.row import FOLDED, HEADER, RECEIVED, SEPARATOR, TIMESTAMP
from tests.collector.batches import DAY_US, NOON_US, PEER
from tests.collector.grammar import message

BUFFER_BYTES = 1 << 18
SOURCES = (
    PEER,
    Source("2001:db8::1", frozenset({"compute-01", "h"})),
    Source("a path of more than twelve bytes", frozenset({"controller-01.example.org", "controller-01", "größer"})),
    Source("192.0.2.8", frozenset()),
)
ARRIVALS_US = (
    NOON_US,
    1_798_761_599_999_999,  # the last microsecond of 2026
    1_798_761_600_000_000,
    1_835_438_400_000_000,  # 29 February 2028, noon
    1_835_438_400_000_000 - 90 * DAY_US,
    951_782_400_000_000,  # 29 February 2000
    0,
)
_NAMES = (*(column.name for column in RECEIVED), HEADER.name)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and how it arrived."""

    payload: bytes
    source: Source = PEER
    observed_us: int = NOON_US
    is_truncated: bool = False


def some_sent(chooser: random.Random) -> Sent:
    return Sent(
        message(chooser),
        chooser.choice(SOURCES) if chooser.random() < 0.5 else PEER,
        chooser.choice(ARRIVALS_US) if chooser.random() < 0.3 else NOON_US,
        is_truncated=chooser.random() < 0.1,
    )


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reference parser says of some messages: values of RECEIVED, the header, and which line of which run each is."""

    values: Sequence[tuple[object, ...]]
    lines: Sequence[tuple[Run, int] | None]
    failures: Counter[str]


class DisagreementError(AssertionError):
    """A message of which the two do not say the same."""


def expected(sent: Sequence[Sent]) -> Expected:
    values: list[tuple[object, ...]] = []
    lines: list[tuple[Run, int] | None] = []
    failures: list[str] = []
    for each in sent:
        message = Message(each.payload, is_truncated=each.is_truncated)
        row, line_id = parse(Received(message, each.observed_us, each.source), failures)
        header = SEPARATOR.join(getattr(row, name) or "" for name in FOLDED)
        values.append((*(getattr(row, column.name) for column in RECEIVED), header))
        lines.append(None if line_id is None else (Run(line_id.host, line_id.start), line_id.sequence))
    return Expected(values, lines, Counter(failures))


class Agreement:
    """A parser with a buffer, for one batch after another."""

    def __init__(self, parser: BatchParser | None = None) -> None:
        self._parser = parser or BatchParser()
        self._batch = Batch(BUFFER_BYTES)

    def check(self, sent: Sequence[Sent], reference: Expected | None = None, filler: int = 0) -> Rows:
        """What the kernels make of `sent`, as one batch; `DisagreementError` if that is not what the reference makes.

        `filler` is what stands before and behind the messages in the buffer, to whose very end they reach.
        """
        reference = reference or expected(sent)
        try:
            rows = self._parser.read(self._filled(sent, filler))
        except Exception as exc:
            raise DisagreementError(f"cannot read {self._culprit(sent, filler)!r}: {exc!r}") from exc
        rows.table.validate(full=True)
        columns = [_values(rows.table.column(name)) for name in _NAMES]
        for number, each in enumerate(sent):
            for name, found, wanted in zip(_NAMES, columns, reference.values[number], strict=True):
                if found[number] != wanted:
                    raise DisagreementError(
                        f"{name} of {each}\nis {found[number]!r}\ninstead of {wanted!r}; message {number} of {len(sent)}"
                    )
            run = int(rows.run[number])
            line = None if run < 0 else (rows.runs[run], int(rows.sequence[number]))
            if line != reference.lines[number]:
                raise DisagreementError(f"the line of {each}\nis {line}\ninstead of {reference.lines[number]}")
        if rows.failures != reference.failures:
            raise DisagreementError(f"failures are {rows.failures}\ninstead of {reference.failures}\nin {sent}")
        return rows

    def _filled(self, sent: Sequence[Sent], filler: int) -> Batch:
        size = sum(len(each.payload) for each in sent)
        batch = self._batch if size <= BUFFER_BYTES else Batch(-(-size // 8) * 8)
        batch.clear()
        batch.data[:] = bytes([filler]) * len(batch.data)
        batch.used = len(batch.data) - SLACK_BYTES - size
        for each in sent:
            batch.add_payload(each.payload, each.source, each.observed_us, is_truncated=each.is_truncated)
        return batch

    def _culprit(self, sent: Sequence[Sent], filler: int) -> Sequence[Sent]:
        """The first message that cannot be read alone, or all of them."""
        for each in sent:
            try:
                self._parser.read(self._filled([each], filler))
            except Exception:  # noqa: BLE001 - which one it is does not matter
                return [each]
        return sent


def _values(column: pa.ChunkedArray) -> list[object]:
    values: list[object] = (column.cast(pa.int64()) if column.type == TIMESTAMP else column).to_pylist()
    return values
