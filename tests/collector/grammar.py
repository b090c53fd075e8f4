"""Messages made at random, near enough to the grammar of syslog that a parser is taken through all that it knows."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Chooser = random.Random
T = TypeVar("T")

UUIDS = (b"5b7a3f0e-9d52-4b0c-8c0e-6d2f6d1f3a11", b"0C9E8D7F-1a2b-3c4d-5e6f-708192a3b4c5")
REQUESTS = tuple(b"req-" + each for each in UUIDS)
STARTS = (b"6f1c", b"4c9ad5a8-5b65-4a35-a0d5-5a7f5a3a2f0e")
WORDS = (
    b"compute-01", b"Compute-01", b"controller-01.example.org", b"nova-api", b"nova-compute", b"812", b"a", b"h", b"--",
    b"1", b"ID47", b"2001:db8::1", b"app[1]:", b"su:", b"x" * 12, b"y" * 13, b"\x01", b"\x1f", b"\x7f", "größer".encode(),
    "\N{NO-BREAK SPACE}".encode(), "\N{LINE SEPARATOR}z".encode(), b"\x1c", b"[", b"w" * 48, b"w" * 49, b"w" * 256,
)  # fmt: skip
TEXTS = (
    b"", b"disk is full", b"x", b"two\nlines", b"nul\0inside", b"\ttab", "größer 😀".encode(), b" leading", b"trailing ",
    b"\xef\xbb\xbf", b"\xf4\x8f\xbf\xbf", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xc2\x85", b"\x7f", b"[", b"]", b"- ",
    b"123456789012", b"1234567890123", b"su: x", b"a[1]: x", b"@cee", b"@CEE: {}", b"<13>1 - - - - - - x",
)  # fmt: skip
BROKEN_TEXTS = (
    b"\xef\xbb", b"caf\xe9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf", b"\xe2\x82", b"\x85", b"\xf5\x80\x80\x80", b"\xc1\xbf", b"\xff", b"@cee:", b"\xc3x", b"\xe2\x82x",
)  # fmt: skip


def message(r: Chooser) -> bytes:
    """One message: of either format, damaged, or with one thing in it that is just so, or just not, as it should be."""
    if r.random() < 0.3:
        return r.choice(EDGES)
    made = _weighted(r, ((12, rfc5424), (6, rfc3164), (1, _other)))(r)
    return damaged(r, made) if r.random() < 0.15 else made


_EDGE_TIMES = (
    *(b"2027-%02d-%02dT12:00:00Z" % (month, day) for month in range(14) for day in (0, 1, 28, 29, 30, 31, 32)),
    *(b"%s-02-29T12:00:00Z" % year for year in (b"1900", b"2000", b"2024", b"2100", b"2400", b"0004", b"9996")),
    *(b"%s-01-01T00:00:00+00:01" % year for year in (b"0000", b"0001", b"0002", b"9999")),
    *(b"2027-01-15T" + clock for clock in (b"24:00:00Z", b"23:60:00Z", b"23:59:60Z", b"23:59:59.999999999Z", b"23:59:59.9999999999Z", b"00:00:00.Z")),
    *(b"2027-01-15T12:00:00" + zone for zone in (b"", b"z", b"+23:59", b"-23:59", b"+24:00", b"-00:60", b"+0100", b"+01", b"+05:30", b" 05:30")),
    *(b"2027-01-15T" + clock for clock in (b"11:54:59.999999Z", b"11:55:00Z", b"12:00:00Z", b"12:05:00Z", b"12:05:00.000001Z", b"12:09:59Z")),
    b"2027-01-15t12:00:00Z", b"2027-01-15x12:00:00Z", b"2027/01-15T12:00:00Z", b"2027-01-15T12.00:00Z", b"9999-12-31T23:59:59-00:01", b"-",
)  # fmt: skip
_EDGE_BSD_TIMES = (
    *(b"%s %2d 12:00:00" % (month, day) for month in (b"Jan", b"Feb", b"Mar", b"Apr", b"Jul", b"Dec", b"Xyz", b"feb") for day in (0, 1, 9, 16, 17, 28, 29, 30, 31, 32)),
    b"Jan 5 12:00:00", b"Jan 05 12:00:00", b"Jan   5 12:00:00", b"Jan  15 12:00:00", b"Jan 15  12:00:00", b"Jan 15 12:00:00 ", b"Jan 15 24:00:00",
    b"Jan 15 23:59:60", b"Jan 15 12:00:0", b"Jan 15 12-00:00", b"Jan 15 12:00:00.5", b"Jan 115 12:00:00", b"Jan 15 12:00", b"Jan",
)  # fmt: skip
_EDGE_WORDS = (
    b"<13>%s: m", b"<13>a[%s]: m", b"<13>Jan 15 12:00:00 %s a: m", b"<13>1 - %s a - - - m", b"<13>1 - h a - - [%s] m", b'<13>1 - h a - - [a %s="1"] m',
)  # fmt: skip
_EDGE_VALUES = (
    b'"n":%s',
    b'"a":[1, %s ]',
    b'"a":{"b": %s }',
    b'"migration":%s',
    b'"level":%s',
    b'"truncated":%s',
    b'"message":%s',
)
_EDGE_CONTEXTS = (
    b"[%s u p[1]]", b"[%s u [p]", b"[%s u p", b"[%s u p ", b"[%s u -]", b"[%s - p]", b"[%s  u p]", b"[%s]", b"[%s ", b"[%s0]", b"[%s u p\x7f]", b"[%s u p\xc3\xbc]",
    b"nova.api [%s u p - - -] m", b"nova.api [%s u p - - -] ", b"nova.api [%s u p - - -]  ", b"nova.api [%s u:@.-_ p - - -] m", b"nova.api [%s u! p - - -] m", b"nova.api [%s - - - - -] m",
    b"1nova [%s u p - - -] m", b".nova [%s u p - - -] m", b"_nova [%s u p - - -] m", b" [%s u p - - -] m", b"nova-api [%s u p - - -] m", b"nova.api [%s u p - - - ] m", b"nova.api  [%s u p - - -] m",
)  # fmt: skip
_EDGE_MEMBERS = (
    b'"a":1,"a":2', b'"level":"x","level":"y"', b'"message":"x","msg":"y"', b'"msg":"x","message":"y"', b'"msg":"x","message":5', b'"message":"x","msg":5',
    b'"a":{"b":1,"b":2}', b'"a":{"b":1},"b":2', b'"a":[{"b":1},{"b":2}]', b'"a":{"b":{"b":1}}', b'"a":{"b":{"c":1},"c":2}', b'"a":{"b":{"c":1},"b":2}',
    b'"a":{"x":{"b":1},"y":{"b":2}}', b"", b" ", b'"a"', b'"a":', b'"a":1,', b',"a":1', b'"a":1 "b":2', b'"a":"x" , "b" : [ "y" , { } ]', b'"a":["x y", "\\" "]',
    b'"truncated":true', b'"truncated":false', b'"truncated":"true"', b'"truncated":true,"truncated":true', b'"level":""', b'"logger":""', b'"event":""', b'"instance":""', b'"message":""',
    b'"level":true', b'"level":5', b'"level":null', b'"level":[]', b'"message":5', b'"message":null', b'"a":"\\u0041"', b'"\\u0061":1', b'"":1', b'"a":[1,]', b'"a":[,1]', b'"a":[1}',
    b'"a":{"b":1]', b'"a":[[[]]]', b'"a":{}', b'"a":{,}', b'"a":tru', b'"a":truee', b'"a":nul', b'"a":falsee', b'"a":NaN', b'"a":Infinity', b'"timestamp_text":"x"',
)  # fmt: skip


def rfc5424(r: Chooser) -> bytes:
    words = [_nil_or(r, timestamp), *(_nil_or(r, _word) for _ in range(4))]
    header = pri(r) + b"1 " + b" ".join(words) + b" " + structured_data(r)
    after = _weighted(r, ((40, b" "), (4, b" \xef\xbb\xbf"), (2, b"  "), (1, b""), (1, b"\n")))
    return header + after + body(r)


def rfc3164(r: Chooser) -> bytes:
    time = _weighted(r, ((8, _bsd_time), (2, timestamp), (2, _nothing)))(r)
    host = _weighted(r, ((5, _word), (2, _nothing)))(r)
    tag = _weighted(r, ((6, _tag), (1, _nothing)))(r)
    parts = [part for part in (time, host) if part]
    return pri(r) + b" ".join([*parts, tag + r.choice((b" ", b" ", b"", b"  ")) + body(r)])


def pri(r: Chooser) -> bytes:
    odd = (b"<192>", b"<999>", b"<0>", b"<007>", b"<1234>", b"<>", b"<a>", b"< 1>", b"<13", b"13>", b"")
    return r.choice(odd) if r.random() < 0.05 else b"<%d>" % r.randint(0, 191)


def timestamp(r: Chooser) -> bytes:
    """As RFC 3339 writes it; each part may be one that is not legal."""
    year = _weighted(
        r,
        (
            (12, b"2027"),
            (2, b"2028"),
            (1, b"2000"),
            (1, b"1900"),
            (1, b"1969"),
            (1, _rarely(r, b"2024", (b"0001", b"9999", b"0000"))),
            (1, b"0002"),
            (1, b"9998"),
        ),
    )
    month = _rarely(r, b"%02d" % r.randint(1, 12), (b"00", b"13", b"02", b"2", b"1x"))
    day = _rarely(r, b"%02d" % r.randint(1, 28), (b"00", b"29", b"30", b"31", b"32", b"1"))
    clock = b":".join(
        (
            _rarely(r, b"%02d" % r.randint(0, 23), (b"24", b"00", b"23")),
            _rarely(r, b"%02d" % r.randint(0, 59), (b"60", b"59")),
            _rarely(r, b"%02d" % r.randint(0, 59), (b"60", b"59", b"61", b"/0")),
        )
    )
    digits = r.choice((0, 0, 1, 3, 6, 6, 7, 9, 9, 10 if r.random() < 0.1 else 6))
    fraction = b"." + b"%0*d" % (digits, r.randrange(10**digits)) if digits else _rarely(r, b"", (b".", b",5"))
    zone = _weighted(
        r,
        (
            (6, b"Z"),
            (3, b"+01:00"),
            (2, b"-05:30"),
            (1, b"+23:59"),
            (1, b"-00:00"),
            (1, _rarely(r, b"-23:59", _ODD_ZONES)),
        ),
    )
    separator = _rarely(r, b"T", (b"t", b" ", b"-"))
    return year + b"-" + month + b"-" + day + separator + clock + fraction + zone


def structured_data(r: Chooser) -> bytes:
    kind = r.random()
    if kind < 0.3:
        return b"-"
    elements = b"".join(_element(r) for _ in range(r.choice((0, 0, 1, 1, 2, 3))))
    if kind < 0.9:
        elements += identity(r)
    return elements or _rarely(r, b"-", (b"", b"--", b"[]", b"[a"))


def identity(r: Chooser) -> bytes:
    """Nearly always as rsyslogd writes it."""
    host = _weighted(r, ((8, b"compute-01"), (3, b"compute-02"), (3, b"controller-01"), (1, _value(r))))
    number = _rarely(
        r,
        b"%d" % r.randint(1, 10 ** r.choice((1, 3, 17))),
        (b"0", b"01", b"", b"-3", b"9" * 18, b"9" * 19, b"9223372036854775807", b"9223372036854775808", b"1e3"),
    )
    made = b'[line@32473 host="%s" start="%s" n="%s"]' % (
        host,
        _rarely(r, r.choice(STARTS), (b"s\x1f", b"\x1f", "ü".encode())),
        number,
    )
    if r.random() > 0.08:
        return made
    return r.choice(
        (
            made.replace(b"host=", b"hosts="),
            made.replace(b" n=", b"  n="),
            made.replace(b"start=", b"start= "),
            made + b"[z]",
            made + b"x",
            made[:-1],
            b'[line@32473 n="%s" start="s" host="h"]' % number,
            b'[line@32473 host="h" start="s" n="3" x="y"]',
            b'[line@32473 host="h" host="g" start="s" n="3"]',
            b'[line@32473 host="" start="s" n="3"]',
            b'[line@32473 host="%s" start="s" n="3"]' % (b"h" * 255),
            b'[line@32473 host="%s" start="s" n="3"]' % (b"h" * 256),
            b'[line@32473 host="h" start="%s" n="3"]' % (b"s" * 256),
            b"[line@32473]",
            b'[line@3247 host="h" start="s" n="3"]',
        )
    )


def body(r: Chooser) -> bytes:
    return _weighted(r, ((6, cee), (4, nova_line), (3, _text_with_ids), (3, _text)))(r)


def cee(r: Chooser) -> bytes:
    known = (
        b"message",
        b"msg",
        b"level",
        b"logger",
        b"request_id",
        b"instance",
        b"project",
        b"event",
        b"migration",
        b"truncated",
    )
    count = r.choice((0, 1, 2, 3, 4, 6, 47, 48, 49)) if r.random() < 0.1 else r.choice((1, 2, 3, 4, 6))
    members = []
    for number in range(count):
        key = _rarely(r, b'"key%d"' % number, (_odd_key(r),))
        if r.random() < 0.6:
            key = b'"%s"' % _rarely(r, known[(count + 3 * number) % 10] if number < 10 else b"%d" % number, known)
        value = b"true" if key == b'"truncated"' and r.random() < 0.5 else _json(r, 2)
        members.append(_space(r) + key + _space(r) + b":" + _space(r) + value + _space(r))
    end = _weighted(r, ((40, b"}"), (4, b"} "), (1, b"} x"), (1, b",}"), (1, b"")))
    return r.choice((b"@cee: ", b"@cee:", b"@cee: \t")) + b"{" + b",".join(members) + end


def nova_line(r: Chooser) -> bytes:
    logger = r.choice((b"nova.compute.manager", b"_x", b"9nova", b".nova", b"nova-api", b""))
    ids = (b"admin", b"-", b"f463b337d20b5d59db610487c89da11b", b"a@b:c", b"", b'a"b', b"\xc3\xbc")
    context = b"[%s %s %s - - -]" % (
        _request(r),
        _weighted(r, ((3, b"admin"), (2, r.choice(ids)))),
        _weighted(r, ((3, b"demo"), (2, r.choice(ids)))),
    )
    instance = b"[instance: %s] " % _uuid(r) if r.random() < 0.5 else b""
    space = _rarely(r, b" ", (b"", b"  "))
    return (
        logger
        + b" "
        + context
        + space
        + instance
        + _weighted(r, ((4, b"Took 3.2 seconds"), (2, _text_with_ids(r)), (1, b"")))
    )


def damaged(r: Chooser, text: bytes) -> bytes:
    """`text` with up to three bytes or pieces added, taken or changed."""
    changed = bytearray(text)
    for _ in range(r.randint(1, 3)):
        at = r.randint(0, len(changed))
        stop = min(len(changed), at + r.choice((1, 1, 1, 2, 8)))
        kind = r.randrange(5)
        if kind == 0:
            changed[at:at] = r.choice(_PIECES)
        elif kind == 1:
            del changed[at:stop]
        elif kind == 2:
            changed[at:stop] = r.choice(_PIECES)
        elif kind == 3:
            changed[at:at] = changed[at:stop]
        elif r.random() < 0.3:
            del changed[at:]
    return bytes(changed)


_ODD_ZONES = (b"z", b"", b"+24:00", b"+00:60", b"+0100", b"+01", b"~01:00", b"Zx")
_PIECES = (
    *(bytes([each]) for each in b'"\\[]{}:,<>=- \0\n\t09eE.+nu@aZ\x7f\x80\xc3\xff'),
    b"\\u", b"\\ud800", b"\\n", b"[line@32473 ", b'" n="', b"[req-", b"[instance: ", b"@cee:", b"\xc3\xa9", b"\xef\xbb\xbf", b"1 ",
)  # fmt: skip
_ESCAPES = (b"\\n", b"\\t", b"\\r", b"\\b", b"\\f", b'\\"', b"\\\\", b"\\u001f", b"\\u0007", b"\\u001b", b"\\u000b")
"""As Python writes them."""
_OTHER_ESCAPES = (
    b"\\/", b"\\u0041", b"\\u00e9", b"\\u00E9", b"\\u20ac", b"\\ud83d\\ude00", b"\\uD83D\\uDE00", b"\\udbff\\udfff", b"\\u001F",
    b"\\u000a", b"\\u007f", b"\\u0080", b"\\u07ff", b"\\u0800", b"\\uffff", b"\\ud7ff", b"\\ue000",
)  # fmt: skip
_BROKEN_ESCAPES = (
    b"\\ud800", b"\\udfff", b"\\ud83d\\u0041", b"\\ud83dx", b"\\ud83d\\n", b"\\u0000", b"\\x41", b"\\u12", b"\\u00g0", b"\\", b"\\ud83d\\ud83d",
    b"\\ud83d\\ue000", b"\\ud83d\\ude0",
)  # fmt: skip
_NUMBERS = (
    b"0", b"1", b"-7", b"12", b"1.0", b"1.5", b"0.5", b"-0.0", b"0.0", b"-2.25", b"0.001", b"0.0001", b"0.00012", b"123456789012345678",
    b"-999999999999999999", b"12345678901234.5", b"0.12345678901234", b"9007199254740993", b"0.3", b"-0.7",
)  # fmt: skip
_ODD_NUMBERS = (
    b"-0", b"01", b"-01", b"-", b"+1", b"1.50", b"0.00", b"0.00001", b"0.000012", b"1.", b".5", b"1e5", b"1E5", b"1e+5", b"2.5e-7", b"1e999",
    b"-1e999", b"1e-999", b"1234567890123456789", b"123456789012345.5", b"1234567890123456.5", b"0.1234567890123456", b"3.2e",
    b"1x", b"00", b"0.0000", b"1.10", b"10.00", b"1234567890123456.75",
)  # fmt: skip


def _json(r: Chooser, depth: int) -> bytes:
    kind = r.random()
    if kind < 0.5:
        return _string(r)
    if kind < 0.72:
        return b"%d" % r.randint(-(10**6), 10**9) if r.random() < 0.4 else _rarely(r, r.choice(_NUMBERS), _ODD_NUMBERS)
    if kind < 0.85 or not depth:
        return _weighted(
            r,
            (
                (5, b"true"),
                (3, b"false"),
                (3, b"null"),
                (1, _rarely(r, b"true", (b"NaN", b"-Infinity", b"tru", b"True", b"nulll", b""))),
            ),
        )
    separator = _rarely(r, b"," + _space(r), (b"", b",,", b";"))
    count = r.choice((0, 1, 2, 3))
    if kind < 0.92:
        return (
            b"["
            + _space(r)
            + separator.join(_json(r, depth - 1) + _space(r) for _ in range(count))
            + _rarely(r, b"]", (b"}", b"", b",]"))
        )
    members = (
        _rarely(r, b'"k%d"' % number, (_odd_key(r),)) + _space(r) + b":" + _space(r) + _json(r, depth - 1) + _space(r)
        for number in range(count)
    )
    if r.random() < 0.03:
        deep = r.choice((15, 16, 17, 63, 64, 65))
        return b"[" * deep + b"]" * deep
    return b"{" + _space(r) + separator.join(members) + _rarely(r, b"}", (b"]", b"", b",}"))


def _string(r: Chooser) -> bytes:
    pieces = []
    for _ in range(r.choice((0, 1, 1, 2, 3))):
        choices = _weighted(r, ((12, _STRING_TEXTS), (4, _ESCAPES), (2, _OTHER_ESCAPES)))
        pieces.append(_rarely(r, r.choice(choices), (*_BROKEN_ESCAPES, *BROKEN_TEXTS, b"\n", b"\0", b"tab\there")))
    return b'"' + b"".join(pieces) + b'"'


_STRING_TEXTS = (
    b"", b"a", b"spawned", b"INFO", *REQUESTS, *UUIDS, b"x y", b"{", b"[1, 2]", b"a, b : c", b"\x7f", "größer 😀".encode(),
    b"123456789012", b"1234567890123", b"more than twelve bytes", b"'", "\N{LINE SEPARATOR}".encode(), b"\\u001f",
)  # fmt: skip


def _odd_key(r: Chooser) -> bytes:
    return r.choice(
        (
            b'"a"',
            b'"a"',
            b'""',
            b'"message"',
            b'"msg"',
            b'"leval"',
            b'"messag"',
            b'"messages"',
            b'"Level"',
            b'"ev\\u0065nt"',
            b'"x\\udc00"',
            b'"\xc3\xbc"',
            b'"truncate"',
            b'"timestamp_text"',
            b"a",
            b"1",
        )
    )


def _space(r: Chooser) -> bytes:
    return _weighted(r, ((8, b""), (4, b" "), (1, b"\t\n\r "), (1, b"  ")))


def _element(r: Chooser) -> bytes:
    name = _rarely(
        r,
        r.choice((b"a", b"exampleSDID@32473", b"line@32473", b"line@324730")),
        (b"", b"a b", "ü".encode(), b"n" * 255, b"n" * 256, b"\x01"),
    )
    parameters = b"".join(
        b' %s="%s"' % (_rarely(r, b"x", (b"", b"x=", b"n" * 255, b"n" * 256, b'"')), _value(r))
        for _ in range(r.choice((0, 1, 1, 2)))
    )
    return b"[" + name + parameters + _rarely(r, b"]", (b"", b" ]", b"]]"))


def _value(r: Chooser) -> bytes:
    return r.choice(
        (
            *(b"1", b"", b"Application", b"a b", b"812") * 3,
            b'a\\"b',
            b"a\\\\",
            b"a\\]",
            b"a\\x",
            b"[",
            b"]",
            b"\xc3\xbc",
            b"\n",
            b'[line@32473 host=\\"h\\" start=\\"s\\" n=\\"3\\"]',
            b"[line@32473 ",
            b'[line@32473 host="h" start="s" n="3',
            b"\\",
        )
    )


def _bsd_time(r: Chooser) -> bytes:
    month = _rarely(
        r, r.choice((b"Jan", b"Feb", b"Jun", b"Jul", b"Aug", b"Nov", b"Dec")), (b"Okt", b"jan", b"JAN", b"Ma")
    )
    day = r.choice(
        (
            b"%2d" % r.randint(1, 31),
            b"%d" % r.randint(1, 28),
            b"%02d" % r.randint(1, 28),
            b"29",
            _rarely(r, b"11", (b" 0", b"32", b"   1", b"00")),
        )
    )
    clock = b"%02d:%02d:%02d" % (*(_odd_or(r, each) for each in (23, 59, 59)),)
    return (
        month
        + b" "
        + day
        + b" "
        + _rarely(r, clock, (clock[:-1], clock.replace(b":", b".", 1), clock + b".5", b"1:2:3"))
    )


def _tag(r: Chooser) -> bytes:
    pid = (
        b"[%s]"
        % r.choice((b"9", b"812", b"p" * 128, b"[", _rarely(r, b"7", (b"", b"1 2", b"p" * 129, b"\xc3\xbc", b"\x01"))))
        if r.random() < 0.5
        else b""
    )
    return _word(r) + pid + _rarely(r, b":", (b"", b"::", b" :"))


def _text(r: Chooser) -> bytes:
    return b"".join(_rarely(r, r.choice(TEXTS), BROKEN_TEXTS) for _ in range(r.choice((1, 1, 2))))


def _text_with_ids(r: Chooser) -> bytes:
    user_and_project = r.choice(
        (
            b"",
            b" admin demo",
            b" admin demo - - -",
            b" - -",
            b" admin -",
            b" admin",
            b"  demo",
            b" a b\x01",
            b" a [b",
            b" a ]",
            "ü ü".encode(),
            b" a b" + b"\xc3\xbc",
        )
    )
    request = b"[%s%s]" % (_request(r), user_and_project)
    instance = b"[instance: %s]" % _uuid(r)
    pieces = [
        r.choice((request, instance, b"[" + r.choice(TEXTS), r.choice(TEXTS), b" ", b"x"))
        for _ in range(r.randint(1, 4))
    ]
    return b"".join(pieces)


def _request(r: Chooser) -> bytes:
    return _rarely(
        r,
        r.choice(REQUESTS),
        (
            b"req-1",
            REQUESTS[0][:-1],
            REQUESTS[0] + b"0",
            REQUESTS[1].replace(b"-", b"_"),
            b"REQ-" + UUIDS[0],
            b"req-" + b"g" + UUIDS[0][1:],
        ),
    )


def _uuid(r: Chooser) -> bytes:
    return _rarely(r, r.choice(UUIDS), (UUIDS[0][:-1], UUIDS[0] + b"0", UUIDS[0].replace(b"-", b" "), b"", b"x" * 36))


def _nil_or(r: Chooser, made: Callable[[Chooser], bytes]) -> bytes:
    return b"-" if r.random() < 0.2 else made(r)


def _word(r: Chooser) -> bytes:
    return r.choice(WORDS) if r.random() < 0.3 else r.choice(WORDS[:8])


def _other(r: Chooser) -> bytes:
    return r.choice(
        (
            b"",
            b"\0",
            b"just text",
            b"<13>",
            b"<13>1",
            b"<13>1 ",
            b"\xff\xfe",
            b"<13>2 - - - - - - x",
            b"13>1 - - - - - -",
        )
    )


def _odd_or(r: Chooser, highest: int) -> int:
    return highest + 1 if r.random() < 0.015 else r.choice((0, r.randint(0, highest), highest))


def _nothing(_: Chooser) -> bytes:
    return b""


def _rarely(r: Chooser, usual: bytes, odd: Sequence[bytes]) -> bytes:
    return r.choice(odd) if r.random() < 0.015 else usual


def _weighted(r: Chooser, choices: Sequence[tuple[int, T]]) -> T:
    at = r.randrange(sum(weight for weight, _ in choices))
    for weight, value in choices:
        at -= weight
        if at < 0:
            return value
    raise AssertionError("a place outside of the weights")


def _edges() -> Iterator[bytes]:
    """Plain messages, each with one thing in it that is just so, or just not, as it should be."""
    yield from (b"<13>1 %s h a - - - m" % time for time in _EDGE_TIMES)
    yield from (b"<13>%s h a[1]: m" % time for time in _EDGE_BSD_TIMES)
    for length in (46, 47, 48, 49, 126, 127, 128, 129, 253, 254, 255, 256):
        yield from (around % (b"w" * length) for around in _EDGE_WORDS)
    for place in range(5):
        for word in (b"", b" ", b"\t", b"\v", b"\f", b"\x08", b"\x0e", b"\x1f", b"x\x1f", b"--", b"\x7f"):
            words = [b"-", b"h", b"a", b"7", b"-", b"-"]
            words[place] = word
            yield b"<%d>1 %s m" % (185 + 2 * place, b" ".join(words))
    for text in BROKEN_TEXTS + TEXTS:
        for behind in (b"", b"x", b"\x80"):
            yield b"<13>1 - h a - - - x" + text + behind
            yield b"\x80\x80"  # what must not be taken for the end of the message before
    for number in (
        b"0",
        b"1",
        b"01",
        b"9" * 17,
        b"9" * 18,
        b"9" * 19,
        b"9223372036854775807",
        b"9223372036854775808",
        b"-1",
        b"",
    ):
        for host in (b"compute-01", b"compute-02", b"", b"h" * 255, b"h" * 256):
            yield b'<13>1 - compute-01 a - - [line@32473 host="%s" start="6f1c" n="%s"] m' % (host, number)
    for context in _EDGE_CONTEXTS:
        for instance in (
            b"",
            b"[instance: %s]",
            b"[instance: %s] ",
            b"[instance: %s] m [instance: x] ",
            b"[instance: %s0] ",
            b"[instance:%s] ",
        ):
            yield b"<13>1 - h a - - - " + context % REQUESTS[1] + (instance % UUIDS[0] if instance else b"")
    values = [*_NUMBERS, *_ODD_NUMBERS, b"9" * 4000, b"9" * 5000, b"true", b"false", b"null", b"[]", b"{}", b'""']
    values += [b'"%s"' % escape for escape in _ESCAPES + _OTHER_ESCAPES + _BROKEN_ESCAPES]
    values += [b'"a%cb"' % character for character in (0, 9, 10, 31, 32, 33, 47, 93, 127)]
    members = [around % value for around in _EDGE_VALUES for value in values]
    yield from (b"<13>1 - h a - - - @cee: {%s}" % member for member in (*members, *_EDGE_MEMBERS))


EDGES = tuple(_edges())
