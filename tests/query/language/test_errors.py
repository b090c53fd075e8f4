"""What is said of queries that cannot be answered: where, and what was expected."""

import pytest

from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError

SYNTAX = [
    # the query, the column, what the message says
    ("a AND", 6, "expected a condition, found the end"),
    ("OR a", 1, 'expected a condition, "|" or the end, found "OR"'),
    ("(a OR b", 8, 'expected ")", found the end'),
    ("a)", 2, 'expected "|" or the end, found ")"'),
    ("()", 2, 'expected a condition, found ")"'),
    ("host: compute-01", 5, "expected a value right behind the colon"),
    ("host:", 5, "expected a value right behind the colon"),
    ("host:)", 6, 'expected a value, a comparison or a range, found ")"'),
    ("host:(a b)", 9, 'expected ")", OR or AND, found "b"'),
    ("host:(a OR", 11, "expected a value, a comparison or a range, found the end"),
    ("status:[500 TO 599", 19, 'expected "]" or "}", found the end'),
    ("status:[500 599]", 13, 'expected TO, found "599]"'),
    ("status:[* TO *]", 9, "a range has one end at least"),
    ("status:>=", 10, "expected a value, found the end"),
    ("status:>5*", 9, "a comparison has no wildcards"),
    ('message:"timed out', 9, 'expected another " behind it'),
    ("message:/timed out", 9, "a regular expression ends with a slash"),
    ("/var/lib/nova", 1, "write a path in quotation marks"),
    ("http://controller:8774", 6, "write a path in quotation marks"),
    ("std::bad_alloc", 5, "a colon stands behind a name and in front of a value"),
    ("x or y", 3, 'write OR for the operator, "or" for the word'),
    ("x And y", 3, 'write AND for the operator, "And" for the word'),
    ("not x", 1, 'write NOT for the operator, "not" for the word'),
    ("x && y", 3, "write AND"),
    ("x || y", 4, "write OR"),
    ("!x", 1, "write NOT or -"),
    ("+x", 1, "leave out the +"),
    ("x - y", 3, "expected a condition right behind the -"),
    ("'live migration'", 1, 'a text stands between marks like these: "'),
    ("“live migration”", 1, 'a text stands between marks like these: "'),
    ("[instance: 5]", 1, 'write a text that begins with "[" in quotation marks'),
    (r"a \d+", 3, r"there is no escape \d"),
    (r'"ab\d"', 4, r"there is no escape \d between quotation marks"),
    ("a\\", 2, "expected a character behind the backslash"),
    ("x\x00y", 2, "U+0000"),
    ("ab\ud800", 3, "U+D800"),
    ("x\x1ey", 2, "U+001E"),
    ("Host:x", 1, "names are in lower case: host, or fields.Host"),
    ("compute-01:8774", 1, "no column is called compute-01"),
    ("fields.:x", 1, 'expected the name of a field behind "fields."'),
    ('fields."":x', 1, 'expected the name of a field behind "fields."'),
    ("_exists_:5", 10, "expected a name behind _exists_:"),
    ("_exists_:(host OR x)", 10, "expected a name behind _exists_:"),
    ("_exists_:Host", 10, "names are in lower case"),
    ("x |", 4, "expected count or top, found the end"),
    ("x | sort by host", 5, 'expected count or top, found "sort"'),
    ("x | count host", 11, 'expected by or the end, found "host"'),
    ("x | count by", 13, "expected an interval (5m) or a name, found the end"),
    ("x | count by host service", 19, 'expected "," or the end, found "service"'),
    ("x | count by host | top 3 host", 19, 'expected "," or the end, found "|"'),
    ("x | count by time", 14, "rows cannot be counted by time"),
    ("x | top 3 row_id", 11, "rows cannot be counted by row_id"),
    ("x | count by 0m", 14, "expected an interval from 1s to 366d"),
    ("x | count by 999999999999d", 14, "expected an interval from 1s to 366d"),
    ("x | count by 1m, 1h", 5, "at most 8 names and one interval"),
    ("x | top 0 host", 9, "expected a number from 1 to 10000"),
    ("x | top 99999999999999999999 host", 9, "expected a number from 1 to 10000"),
    ("x | top", 8, "expected a number or a name, found the end"),
]

VALUES = [
    ("severity:>=bad", 12, "severity: expected a severity: one of emerg, alert, crit, err"),
    ("severity:8", 10, "severity: expected a severity"),
    ("severity:>=3", 12, "numbers of severities count down as they get worse"),
    ("severity:x*", 10, "severity: expected a severity"),
    ("severity:/err/", 10, "severity: expected a severity"),
    ("severity:[err TO info]", 10, "nothing lies between"),
    ("x facility:local9", 12, "facility: expected a facility: one of kern, user"),
    ("facility:24", 10, "expected a facility"),
    ("facility:>kern", 11, "facilities have no order"),
    ("level:>=error", 9, "levels have no order: write severity:>=err"),
    ("message:>a", 10, "messages have no order"),
    ("row_id:x", 8, "no whole number from 0 to 18446744073709551615"),
    ("row_id:18446744073709551616", 8, "no whole number from 0 to 18446744073709551615"),
    ("row_id:-1", 8, "no whole number"),
    ("row_id:1.5", 8, "no whole number"),
    (f"row_id:{'9' * 9000}", 8, "no whole number"),
    ("row_id:1*", 8, "expected a whole number"),
    ("row_id:[5 TO 4]", 8, "nothing lies between"),
    ("time:yesterday", 6, "is no time: expected 2027-01-31"),
    ("time:2027", 6, "is no time"),
    ("time:2027-02-30", 6, "there is no time 2027-02-30"),
    ("time:2027-01-15T25", 6, "there is no time"),
    ("time:9999-12-31", 6, "there is no time"),
    ("time:2027-01-15*", 6, "expected a time"),
    ("time:[2027-01-15 TO 2027-01-14]", 6, "nothing lies between"),
    ("flags:green", 7, "flags: expected one of truncated, unparsed"),
    ("flags:>truncated", 8, "flags: expected one of"),
    ("x:[9 TO 1]", 3, "nothing lies between"),
    ("x:[b TO a]", 3, "nothing lies between"),
    ("x:>1e999", 4, "is too large to compare numbers with"),
    (f"x:<{'9' * 4000}", 4, "is too large to compare numbers with"),
    ("x:/(/", 3, "RE2 does not take the regular expression: missing )"),
    (r"x:/(?=a)/", 3, "RE2 does not take the regular expression"),
    (r"x:/(a)\1/", 3, "RE2 does not take the regular expression"),
    ("a b x:/.{1000}.{1000}/", 7, "repeats too much"),
]


@pytest.mark.parametrize(("text", "column", "message"), SYNTAX)
def test_what_is_no_query_is_refused_where_it_goes_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.column == column
    assert str(caught.value).startswith(f"cannot read query at column {column}: ")


@pytest.mark.parametrize(("text", "column", "message"), VALUES)
def test_a_value_that_a_column_cannot_have_is_refused(text: str, column: int, message: str) -> None:
    query = parse(text)
    with pytest.raises(QueryError) as caught:
        compile_where(query.condition)
    assert message in str(caught.value)
    assert caught.value.column == column


def test_what_was_expected_is_there_to_choose_from() -> None:
    with pytest.raises(QueryError) as caught:
        parse("x | ")
    assert caught.value.expected == ("count", "top")
    with pytest.raises(QueryError) as caught:
        compile_where(parse("flags:x").condition)
    assert caught.value.expected == ("truncated", "unparsed", "host_unverified", "skewed")
