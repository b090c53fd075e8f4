"""Redaction at the collector: what emit's rules and an operator's patterns take out of parsed messages."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.logs.collector import redaction
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.columns.signs import compile_signs
from cloud.logs.collector.columns.text_column import TextColumn, search
from cloud.logs.collector.redaction import MAX_TEXT_CHARS, TEXTS, WITHHELD, Redacted, Redactor
from cloud.logs.collector.redaction_patterns import MAX_PATTERN_CHARS, MAX_PATTERNS, Patterns
from cloud.logs.collector.rfc5424 import map_parameters
from cloud.logs.collector.row import FOLDED, RECEIVED, SEPARATOR
from cloud.logs.collector.settings import SettingsError, load_settings
from cloud.logs.emit.redact import SIGNS, redact_fields, redact_text
from tests.collector.batches import batch_of
from tests.collector.test_collector_process import Collector
from tests.emit.redaction_corpus import LEAKS, LOOK_ALIKES
from tests.waiting import wait_until

CARD = "4111111111111111"
CARD_PATTERN = r"(?i)card[=: ]+(\d{13,16})"


@pytest.fixture(scope="module")
def by_rules() -> Redactor:
    return Redactor(defaults=True)


def redacted(redactor: Redactor, *payloads: bytes) -> tuple[list[dict[str, Any]], Redacted]:
    """The rows of these messages, redacted."""
    made = redactor.redact(parsed(*payloads))
    return rows_of(made.table), made


def parsed(*payloads: bytes) -> pa.Table:
    return BatchParser().read(batch_of(*payloads)).table


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """As the store reads them, which is DuckDB."""
    with duckdb.connect() as connection:
        connection.register("redacted", table)
        times = "epoch_us(timestamp) AS timestamp, epoch_us(observed_timestamp) AS observed_timestamp"
        found = connection.execute(f"SELECT * REPLACE ({times}) FROM redacted")  # noqa: S608 - a constant
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def plain_5424(text: str) -> bytes:
    return b"<134>1 2027-01-15T12:00:00Z compute-01 nova-api 81 - - " + text.encode()


def plain_3164(text: str) -> bytes:
    return b"<134>Jan 15 12:00:00 compute-01 nova-api[81]: " + text.encode()


def cee_message(text: str) -> bytes:
    return b"<134>1 - compute-01 nova-api 81 - - @cee: " + json.dumps({"message": text, "n": 1}).encode()


def cee_field(text: str) -> bytes:
    return b"<134>1 - compute-01 nova-api 81 - - @cee: " + json.dumps({"message": "m", "said": {"by": [text]}}).encode()


def structured(text: str) -> bytes:
    escaped = re.sub(r'(["\\\]])', r"\\\1", text)
    return f'<134>1 - compute-01 nova-api 81 - [x@1 said="{escaped}" n="1"][y@1] m'.encode()


def shown(name: str, row: dict[str, Any]) -> str:
    """The text of a message as it is in its row."""
    if name == "fields":
        return str(json.loads(row["fields"])["said"]["by"][0])
    if name == "structured_data":
        values: list[str] = []

        def collect(parameters: list[tuple[str, str]]) -> list[str]:
            values.extend(value for _, value in parameters)
            return [value for _, value in parameters]

        assert map_parameters(row[name], collect) == row[name]
        assert values[1] == "1"
        return values[0]
    return str(row[name])


FORMS = [
    pytest.param(plain_5424, "message", id="RFC 5424"),
    pytest.param(plain_3164, "message", id="RFC 3164"),
    pytest.param(cee_message, "message", id="the message of a JSON body"),
    pytest.param(cee_field, "fields", id="a field of a JSON body"),
    pytest.param(structured, "structured_data", id="structured data"),
]


class TestRules:
    @pytest.mark.parametrize(("form", "name"), FORMS)
    def test_every_known_secret_goes_and_what_stood_around_it_stays(
        self, by_rules: Redactor, form: Any, name: str
    ) -> None:
        rows, made = redacted(by_rules, *(form(leak.text) for leak in LEAKS))
        assert (made.redacted, made.withheld) == (len(LEAKS), 0)
        for leak, row in zip(LEAKS, rows, strict=True):
            assert shown(name, row) == leak.redacted

    @pytest.mark.parametrize(("form", "name"), FORMS)
    def test_every_look_alike_stays_as_it_was_received(self, by_rules: Redactor, form: Any, name: str) -> None:
        texts = [text for text in LOOK_ALIKES if text]
        before = parsed(*map(form, texts))
        made = by_rules.redact(before)
        assert (made.redacted, made.withheld) == (0, 0)
        assert made.table is before
        assert [shown(name, row) for row in rows_of(made.table)] == texts

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"password": "x7x", "user": "nova"}, {"password": "***", "user": "nova"}),
            ({"adminPass": 31337, "up": True, "token": None}, {"adminPass": "***", "up": True, "token": None}),
            ({"item": {"name": "admin_pass", "value": "x7x"}}, {"item": {"name": "admin_pass", "value": "***"}}),
            ({"argv": ["nova", "--os-password", "x7x"]}, {"argv": ["nova", "--os-password", "***"]}),
            ({"Cookie": "a=b", "authorization": "x", "\u00e4\"\n": "token=x7x"}, {"Cookie": "***", "authorization": "***", "\u00e4\"\n": "token=***"}),
            ({"signature": "fe01", "share": 0.5}, {"signature": "***", "share": 0.5}),
        ],
    )  # fmt: skip
    def test_values_under_secret_names_are_masked_and_fields_stay_an_object(
        self, by_rules: Redactor, fields: dict[str, object], expected: dict[str, object]
    ) -> None:
        [row], _ = redacted(by_rules, b"<13>1 - h a - - - @cee: " + json.dumps(fields | {"message": "m"}).encode())
        assert json.loads(row["fields"]) == expected

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ('[a@1 password="x7x" user="n"]', '[a@1 password="***" user="n"]'),
            (r'[a@1 token="x\"7\]x"][b c="d"]', '[a@1 token="***"][b c="d"]'),
            (r'[a@1 said="it\"s password=x7x" q="\]"]', r'[a@1 said="it\"s password=***" q="\]"]'),
            ('[a@1 name="password" value="x7x"]', '[a@1 name="password" value="***"]'),
            ('[a@1 ip="1" ip="2" pwd="x7x"]', '[a@1 ip="1" ip="2" pwd="***"]'),
        ],
    )
    def test_parameters_under_secret_names_are_masked_and_the_elements_stay(
        self, by_rules: Redactor, data: str, expected: str
    ) -> None:
        [row], _ = redacted(by_rules, f"<13>1 - h a - - {data} m".encode())
        assert row["structured_data"] == expected

    @pytest.mark.parametrize(
        ("payload", "expected"),
        [
            (b"<13>password: x7x", {"app_name": "password", "message": "***"}),
            (b"<13>Jan 15 12:00:00 h password: x7x and so on", {"hostname": "h", "app_name": "password", "message": "*** and so on"}),
            (b"<13>Jan 15 12:00:00 password = x7x", {"hostname": "password", "message": "= ***"}),
            (b"<13>Jan 15 12:00:00 password=x7x failed", {"hostname": "password=***", "message": "failed"}),
            (b"<13>1 - h a token=x7x secret=y8y - m", {"procid": "token=***", "msgid": "secret=***"}),
            (b'<13>1 - h a - - - @cee: {"event": "token=x7x", "instance": "pwd=y8y", "level": "INFO"}', {"event": "token=***", "instance": "pwd=***", "level": "INFO"}),
            (b"<13>Jan 15 12:00:00 h passwd[7]: x7x changed", {"app_name": "passwd", "message": "x7x changed"}),
            (b"no priority but a password=x7x", {"message": "no priority but a password=***"}),
            (b'<13>1 - h a - - - @cee: {"password": "x7x', {"message": '@cee: {"password": "***'}),
        ],
    )  # fmt: skip
    def test_a_secret_goes_from_the_other_texts_of_a_row(
        self, by_rules: Redactor, payload: bytes, expected: dict[str, str]
    ) -> None:
        [row], _ = redacted(by_rules, payload)
        assert {name: row[name] for name in expected} == expected
        assert row["header"].split(SEPARATOR) == [row[name] or "" for name in FOLDED]

    def test_numbers_order_and_flags_are_not_touched(self, by_rules: Redactor) -> None:
        line = b'<13>1 2027-01-15T12:00:00Z h a - - [line@32473 host="h" start="token=%d" n="%d"] %s'
        payloads = [line % (7, n, b"password=x7x" if n % 3 else b"nothing") for n in range(1, 50)]
        rows = BatchParser().read(batch_of(*payloads))
        before, made = rows_of(rows.table), by_rules.redact(rows.table)
        after = rows_of(made.table)
        assert made.redacted == 33
        for old, new in zip(before, after, strict=True):
            assert {k: v for k, v in old.items() if k != "message"} == {k: v for k, v in new.items() if k != "message"}
        assert [row["sequence"] for row in after] == list(range(1, 50))
        assert made.table.schema == rows.table.schema

    def test_a_text_that_takes_too_long_is_withheld_and_one_without_a_trigger_is_not(self, by_rules: Redactor) -> None:
        long = b"<13>1 - h a - - - " + b"x" * MAX_TEXT_CHARS
        rows, made = redacted(by_rules, long + b" password=x7x", long, b"<13>1 - h a - - - password=x7x")
        assert [row["message"] for row in rows] == [WITHHELD, long[18:].decode(), "password=***"]
        assert (made.redacted, made.withheld) == (1, 1)

    @given(st.lists(st.sampled_from([trigger for triggers, needs in SIGNS for trigger in (*triggers, *needs)] + [" ", "x", "=", "'", '"', "é", "PASS", "a1", "\n"]), max_size=12).map("".join))  # fmt: skip
    def test_what_the_rules_change_is_found_by_the_search(self, text: str) -> None:
        if redact_text(text) != text or redact_fields({text: "x"}) != {text: "x"}:
            assert found([None, text, "-"]) == [1]
        assert redaction._text_by_rules(text) == redact_text(text)

    @pytest.mark.parametrize("at", range(20))
    def test_a_sign_is_found_wherever_it_stands(self, at: int) -> None:
        for triggers, needs in SIGNS:
            for trigger in triggers:
                for text in (
                    "." * at + trigger + "".join(needs),
                    "".join(needs) + "." * at + trigger.upper(),
                    " " + trigger + "." * at + "".join(needs),
                ):
                    assert found([text, "-", text]) == [0, 2], text


SEARCH = compile_signs(SIGNS)


def found(texts: list[str | None]) -> list[int]:
    """The rows in which the search finds a sign."""
    column = TextColumn(pa.array(texts, pa.string_view()))
    return search([column] * len(redaction._SEARCHED), SEARCH)[3]


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "text", "expected"),
        [
            (CARD_PATTERN, "Card: 4111111111111111, card=5111111111111111", "Card: ***, card=***"),
            (r"\b\d{16}\b", "paid 4111111111111111 4111111111111112", "paid *** ***"),
            (r"pin=(?:old )?(\d+) for (\w+)", "pin=old 1234 for nova", "pin=old *** for nova"),
            (r"pass=(pass)", "pass=pass", "pass=***"),
            (r"(?P<iban>DE(\d\d)(\d{4}))x", "DE123456x", "***x"),
            (r"[(]x[])|]=(\w+)\)", "(x|=y)", "(x|=***)"),
            (r"\Qa(b\E(c+)$", "a(bccc", "a(b***"),
            (r"^key (\w+)", "key abc key abc", "key *** key abc"),
        ],
    )
    def test_the_first_group_is_masked_or_all_that_matches(self, pattern: str, text: str, expected: str) -> None:
        [row], made = redacted(Redactor(defaults=False, patterns=[pattern]), plain_5424(text))
        assert row["message"] == expected
        assert (made.redacted, made.withheld) == (1, 0)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"said": f'a "card=\n{CARD}"', "n": 1}, {"said": f'a "card=\n{CARD}"', "n": 1}),
            ({"said": f'a "card={CARD}"', "n": 1}, {"said": 'a "card=***"', "n": 1}),
            ({"deep": [{"x": [f"card {CARD}"]}], "n": 1.5}, {"deep": [{"x": ["card ***"]}], "n": 1.5}),
            ({f"card={CARD}": None}, {"card=***": None}),
        ],
    )
    def test_fields_stay_an_object(self, fields: dict[str, object], expected: dict[str, object]) -> None:
        redactor = Redactor(defaults=False, patterns=[CARD_PATTERN])
        [row], _ = redacted(redactor, b"<13>1 - h a - - - @cee: " + json.dumps(fields | {"message": "m"}).encode())
        assert json.loads(row["fields"]) == expected

    def test_a_value_is_hidden_whole_where_its_name_is_part_of_the_match(self) -> None:
        redactor = Redactor(defaults=False, patterns=[r'"pin":"?(\d+)', r'pin="(\d+)'])
        rows, _ = redacted(
            redactor,
            b'<13>1 - h a - - [x@1 pin="1234" n="5"] @cee: {"message": "m", "pin": 1234, "inner": {"pin": "5"}}',
        )
        assert json.loads(rows[0]["fields"]) == {"pin": "***", "inner": {"pin": "***"}}
        assert rows[0]["structured_data"] == '[x@1 pin="***" n="5"]'

    @pytest.mark.parametrize("pattern", [r"^tel(\d+)$", r"tel\"(\d+)"])
    def test_a_piece_of_the_fields_has_its_own_begin_and_end_and_no_escapes(self, pattern: str) -> None:
        text = "tel77" if "^" in pattern else 'tel"77'
        redactor = Redactor(defaults=False, patterns=[pattern])
        [row], _ = redacted(redactor, b"<13>1 - h a - - - @cee: " + json.dumps({"message": "m", "a": text}).encode())
        assert json.loads(row["fields"]) == {"a": text.replace("77", "***")}

    def test_patterns_and_rules_go_together(self) -> None:
        redactor = Redactor(defaults=True, patterns=[CARD_PATTERN])
        rows, made = redacted(
            redactor, plain_5424(f"password=x7x card={CARD}"), plain_3164("nothing"), plain_3164(f"card {CARD}")
        )
        assert [row["message"] for row in rows] == ["password=*** card=***", "nothing", "card ***"]
        assert made.redacted == 2

    @pytest.mark.parametrize("name", ["hostname", "app_name", "procid", "msgid"])
    def test_patterns_hold_for_all_texts(self, name: str) -> None:
        parts = ["SSN123" if name == each else each for each in ("hostname", "app_name", "procid", "msgid")]
        [row], _ = redacted(
            Redactor(defaults=False, patterns=["SSN([0-9]+)"]), f"<13>1 - {' '.join(parts)} - m".encode()
        )
        assert row[name] == "SSN***"
        assert row["header"].split(SEPARATOR) == [row[each] or "" for each in FOLDED]


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("patterns = ['ok', '(?<=x)y']", r"redaction.patterns.1: RE2 does not take it: invalid perl operator: \(\?< \(not '\(\?<=x\)y'\)"),
            ("patterns = ['a(b']", r"redaction.patterns.0: RE2 does not take it: missing \): a\(b"),
            ("patterns = ['(a)\\1']", "redaction.patterns.0: RE2 does not take it: invalid escape"),
            ("patterns = ['x*']", "redaction.patterns.0: it matches where there is nothing"),
            (r"patterns = ['\b']", "redaction.patterns.0: it matches where there is nothing"),
            ("patterns = ['a(b)|c']", "redaction.patterns.0: its group may be left out"),
            ("patterns = ['a(?:(b)|c)']", "redaction.patterns.0: its group may be left out"),
            ("patterns = ['a(b)?']", "redaction.patterns.0: its group may be left out"),
            ("patterns = ['a(?i)(b)']", "redaction.patterns.0: with a group, flags"),
            ("patterns = ['']", "redaction.patterns.0: a pattern has 1 to 500 characters"),
            (f"patterns = ['{'a' * (MAX_PATTERN_CHARS + 1)}']", "redaction.patterns.0: a pattern has 1 to 500 characters, this one 501"),
            (f"patterns = {['a'] * (MAX_PATTERNS + 1)}", "redaction: there are at most 32 patterns, not 33"),
            ("patterns = 'a'", "redaction.patterns: "),
            ("patterns = [5]", "redaction.patterns.0: "),
            ("defaults = 'yes'", "redaction.defaults: .*not 'yes'"),
            ("default = true", "redaction.default: Extra inputs"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_used_is_named_with_its_place(self, tmp_path: Path, text: str, message: str) -> None:
        file = tmp_path / "collector.toml"
        file.write_text(f"[redaction]\n{text}\n")
        with pytest.raises(SettingsError, match=f"cannot use settings {file}: {message}"):
            load_settings(file)

    def test_without_a_table_or_with_an_empty_one_there_is_nothing_on_the_path(self, tmp_path: Path) -> None:
        file = tmp_path / "collector.toml"
        file.write_text("[redaction]\ndefaults = false\npatterns = []\n")
        assert load_settings(None).redactor() is None
        assert load_settings(file).redactor() is None

    def test_as_many_and_as_long_patterns_as_may_be_are_taken(self) -> None:
        Patterns([f"{number:02}" + "a" * (MAX_PATTERN_CHARS - 2) for number in range(MAX_PATTERNS)])


class Failing:
    """Fails on texts with `bad` in them, as often as it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, text: str) -> str:
        self.calls += 1
        if "bad" in text:
            raise self.error
        return redact_text(text)


def payloads(bad: int) -> Iterator[bytes]:
    for number in range(40):
        said = b"bad" if number == bad else b"good"
        yield b'<13>1 - h a - - [line@32473 host="h" start="s" n="%d"] password=x7x %s' % (number + 1, said)


class TestFailures:
    @pytest.mark.parametrize("error", [MemoryError(), RecursionError(), ValueError("password=x7x")])
    def test_a_row_that_fails_is_withheld_and_the_rest_is_redacted(
        self, by_rules: Redactor, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(redaction, "redact_text", Failing(error))
        rows, made = redacted(by_rules, *payloads(bad=17))
        self.check(rows, made)

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("password=x7x")])
    def test_an_engine_that_fails_is_narrowed_down_by_halves(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        redactor = Redactor(defaults=True, patterns=["x7x|good|bad"])
        apply = Patterns.apply

        def fail(patterns: Patterns, texts: list[str]) -> list[str | None]:
            if any("bad" in text for text in texts):
                raise error
            return apply(patterns, texts)

        monkeypatch.setattr(Patterns, "apply", fail)
        rows, made = redacted(redactor, *payloads(bad=17))
        self.check(rows, made, said="***")

    def test_a_text_that_grows_without_end_is_withheld(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cloud.logs.collector.redaction_patterns.MAX_TEXT_BYTES", 400)
        redactor = Redactor(defaults=False, patterns=["[q*]", "[q*]"])
        rows, made = redacted(redactor, plain_5424("q" * 200), plain_5424("b"), plain_5424("q"))
        assert [row["message"] for row in rows] == [WITHHELD, "b", "*********"]
        assert (made.redacted, made.withheld) == (1, 1)

    def check(self, rows: list[dict[str, Any]], made: Redacted, said: str = "good") -> None:
        assert (made.redacted, made.withheld) == (39, 1)
        assert [row["sequence"] for row in rows] == list(range(1, 41))
        for number, row in enumerate(rows):
            if number == 17:
                kept = {"message": WITHHELD, "peer": "192.0.2.7", "host_start": "s"}
                assert {name: row[name] for name in (*TEXTS, "peer", "host_start") if row[name] is not None} == kept
                assert row["header"] == SEPARATOR.join(kept.get(name, "") for name in FOLDED)
            else:
                assert row["message"] == f"password=*** {said}"
                assert row["hostname"] == "h"
        names = [column.name for column in RECEIVED]
        assert made.table.column_names[: len(names)] == names


WORDS = st.sampled_from(
    [
        "pass",
        "key",
        "private key",
        "PGP PRIVATE KEY BLOCK",
        "-----BEGIN ",
        "-----",
        "password",
        "=",
        ": ",
        " ",
        "x7y8z9",
        "all",
    ]
)


@given(st.lists(WORDS, max_size=12).map("".join))
def test_a_text_becomes_what_the_services_rules_make_of_it(text: str) -> None:
    assert redaction._text_by_rules(text) == redact_text(text)


def test_a_pattern_sees_what_the_older_format_takes_for_a_tag_or_a_host() -> None:
    redactor = Redactor(defaults=False, patterns=[CARD_PATTERN, r"^secret (\w+)"])
    lines = (b"<13>Jan 15 12:00:00 h card: " + CARD.encode(), b"<13>Jan 15 12:00:00 secret x7y8z9")
    rows, made = redacted(redactor, *lines, b"<13>Jan 15 12:00:00 h nova-api[3]: all is well")
    assert made.redacted == 2
    assert [row["message"] for row in rows] == ["***", "***", "all is well"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"card: {CARD}, card={CARD}", "***, card=***"),
        (f"card: {CARD} SSN123", "*** SSN***"),
        (f"card: {CARD} declined for nova", "*** declined for nova"),
        ("SSN123: all is well", "all is well"),
        ("pin: 1234 of SSN123", "***"),
        ("nova: abc abc", "*** abc"),
    ],
)
def test_a_message_shows_nothing_that_a_pattern_hides_with_its_tag_or_without_it(text: str, expected: str) -> None:
    redactor = Redactor(defaults=False, patterns=[CARD_PATTERN, r"SSN(\d+)", r"pin: \d+", "^(abc)"])
    [row], _ = redacted(redactor, f"<13>Jan 15 12:00:00 h {text}".encode())
    assert row["message"] == expected


def test_structured_data_with_a_name_that_comes_twice_hides_a_value_by_the_name_in_front_of_it(
    by_rules: Redactor,
) -> None:
    sd = '[x name="user" value="u" name="password" value="s3cretx7" key="token" value="t0ken99" password="p9x8" n="1"]'
    [row], made = redacted(by_rules, f"<13>1 - h a - - {sd} m".encode())
    expected = sd.replace("s3cretx7", "***").replace("t0ken99", "***").replace("p9x8", "***")
    assert (row["structured_data"], made.redacted) == (expected, 1)


@pytest.mark.parametrize(
    "data",
    [
        '[x name="user" value="u" name="password" type="s" value="x7x"]',
        '[x value="x7x" name="password" value="u" name="user"]',
        '[x value="u" name="user" value="x7x" name="password"]',
        '[x value="x7x" name="password" n="1" n="2"]',
        '[x name="password" value="x7x" value="x7x"]',
        '[x value="x7x" name="password" value="x7x"]',
        '[x key="a" name="password" value="x7x" key="b"]',
        '[x name="password" value="" name="user" value="u"]',
    ],
)
def test_a_name_and_its_value_are_found_in_either_order_where_names_come_twice(by_rules: Redactor, data: str) -> None:
    [row], _ = redacted(by_rules, f"<13>1 - h a - - {data} m".encode())
    assert row["structured_data"] == data.replace("x7x", "***")


def test_patterns_are_given_some_thousand_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "PATTERN_ROWS", 2)
    redactor = Redactor(defaults=False, patterns=[CARD_PATTERN])
    lines = [f"<13>1 - h a - - - card={CARD} {n}".encode() for n in range(5)]
    rows, made = redacted(redactor, *lines)
    assert [row["message"] for row in rows] == [f"card=*** {n}" for n in range(5)]
    assert made.redacted == 5


def test_secrets_are_nowhere_in_the_data_directory_of_a_real_collector(tmp_path: Path) -> None:
    settings = tmp_path / "collector.toml"
    settings.write_text(f"[redaction]\ndefaults = true\npatterns = ['{CARD_PATTERN}']\n")
    secrets = [f"qzx{number}zqxsecret" for number in range(6)] + [CARD]
    lines = [
        plain_5424(f"password={secrets[0]}"),
        plain_3164(f"mysql://nova:{secrets[1]}@host/nova"),
        b"<13>1 - h a - - - @cee: " + json.dumps({"message": f"token={secrets[2]}", "adminPass": secrets[3]}).encode(),
        f'<13>1 - h a - - [x@1 pwd="{secrets[4]}"] m'.encode(),
        f"<13>Jan 15 12:00:00 h password: {secrets[5]}".encode(),
        plain_5424(f"card {CARD} declined"),
        plain_5424("an ordinary line"),
    ]
    with Collector(tmp_path / "data", "--config", str(settings)) as collector:
        with socket.create_connection(("127.0.0.1", collector.syslog_port)) as sender:
            sender.sendall(b"".join(line + b"\n" for line in lines))
        wait_until(lambda: len(collector.rows()) == len(lines), what="the rows")
        text = json.dumps(collector.rows())
        metrics = collector.http.get("/metrics").text
        assert collector.metric("redaction_redacted_total") == 6
        assert collector.metric("redaction_withheld_total") == 0
        live = b"".join(path.read_bytes() for path in collector.data.rglob("*") if path.is_file())
        assert b"ordinary line" in live, "the write-ahead log is where a secret would be read"
        assert collector.stop() == 0
        stopped = b"".join(path.read_bytes() for path in collector.data.rglob("*") if path.is_file())
        assert collector.process.stderr is not None
        said = collector.process.stderr.read()
    assert "an ordinary line" in text
    assert text.count("***") == 7
    for secret in secrets:
        assert secret not in text + metrics + said
        assert secret.encode() not in live + stopped


def test_a_slice_is_redacted_as_that_slice(by_rules: Redactor) -> None:
    """Its nulls and views begin in the middle of a byte and of a buffer."""
    lines = [
        cee_field("password=x7x") if n in {5, 8} else plain_3164("token=x7x" if n == 6 else str(n)) for n in range(19)
    ]
    table = parsed(*lines).slice(3, 7)
    rows, before = rows_of(by_rules.redact(table).table), rows_of(table)
    assert [row["message"] for row in rows] == ["3", "4", "m", "token=***", "7", "m", "9"]
    said = '{"said":{"by":["password=***"]}}'
    assert [row["fields"] for row in rows] == [None, None, said, None, None, said, None]
    changed = ("message", "fields")
    assert [{k: v for k, v in row.items() if k not in changed} for row in rows] == [
        {k: v for k, v in row.items() if k not in changed} for row in before
    ]
