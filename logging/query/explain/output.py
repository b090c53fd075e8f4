"""An explanation, as the API gives it, as text for a terminal or markdown for a ticket."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from cloud.logs.query.explain.sentences import (
    Values,
    beside,
    facts,
    headline,
    in_short,
    moment,
    named_cause,
    other_procedure,
    source,
    verdict,
    where_it_is,
)

MIN_WIDTH, MAX_WIDTH = 80, 120
_INDENT = 2
_BOLD, _RED, _GREEN, _YELLOW, _DIM, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_OUTCOMES: Mapping[str, str] = {
    "failed": _RED,
    "completed": _GREEN,
    "refused": _YELLOW,
    "cut off": _YELLOW,
    "no end seen": _YELLOW,
}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|])")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def as_text(found: Values, *, width: int = 100, colour: bool = False) -> str:
    """For a terminal; `width` is kept between MIN_WIDTH and MAX_WIDTH, and only ids and names may be longer."""
    return "\n".join(_Text(max(MIN_WIDTH, min(width, MAX_WIDTH)), colour=colour).lines(found)) + "\n"


def as_markdown(found: Values) -> str:
    """Fit for a ticket: what was logged is escaped, or stands in code."""
    return "\n".join(_markdown(found)) + "\n"


class _Text:
    def __init__(self, width: int, *, colour: bool) -> None:
        self._width = width
        self._colour = colour

    def lines(self, found: Values) -> Iterator[str]:
        """From the conclusion to what it was drawn from."""
        yield from self._wrapped(headline(found), 0, _BOLD)
        for line in in_short(found):
            yield from self._wrapped(line)
        for line in facts(found):
            yield from self._wrapped(line)
        yield from self._why(found)
        yield from self._failures(found)
        if position := found["position"]:
            yield from self._head("WHERE IT IS")
            yield from self._wrapped(where_it_is(position))
            for line in beside(position):
                yield from self._wrapped(line)
        yield from self._ladder(found["ladder"])
        yield from self._list("NOT SEEN", found["not_seen"])
        yield from self._list("ALSO", [other_procedure(each) for each in found["others"]])

    def _why(self, found: Values) -> Iterator[str]:
        yield from self._head("WHY")
        yield from self._wrapped(verdict(found), 1, _YELLOW if found["verdict"] != "known" else _PLAIN)
        for cause in found["causes"]:
            yield from self._wrapped(named_cause(cause), 1, _BOLD)
            yield from self._wrapped(cause["meaning"])
            yield from self._items("check", cause["check"])
            yield from self._items("do", cause["remedy"])

    def _failures(self, found: Values) -> Iterator[str]:
        if not (failure := found["failure"]):
            return
        yield from self._head("FIRST ERROR")
        yield from self._wrapped(_quote(failure["first"]), 1, _RED)
        for name, quotes in (("its echoes", failure["echoes"]), ("other errors then", failure["others"])):
            if quotes:
                yield from self._wrapped(f"{name}:")
                for quote in quotes:
                    yield from self._wrapped(_quote(quote), 2, _DIM)
        for other in found["earlier_failures"]:
            yield from self._wrapped(f"another attempt failed at step {other['step']}: {other['error']}")

    def _ladder(self, rungs: Sequence[Values]) -> Iterator[str]:
        if not rungs:
            return
        yield from self._head("LADDER (UTC)")
        hosts = max(10, min(34, max(len(_hosts(rung)) for rung in rungs)))
        is_tried_again = any(rung["attempt"] > 1 for rung in rungs)
        for rung in rungs:
            step = f"{rung['attempt']}. {rung['step']}" if is_tried_again else rung["step"]
            outcome = rung["outcome"]
            row = f"  {step:15} {_hosts(rung):{hosts}} {_clock(rung['began']):12} {_took(rung['took_s']):>9}  "
            notes = f" ({'; '.join(rung['notes'])})" if rung["notes"] else ""
            yield f"{row}{self._painted(outcome, _OUTCOMES.get(outcome, _DIM))}{notes}"

    def _list(self, title: str, items: Sequence[str]) -> Iterator[str]:
        if items:
            yield from self._head(title)
            for item in items:
                yield from self._item(item, 1)

    def _items(self, title: str, items: Sequence[str]) -> Iterator[str]:
        yield from self._wrapped(f"{title}:")
        for item in items:
            yield from self._item(item, 2)

    def _item(self, text: str, depth: int) -> Iterator[str]:
        indent = " " * _INDENT * depth
        yield from textwrap.wrap(
            _clean(text), self._width, initial_indent=f"{indent}- ", subsequent_indent=f"{indent}  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    def _head(self, title: str) -> Iterator[str]:
        yield ""
        yield self._painted(title, _BOLD)

    def _wrapped(self, text: str, depth: int = 1, paint: str = _PLAIN) -> Iterator[str]:
        indent = " " * _INDENT * depth
        for line in textwrap.wrap(
            _clean(text), self._width, initial_indent=indent, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        ):  # fmt: skip
            yield self._painted(line, paint)

    def _painted(self, text: str, paint: str) -> str:
        return f"{paint}{text}{_PLAIN}" if self._colour and paint != _PLAIN else text


def _markdown(found: Values) -> Iterator[str]:
    yield f"# {_escaped(headline(found))}"
    yield ""
    yield from (f"- {_escaped(line)}" for line in in_short(found))
    yield from (f"- {_escaped(line)}" for line in facts(found))
    yield from ("", "## Why", "", _escaped(verdict(found)))
    for cause in found["causes"]:
        yield from ("", f"**{_escaped(named_cause(cause))}**", "", _escaped(cause["meaning"]))
        for title, items in (("Check", cause["check"]), ("Do", cause["remedy"])):
            yield from ("", f"{title}:", "", *(f"- {_but_code(item)}" for item in items))
    if failure := found["failure"]:
        yield from ("", "## First error", "", *_code([failure["first"]]))
        for title, quotes in (("Its echoes", failure["echoes"]), ("Other errors then", failure["others"])):
            if quotes:
                yield from ("", f"{title}:", "", *_code(quotes))
        for other in found["earlier_failures"]:
            yield from ("", _escaped(f"Another attempt failed at step {other['step']}: {other['error']}"))
    if position := found["position"]:
        yield from ("", "## Where it is", "", _escaped(where_it_is(position)))
        for line in beside(position):
            yield from ("", _escaped(line))
    if found["ladder"]:
        yield from (
            "",
            "## Ladder",
            "",
            "| step | where | began (UTC) | took | outcome |",
            "| --- | --- | --- | --- | --- |",
        )
        for rung in found["ladder"]:
            outcome = "; ".join([rung["outcome"], *rung["notes"]])
            step = f"{rung['attempt']}. {rung['step']}" if rung["attempt"] > 1 else rung["step"]
            cells = (step, _hosts(rung), _clock(rung["began"]), _took(rung["took_s"]), outcome)
            yield f"| {' | '.join(map(_escaped, cells))} |"
    for title, items in (
        ("Not seen", found["not_seen"]),
        ("Also", [other_procedure(each) for each in found["others"]]),
    ):
        if items:
            yield from ("", f"## {title}", "", *(f"- {_escaped(item)}" for item in items))


def _quote(quote: Values) -> str:
    return f"{moment(quote['time'])} {source(quote)} {quote['level'] or ''} {quote['text']}".replace("  ", " ")


def _hosts(rung: Values) -> str:
    hosts = " ".join(rung["hosts"])
    return hosts if not rung["side"] or not hosts else f"{rung['side']} {hosts}" if len(rung["hosts"]) == 1 else hosts


def _took(took_s: float | None) -> str:
    return "" if took_s is None else f"{took_s:.3f} s" if took_s < 100 else f"{took_s:.0f} s"


def _clock(text: str | None) -> str:
    return "" if text is None else moment(text)[11:]


def _clean(text: str) -> str:
    """Nothing that a terminal would take for more than text."""
    return _CONTROLS.sub(" ", text)


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", _clean(text))


def _but_code(text: str) -> str:
    """Ours, so that what stands in backquotes may stay code; what was caught of a line is escaped elsewhere."""
    parts = _clean(text).split("`")
    return "`".join(part if number % 2 else _MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts))


def _code(quotes: Sequence[Values]) -> Iterator[str]:
    """A block that no content can end: indented by four."""
    yield from (f"    {_clean(_quote(quote))}" for quote in quotes)
