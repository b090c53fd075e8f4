import pytest

from cloud.logs.collector.rfc5424 import LineId, Parts, parse_timestamp, split_message, take_line_id

EXAMPLES = {  # RFC 5424 section 6.5
    "1, with a BOM": (
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8",
        Parts(
            34,
            1065910455003000,
            "mymachine.example.com",
            "su",
            None,
            "ID47",
            None,
            "'su root' failed for lonvick on /dev/pts/8",
        ),
    ),
    "2, with an offset": (
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
        Parts(165, 1061727255000003, "192.0.2.1", "myproc", "8710", None, None, "%% It's time to make the do-nuts."),
    ),
    "3, with structured data": (
        (
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
            '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] \ufeffAn application event log entry...'
        ),
        Parts(
            165,
            1065910455003000,
            "mymachine.example.com",
            "evntslog",
            None,
            "ID47",
            '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]',
            "An application event log entry...",
        ),
    ),
    "4, structured data only": (
        (
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
            '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]'
        ),
        Parts(
            165,
            1065910455003000,
            "mymachine.example.com",
            "evntslog",
            None,
            "ID47",
            '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]',
            "",
        ),
    ),
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_standards_examples_are_read(text: str, expected: Parts) -> None:
    assert split_message(text) == expected


def parts(body: str, structured_data: str | None = None) -> Parts:
    return Parts(13, 1767225600000000, "h", "a", "1", "m", structured_data, body)


HEADER = "<13>1 2026-01-01T00:00:00Z h a 1 m "
BODIES = [
    # valid
    ("no body", "-", parts("")),
    ("empty body", "- ", parts("")),
    ("body", "- text", parts("text")),
    ("body that begins with a space", "-  text", parts(" text")),
    ("body with a newline", "- one\ntwo", parts("one\ntwo")),
    ("element without parameters", "[a@1] text", parts("text", "[a@1]")),
    ("escapes", r'[a@1 q="\"" b="\\" c="\]"] text', parts("text", r'[a@1 q="\"" b="\\" c="\]"]')),
    ("escaped backslash before the closing quote", r'[a x="\\"] [b]', parts("[b]", r'[a x="\\"]')),
    ("backslash before another character", r'[a x="C:\dir"] t', parts("t", r'[a x="C:\dir"]')),
    ("unescaped bracket in a value", '[a x="]"] t', parts("t", '[a x="]"]')),
    ("several elements", '[a x="1"][b][c y="2" z="]["] t', parts("t", '[a x="1"][b][c y="2" z="]["]')),
    ("an element as body", '- [a x="1"] t', parts('[a x="1"] t')),
    ("newline in a value", '[a x="1\n2"] t', parts("t", '[a x="1\n2"]')),
    ("not ASCII in a value", '[a x="ü"] t', parts("t", '[a x="ü"]')),
]
NO_STRUCTURED_DATA = [
    # incomplete: it costs the structured data only
    ("missing", "text and more"),
    ("missing altogether", ""),
    ("not closed", '[a x="1" text'),
    ("quote not closed", '[a x="1] text'),
    ("ends in a backslash", '[a x="1\\'),
    ("no space behind", '[a x="1"]text'),
    ("two dashes", "-- text"),
    # hostile
    ("no name", "[] text"),
    ("no equals sign", "[a x] text"),
    ("value without quotes", "[a x=1] text"),
    ("two spaces", '[a  x="1"] text'),
    ("quote in a name", '[a x"="1"] text'),
    ("a quote too many", '[a x="1""] text'),
    ("nothing but opening brackets", "[" * 10_000),
    ("nothing but escapes", '[a x="' + "\\" * 99_999),
]


@pytest.mark.parametrize(("rest", "expected"), [pytest.param(*case, id=name) for name, *case in BODIES])
def test_structured_data_and_body_are_told_apart(rest: str, expected: Parts) -> None:
    assert split_message(HEADER + rest) == expected


@pytest.mark.parametrize("rest", [pytest.param(text, id=name) for name, text in NO_STRUCTURED_DATA])
def test_bad_structured_data_costs_nothing_else(rest: str) -> None:
    assert split_message(HEADER + rest) == Parts(
        13, 1767225600000000, "h", "a", "1", "m", None, rest, has_bad_structured_data=True
    )


NOT_RFC5424 = [
    ("no version", "<13>Jan  1 00:00:00 h a: b"),
    ("version 2", "<13>2 2026-01-01T00:00:00Z h a 1 m - t"),
    ("PRI over 191", "<192>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("PRI of four digits", "<0013>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("empty PRI", "<>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("negative PRI", "<-1>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("digits of another script", "<١٣>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("something before it", " <13>1 2026-01-01T00:00:00Z h a 1 m - t"),
    ("header cut off", "<13>1 2026-01-01T00:00:00Z h a"),
    ("two spaces", "<13>1  2026-01-01T00:00:00Z h a 1 m - t"),
    ("words behind a 1", "<13>1 of 6 disks is about to fail"),
    ("empty", ""),
]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in NOT_RFC5424])
def test_another_format_is_not_taken_for_it(text: str) -> None:
    assert split_message(text) is None


def test_nil_is_none_and_the_pri_bounds_are_taken() -> None:
    assert split_message("<0>1 - - - - - -") == Parts(0, None, None, None, None, None, None, "")
    assert split_message("<191>1 - - - - - - x") == Parts(191, None, None, None, None, None, None, "x")


TIMESTAMPS = [
    # legal
    ("1985-04-12T23:20:50.52Z", 482196050520000),
    ("1985-04-12T19:20:50.52-04:00", 482196050520000),
    ("2003-10-11T22:14:15.003Z", 1065910455003000),
    ("2003-08-24T05:14:15.000003-07:00", 1061727255000003),
    ("2026-01-01T00:00:00Z", 1767225600000000),
    ("2026-01-01T00:00:00+00:00", 1767225600000000),
    ("2026-01-01T00:00:00-00:00", 1767225600000000),
    ("2026-01-01T05:45:00+05:45", 1767225600000000),
    ("2025-12-31T00:01:00-23:59", 1767225600000000),
    ("2026-01-01t00:00:00z", 1767225600000000),
    ("2026-01-01T00:00:00.1Z", 1767225600100000),
    ("2026-01-01T00:00:00.123456Z", 1767225600123456),
    ("2024-02-29T12:00:00Z", 1709208000000000),
    ("2000-02-29T00:00:00Z", 951782400000000),
    ("1970-01-01T00:00:00Z", 0),
    ("1969-12-31T23:59:59.999999Z", -1),
    ("0001-01-01T00:00:00Z", -62135596800000000),
    ("9999-12-31T23:59:59.999999Z", 253402300799999999),
    # as some send it: more digits than RFC 5424 allows are cut
    ("2026-01-01T00:00:00.123456789Z", 1767225600123456),
    # incomplete
    ("2026-01-01T00:00:00", None),
    ("2026-01-01T00:00Z", None),
    ("2026-01-01", None),
    ("2026-01-01T00:00:00.Z", None),
    ("2026-01-01T00:00:00+0100", None),
    ("2026-01-01T00:00:00+01", None),
    ("20260101T000000Z", None),
    ("2026-1-1T00:00:00Z", None),
    ("", None),
    # not legal
    ("2026-13-01T00:00:00Z", None),
    ("2026-00-01T00:00:00Z", None),
    ("2026-01-00T00:00:00Z", None),
    ("2026-02-29T00:00:00Z", None),
    ("1900-02-29T00:00:00Z", None),
    ("2026-04-31T00:00:00Z", None),
    ("2026-01-01T24:00:00Z", None),
    ("2026-01-01T23:60:00Z", None),
    ("2016-12-31T23:59:60Z", None),  # a leap second: RFC 5424 section 6.2.3 forbids it
    ("2026-01-01T00:00:00+24:00", None),
    ("2026-01-01T00:00:00+00:60", None),
    ("2026-01-01 00:00:00Z", None),
    ("2026-01-01T00:00:00,5Z", None),
    ("2026-01-01T00:00:00Z\n", None),
    ("٢٠٢٦-01-01T00:00:00Z", None),
    ("0000-01-01T00:00:00Z", None),
    ("0001-01-01T00:00:00+23:59", None),
    ("9999-12-31T23:59:59-23:59", None),
    ("9" * 100_000, None),
]


@pytest.mark.parametrize(("text", "expected"), TIMESTAMPS, ids=[text[:40] for text, _ in TIMESTAMPS])
def test_only_legal_timestamps_are_times(text: str, expected: int | None) -> None:
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [text for text, expected in TIMESTAMPS if expected is None and text and " " not in text and "\n" not in text],
    ids=lambda text: text[:40],
)
def test_a_timestamp_that_is_not_legal_costs_the_timestamp_only(text: str) -> None:
    assert split_message(f'<13>1 {text} h a 1 m [a x="1"] body') == Parts(
        13, None, "h", "a", "1", "m", '[a x="1"]', "body", bad_timestamp=text
    )


LINE = '[line@32473 host="compute-01" start="6f1c" n="12"]'
LINE_IDS = [
    # valid
    ("alone", LINE, (None, LineId("compute-01", "6f1c", 12))),
    ("last of two", f'[a x="1"]{LINE}', ('[a x="1"]', LineId("compute-01", "6f1c", 12))),
    ("parameters in another order", '[line@32473 n="3" start="s" host="h"]', (None, LineId("h", "s", 3))),
    ("an escaped host", r'[line@32473 host="a\"b\\c\]" start="s" n="3"]', (None, LineId(r'a"b\c]', "s", 3))),
    (
        "the greatest number",
        '[line@32473 host="h" start="s" n="9223372036854775807"]',
        (None, LineId("h", "s", 2**63 - 1)),
    ),
    ("behind a bracket in a value", f'[a x="[::1]"]{LINE}', ('[a x="[::1]"]', LineId("compute-01", "6f1c", 12))),
    # incomplete: it stays where it is
    ("no structured data", None, (None, None)),
    ("another element", '[line@1 host="h" start="s" n="3"]', ('[line@1 host="h" start="s" n="3"]', None)),
    ("no number", '[line@32473 host="h" start="s"]', ('[line@32473 host="h" start="s"]', None)),
    ("no host", '[line@32473 start="s" n="3"]', ('[line@32473 start="s" n="3"]', None)),
    ("an empty start", '[line@32473 host="h" start="" n="3"]', ('[line@32473 host="h" start="" n="3"]', None)),
    ("no parameter", "[line@32473]", ("[line@32473]", None)),
]
FORGED = [
    ("not the last element", f"{LINE}[a]"),
    ("in a value", r'[a x="[line@32473 host=\"h\" start=\"s\" n=\"3\"]"]'),
    ("over a border of values", '[a x="[line@32473 host=" y=" start=" z=" n=" n="3"]'),
    ("in the name of an element", '[a[line@32473 host="h" start="s" n="3"]'),
    ("in a value without escapes", '[a x="[line@32473 host="]'),
    ("number zero", '[line@32473 host="h" start="s" n="0"]'),
    ("a negative number", '[line@32473 host="h" start="s" n="-3"]'),
    ("a number with a sign", '[line@32473 host="h" start="s" n="+3"]'),
    ("a number with leading zeros", '[line@32473 host="h" start="s" n="000000000000000000000003"]'),
    ("a number that no column holds", '[line@32473 host="h" start="s" n="9223372036854775808"]'),
    ("a number of 5,000 digits", f'[line@32473 host="h" start="s" n="{"9" * 5000}"]'),
    ("digits of another script", '[line@32473 host="h" start="s" n="٣"]'),
    ("a host of 256 characters", f'[line@32473 host="{"h" * 256}" start="s" n="3"]'),
    ("a start id of 256 characters", f'[line@32473 host="h" start="{"s" * 256}" n="3"]'),
    ("not a number", '[line@32473 host="h" start="s" n="three"]'),
]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=name) for name, *case in LINE_IDS])
def test_a_line_identity_is_taken_out(text: str | None, expected: tuple[str | None, LineId | None]) -> None:
    assert take_line_id(text) == expected


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FORGED])
def test_what_only_looks_like_a_line_identity_stays(text: str) -> None:
    assert take_line_id(text) == (text, None)


def test_a_forged_identity_before_the_hosts_own_is_no_identity() -> None:
    forged = '[line@32473 host="compute-99" start="x" n="1"]'
    assert take_line_id(forged + LINE) == (forged, LineId("compute-01", "6f1c", 12))
