"""Trees of queries at random, about ROWS, and such as a text can say."""

from hypothesis import strategies as st

from cloud.logs.query.language.names import COLUMNS, Kind, QueryColumn
from cloud.logs.query.language.query import (
    And,
    Between,
    Compare,
    Condition,
    CountBy,
    Exists,
    Name,
    Not,
    Number,
    Or,
    Order,
    Query,
    Regex,
    Stage,
    Term,
    Test,
    Text,
    Top,
    Value,
    Wild,
    Wildcard,
)

ALPHABET = "abcenotv012359 .:-_%*?\\\"'()[]{}/|~$^+&!<>=\nÉéжЖ🚚\u202e"
"""Letters of which the rows are made, and whatever has a meaning to a language on the way."""
WORDS = (
    "compute-01", "compute-03", "COMPUTE-03", "nova-api", "nova-compute", "live", "TIMED", "Timed Out", "500", "status",
    "flat", "100%", "a_b", "file_a", "red", "true", "-0", "7", "AND", "or", "TO", "", "*", "ERROR", "req-aaaa", "12",
)  # fmt: skip

texts = st.one_of(st.sampled_from(WORDS), st.text(ALPHABET, max_size=6))
numbers = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.sampled_from(["0.25", "599.5", "1e3", "1E+2", "-5.5", "+7", "007", "12345678901234567891", "1e19"]),
)
patterns = st.sampled_from(
    ["timed out", r"\d+", "^compute-0[1-3]$", "(?i)live", "a.b", "x/y", r"\\", "é", "", "[a-f]{2,4}", "o|u", "/"]
)
values: st.SearchStrategy[Value] = st.one_of(texts.map(Text), numbers.map(Number))
regexes = patterns.filter(bool).map(Regex)


def _merged(parts: list[str | Wild]) -> Wildcard:
    merged: list[str | Wild] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return Wildcard(tuple(merged))


def _is_wild(wildcard: Wildcard) -> bool:
    wilds = {part for part in wildcard.parts if isinstance(part, Wild)}
    return bool(wilds) and set(wildcard.parts) != {Wild.MANY}


wildcards = (
    st.lists(
        st.one_of(st.sampled_from(Wild), texts.filter(lambda text: bool(text) and "\n" not in text)),
        min_size=1,
        max_size=5,
    )
    .map(_merged)
    .filter(_is_wild)
)


def _between(ends: tuple[Value, Value], low: bool, high: bool, closed: tuple[bool, bool]) -> Between:
    return Between(ends[0] if low or not high else None, ends[1] if high else None, *closed)


def _order(kind: st.SearchStrategy[Value]) -> st.SearchStrategy[Test]:
    pairs = st.tuples(kind, kind).filter(lambda ends: not _is_upside_down(*ends))
    booleans = st.booleans()
    return st.one_of(
        st.builds(Compare, st.sampled_from(Order), kind),
        st.builds(_between, pairs, booleans, booleans, st.tuples(booleans, booleans)),
    )


def _is_upside_down(low: Value, high: Value) -> bool:
    if isinstance(low, Number) and isinstance(high, Number):
        return float(low.text) > float(high.text)
    return low.text > high.text


counters = st.integers(0, 50).map(lambda number: Number(str(number)))
ORDER = ("debug", "info", "notice", "warning", "err", "crit", "alert", "emerg")
severities = st.sampled_from(ORDER)
severity_ranges = st.lists(st.sampled_from(range(8)), min_size=2, max_size=2).map(
    lambda pair: Between(Text(ORDER[min(pair)]), Text(ORDER[max(pair)]))
)
facilities = st.sampled_from(["kern", "user", "local0", "LOCAL1", "authpriv", "13", "daemon"])
flags = st.sampled_from(["truncated", "unparsed", "host_unverified", "SKEWED"])
exists: st.SearchStrategy[Test] = st.just(Exists())

_TESTS: dict[Kind, st.SearchStrategy[Test]] = {
    Kind.TEXT: st.one_of(values, wildcards, regexes, exists, _order(values)),
    Kind.CASELESS: st.one_of(values, wildcards, regexes, exists),
    Kind.MESSAGE: st.one_of(values, wildcards, regexes, exists),
    Kind.FIELD: st.one_of(values, wildcards, regexes, exists, _order(values)),
    Kind.COUNTER: st.one_of(counters, exists, _order(counters)),
    Kind.SEVERITY: st.one_of(
        severities.map(Text),
        exists,
        st.builds(Compare, st.sampled_from(Order), severities.map(Text)),
        severity_ranges,
    ),
    Kind.FACILITY: st.one_of(facilities.map(lambda name: Number(name) if name.isdigit() else Text(name)), exists),
    Kind.FLAGS: st.one_of(flags.map(Text), exists),
}


def _terms_of(column: QueryColumn) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.just(Name(column.name)), _TESTS[column.kind])


keys = st.one_of(
    st.sampled_from(
        ["status", "a.b", "my key", "step_s", "temperature", "id", "tags", "x", "Level", "nothing", "error"]
    ),
    st.text("ab./~ \"\\'$*", min_size=1, max_size=4),
)
field_names = keys.map(lambda key: Name(key, is_field=True))
terms: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Term, st.none(), st.one_of(texts.map(Text), wildcards, exists)),
    st.builds(Term, field_names, _TESTS[Kind.FIELD]),
    *(_terms_of(column) for column in COLUMNS.values() if column.kind in _TESTS),
)


def _joined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(And, several), st.builds(Or, several))


conditions: st.SearchStrategy[Condition] = st.recursive(terms, _joined, max_leaves=8)
group_names = st.one_of(
    field_names, st.sampled_from([Name(column.name) for column in COLUMNS.values() if column.is_groupable])
)
intervals = st.one_of(st.none(), st.integers(1, 366 * 86_400))
stages: st.SearchStrategy[Stage] = st.one_of(
    st.builds(CountBy, st.lists(group_names, max_size=4).map(tuple), intervals),
    st.builds(Top, st.integers(1, 10_000), group_names),
)
queries = st.builds(Query, st.one_of(st.none(), conditions), st.lists(stages, max_size=1).map(tuple))
