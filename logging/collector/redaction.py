"""Redaction at the collector, between parsing and storing, for senders that do not redact themselves."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa
from loguru import logger

from cloud.logs.collector.columns.signs import Signs, compile_signs
from cloud.logs.collector.columns.text_column import TextColumn, search
from cloud.logs.collector.parsing import json_of
from cloud.logs.collector.redaction_patterns import Patterns
from cloud.logs.collector.rfc5424 import map_parameters
from cloud.logs.collector.row import FOLDED, HEADER, SEPARATOR
from cloud.logs.emit.redact import MARK, SIGNS, redact_fields, redact_text

WITHHELD: Final = "(withheld: the collector could not redact this line)"
MAX_TEXT_CHARS: Final = 1 << 18
"""A longer text that may hold a secret is withheld: the rules, while which no other thread runs, take a quarter of a
second for so many characters at worst."""
PATTERN_ROWS: Final = 4096
"""How many rows the patterns are given at a time: their texts are held twice over meanwhile."""
KEPT: Final = ("peer", "host_start")
"""Texts that are not the sender's, or by which its lines are numbered: these are never touched."""
TEXTS: Final = (
    "message", "fields", "structured_data", "hostname", "app_name", "procid", "msgid", "logger", "level", "request_id",
    "instance", "project", "event", "migration",
)  # fmt: skip
_SEARCHED = (*(name for name in TEXTS if name not in FOLDED), HEADER.name)
_TRIGGERS = tuple({trigger for triggers, _ in SIGNS for trigger in triggers})
# `6 hosts pass all filters`: a whole word with only a word behind it assigns nothing, and no dash makes it an option.
_INNOCENT = re.compile(r"(?<!\S)(?:pass|key)(?=\s[a-z])")
Change = Callable[[str, str], str]
"""What becomes of a value: its text, and the same with its name as the whole text has them, if it has one."""


class RedactionError(Exception):
    """A row that cannot be redacted."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A table in which no known secret is left, in how many rows there was one, and how many could not be redacted."""

    table: pa.Table
    redacted: int = 0
    withheld: int = 0


class Redactor:
    """Redacts the tables of `Rows`; from one thread."""

    def __init__(self, *, defaults: bool, patterns: Sequence[str] = ()) -> None:
        """`defaults` are the rules by which our services redact; `ValueError` for a pattern that cannot be used.

        The kernel is compiled or loaded here, so that no message waits for that.
        """
        self._signs = compile_signs(SIGNS) if defaults else None
        self._patterns = Patterns(patterns) if patterns else None
        if self._signs is not None:
            search([TextColumn(pa.array(["-"], pa.string_view()))] * len(_SEARCHED), self._signs)

    def redact(self, table: pa.Table) -> Redacted:
        """`table` with its rows in their order, and nothing but texts of theirs changed.

        What fails is tried again by halves, and a row that fails alone is withheld: of its texts only KEPT are left.
        """
        most = None if self._patterns is None else PATTERN_ROWS
        parts = [part for batch in table.to_batches(most) for part in self._parts(batch)]
        redacted, withheld = sum(part.redacted for part in parts), sum(part.withheld for part in parts)
        if withheld:
            logger.bind(records=withheld).warning("cannot redact records, their texts are withheld")
        if not redacted and not withheld:
            return Redacted(table)
        return Redacted(pa.concat_tables([part.table for part in parts]), redacted, withheld)

    def _parts(self, batch: pa.RecordBatch) -> Iterator[Redacted]:
        if not batch.num_rows:
            return
        try:
            part = self._attempt(batch)
        except Exception:  # noqa: BLE001 - whatever it is, the rows that can be stored are to be stored
            if self._patterns is not None:
                self._patterns.reset()
            middle = batch.num_rows // 2
            if middle:
                yield from self._parts(batch.slice(0, middle))
                yield from self._parts(batch.slice(middle))
                return
            sheet = _Sheet(batch)
            sheet.withhold(0)
            part = sheet.redacted()
        yield part

    def _attempt(self, batch: pa.RecordBatch) -> Redacted:
        sheet = _Sheet(batch)
        if self._signs is not None:
            _apply_rules(sheet, self._signs)
        if self._patterns is not None:
            _apply_patterns(sheet, self._patterns)
        return sheet.redacted()


class _Sheet:
    """The texts of one record batch while they are redacted."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._columns: dict[str, TextColumn] = {}
        self._texts: dict[str, dict[int, str | None]] = {}
        self._withheld: set[int] = set()

    def column(self, name: str) -> TextColumn:
        if name not in self._columns:
            self._columns[name] = TextColumn(self._batch.column(name))
        return self._columns[name]

    def text(self, name: str, row: int) -> str | None:
        changed = self._texts.get(name, {})
        return changed[row] if row in changed else self.column(name).text(row)

    def change(self, row: int, name: str, redact: Callable[[str], str]) -> None:
        """Redact a text, or withhold the row."""
        if row in self._withheld:
            return
        try:
            text = self.text(name, row)
            if text is not None and (new := redact(text)) != text:
                self._texts.setdefault(name, {})[row] = new
        except Exception:  # noqa: BLE001 - whatever it is, this row is to be stored, and so are the others
            self.withhold(row)

    def withhold(self, row: int) -> None:
        self._withheld.add(row)
        for name in TEXTS:
            self._texts.setdefault(name, {})[row] = WITHHELD if name == "message" else None

    def current(self) -> pa.RecordBatch:
        """The batch with what was changed by now."""
        batch = self._batch
        changed = {row for name in FOLDED for row in self._texts.get(name, {})}
        headers = {row: SEPARATOR.join(self.text(name, row) or "" for name in FOLDED) for row in changed}
        changed_texts: dict[str, dict[int, str | None]] = {**self._texts, HEADER.name: dict(headers)}
        for name, texts in changed_texts.items():
            if texts:
                batch = batch.set_column(batch.schema.get_field_index(name), name, self.column(name).written(texts))
        return batch

    def redacted(self) -> Redacted:
        rows = {row for texts in self._texts.values() for row in texts}
        table = pa.Table.from_batches([self.current() if rows else self._batch])
        return Redacted(table, len(rows - self._withheld), len(self._withheld))


def _apply_rules(sheet: _Sheet, signs: Signs) -> None:
    found = search([sheet.column(name) for name in _SEARCHED], signs)
    rows_of = dict(zip(_SEARCHED, found, strict=True))
    folded = rows_of.pop(HEADER.name)
    for row in sorted({*folded, *rows_of["hostname"]}):  # first: their names as they came are the message's context
        sheet.change(row, "message", partial(_message_by_rules, _head(sheet, row)))
        for name in FOLDED:
            if name not in KEPT:
                sheet.change(row, name, _text_by_rules)
    for name, rows in rows_of.items():
        redact = _BY_RULES.get(name, _text_by_rules)
        for row in rows:
            sheet.change(row, name, redact)


def _text_by_rules(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise RedactionError(f"cannot redact {len(text)} characters in time")
    lowered = text.lower()
    guilty = _INNOCENT.sub("\0", lowered)
    for trigger in _TRIGGERS:
        if trigger in (lowered if " " in trigger else guilty):
            return redact_text(text)
    return text


def _message_by_rules(head: str, text: str) -> str:
    """`text` as what stands behind `head`: to a reader of the older format `token: x` is a tag and a message."""
    redacted = _text_by_rules(head + text)
    return redacted.removeprefix(head) if redacted.startswith(head) else _text_by_rules(text)


def _head(sheet: _Sheet, row: int) -> str:
    """What stood right in front of a message, if anything that names a secret could have."""
    app_name, hostname = sheet.text("app_name", row), sheet.text("hostname", row)
    if app_name is not None:
        return "" if sheet.text("procid", row) else f"{app_name}: "
    return "" if hostname is None else f"{hostname} "


def _fields_by_rules(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise RedactionError(f"cannot redact {len(text)} characters in time")
    fields = json.loads(text)
    redacted = redact_fields(fields)
    return text if redacted == fields else json_of(redacted)


def _structured_data_by_rules(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise RedactionError(f"cannot redact {len(text)} characters in time")
    changed = map_parameters(text, _parameters_by_rules)
    return redact_text(text) if changed is None else changed


def _parameters_by_rules(parameters: list[tuple[str, str]]) -> list[str]:
    fields = dict(parameters)
    if len(fields) == len(parameters):
        return [str(value) for value in redact_fields(fields).values()]
    # A name comes twice: each parameter is judged alone, and a value by the names that stand with it.
    redacted = [str(new) for name, value in parameters for new in redact_fields({name: value}).values()]
    for couple in _couples([name for name, _ in parameters]):
        labels = [parameters[at][1] for at in couple if parameters[at][0] != "value"]
        if any(redact_fields({"name": label, "value": "-"})["value"] == MARK for label in labels):
            for at in couple:
                if parameters[at][0] == "value" and parameters[at][1]:
                    redacted[at] = MARK
    return redacted


def _couples(names: Sequence[str]) -> list[list[int]]:
    """Which of `names` are a secret's name or key and its value: whichever of both comes first begins each couple."""
    couples: list[list[int]] = []
    marked = [(at, name == "value") for at, name in enumerate(names) if name in ("name", "key", "value")]
    previous = None
    for at, is_value in marked:
        if not couples or (is_value != previous and is_value == marked[0][1]):
            couples.append([])
        couples[-1].append(at)
        previous = is_value
    if len(couples) > 1 and previous == marked[0][1]:  # left over: it may belong to the couple in front of it
        couples[-2].extend(couples.pop())
    return couples


_BY_RULES: Final[dict[str, Callable[[str], str]]] = {
    "fields": _fields_by_rules,
    "structured_data": _structured_data_by_rules,
}


def _apply_patterns(sheet: _Sheet, patterns: Patterns) -> None:
    """The engine is asked for all pieces of text at once: a question costs more than what it does for a row."""
    table = pa.Table.from_batches([sheet.current()])
    pieces: list[str] = []
    asked: list[tuple[str, int, int, int]] = []

    def collect(value: str, member: str) -> str:
        pieces.extend((value, member))
        return value

    def collect_message(head: str, text: str) -> str:
        pieces.extend((text, head, head + text))
        return text

    for row in patterns.find(table, _condition(patterns)):
        head = _head(sheet, row)
        for name in TEXTS:
            start = len(pieces)
            if name == "message":
                sheet.change(row, name, partial(collect_message, head))
            else:
                sheet.change(row, name, lambda text, name=name: _mapped(name, text, collect) and text)  # type: ignore[misc]
            asked.append((name, row, start, len(pieces)))
    if not pieces:
        return
    replaced = patterns.apply(pieces)
    again: list[int] = []
    for name, row, start, end in asked:
        if name == "message":
            sheet.change(row, name, partial(_message_answer, pieces[start:end], replaced[start:end], again, row))
            continue
        answers = zip(pieces[start:end], replaced[start:end], strict=True)
        sheet.change(row, name, partial(_mapped, name, change=partial(_answer, answers)))
    if again:
        messages = [sheet.text("message", row) or "" for row in again]
        for row, message in zip(again, patterns.apply(messages), strict=True):
            sheet.change(row, "message", lambda _, message=message: _known(message))  # type: ignore[misc]


def _message_answer(asked: Sequence[str], replaced: Sequence[str | None], again: list[int], row: int, text: str) -> str:
    """What became of a message by itself, of its head, and of both together: what either shows to be secret goes.

    All of it goes where a match reaches from the head into it. Where there is one thing to hide in it by itself and
    another behind its head, the latter is hidden here, and `row` is to be asked for `again`.
    """
    new, new_head, whole = map(_known, replaced)
    before = asked[1] if whole.startswith(asked[1]) else new_head
    behind = whole.removeprefix(before) if whole.startswith(before) else MARK
    if behind == text:
        return new
    if new != text and behind not in (new, MARK):
        again.append(row)
    return behind


def _known(new: str | None) -> str:
    if new is None:
        raise RedactionError("cannot redact a text that grows without end")
    return new


def _answer(answers: Iterator[tuple[str, str | None]], value: str, member: str) -> str:
    """What became of a value; all of it is hidden if only together with its name a pattern matches."""
    new, new_member = _known(next(answers)[1]), _known(next(answers)[1])
    return MARK if new == value and new_member != member else new


def _condition(patterns: Patterns) -> str:
    """SQL: whether a pattern may match in one of a row's texts, or in a piece of one.

    A piece is read without its escapes, where the whole text has them, and has a begin and an end of its own. The
    message stands behind its `_head`, which hides no match in it: a head ends with a space, which is no part of a word.
    """
    head = "CASE WHEN app_name IS NULL THEN hostname || ' ' WHEN coalesce(procid, '') = '' THEN app_name || ': ' END"
    texts = (f"concat({head}, message)" if name == "message" else name for name in _SEARCHED)
    together = f"concat_ws(chr({ord(SEPARATOR)}), {', '.join(texts)})"
    return f"{patterns.matching(together)} OR contains(fields, chr(92)) OR contains(structured_data, chr(92))"


def _mapped(name: str, text: str, change: Change) -> str:
    """A row's text whose pieces have gone through `change`."""
    if name == "fields":
        fields = json.loads(text)
        changed = _mapped_json(fields, "", change)
        return text if changed == fields else json_of(changed)
    if name == "structured_data":
        written = map_parameters(text, lambda each: [change(value, f'{key}="{value}"') for key, value in each])
        if written is not None:
            return written
    return change(text, "")


def _mapped_json(value: Any, key: str, change: Change) -> Any:
    if isinstance(value, dict):
        return {change(each, ""): _mapped_json(inner, f"{_json(each)}:", change) for each, inner in value.items()}
    if isinstance(value, list):
        return [_mapped_json(each, "", change) for each in value]
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else _json(value)
    new = change(text, key and key + _json(value))
    return value if new == text else new


_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
