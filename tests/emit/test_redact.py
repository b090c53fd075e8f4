import datetime
import html
import json
import uuid
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.logs.emit import redact
from cloud.logs.emit.redact import MARK, MAX_DEPTH, MAX_VALUES, redact_fields, redact_text
from tests.emit.redaction_corpus import LEAKS, LOOK_ALIKES, Leak

HOSTILE_CHARS = 250_000

# What texts with secrets are made of; anything built from these must come through.
NAMES = [
    "password",
    "token",
    "X-Auth-Token",
    "adminPass",
    "secret_key",
    "pwd",
    "Authorization",
    "Cookie",
    "id",
    "value",
]
WORDS = ["mysql", "-p", "--", "None", "***", "x7", "is", "Bearer ", "a" * 30 + "1", "\\n", "\\r\\n", " ", "\n"]
QUOTES = ["'", '"', '\\"', "\\", "\\\\", "&quot;", "u'", "''", "`"]
MARKS = [*"=:|,;&{}[]()<>/@.", ": ", "=>", "%3D", "%26", "</", "://"]
PEM_LINES = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"]
FRAGMENTS = st.sampled_from(NAMES + WORDS + QUOTES + MARKS + PEM_LINES)


class TestText:
    @pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.text[:60])
    def test_secret_goes_and_what_stood_around_it_stays(self, leak: Leak) -> None:
        assert redact_text(leak.text) == leak.redacted
        assert all(secret in leak.text for secret in leak.secrets)
        assert not any(secret in leak.redacted for secret in leak.secrets)

    @pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.text[:60])
    def test_secret_goes_from_the_middle_of_a_longer_text(self, leak: Leak) -> None:
        redacted = redact_text(f"10.0.0.5 says: \n{leak.text}\n and goes on")
        assert not any(secret in redacted for secret in leak.secrets)

    @pytest.mark.parametrize("text", LOOK_ALIKES)
    def test_look_alike_stays(self, text: str) -> None:
        assert redact_text(text) == text

    @pytest.mark.parametrize("text", [leak.text for leak in LEAKS] + list(LOOK_ALIKES))
    def test_redacting_twice_changes_nothing_more(self, text: str) -> None:
        once = redact_text(text)
        assert redact_text(once) == once

    def test_corpus_is_large_enough_to_mean_something(self) -> None:
        assert len(LEAKS) >= 50
        assert len(LOOK_ALIKES) >= 50

    @given(st.text())
    def test_any_text_comes_through(self, text: str) -> None:
        assert len(redact_text(text)) <= (len(MARK) + 1) * (len(text) + 1)

    @given(st.lists(FRAGMENTS, max_size=24).map("".join))
    def test_text_made_of_what_secrets_stand_in_comes_through_no_longer_than_linear(self, text: str) -> None:
        assert len(redact_text(text)) <= (len(MARK) + 1) * (len(text) + 1)

    @given(st.lists(FRAGMENTS, max_size=24).map("".join))
    def test_redacting_any_text_twice_changes_nothing_more(self, text: str) -> None:
        once = redact_text(text)
        assert redact_text(once) == once

    @pytest.mark.parametrize(
        "show",
        [
            lambda secret: json.dumps({"adminPass": secret, "name": "vm"}),
            lambda secret: repr({"adminPass": secret, "name": "vm"}),
            lambda secret: repr({"adminPass": secret.encode(), "name": "vm"}),
            lambda secret: json.dumps({"body": json.dumps({"adminPass": secret, "name": "vm"})}),
            lambda secret: json.dumps({"body": repr({"adminPass": secret, "name": "vm"})}),
            lambda secret: repr({"body": json.dumps({"adminPass": secret, "name": "vm"})}),
            lambda secret: html.escape(json.dumps({"adminPass": secret, "name": "vm"})),
            lambda secret: f"<adminPass>{html.escape(secret)}</adminPass>",
            lambda secret: f"<server adminPass={quoteattr(secret)}/>",
            lambda secret: "GET /vnc_auto.html?" + urlencode({"token": secret, "x": "1"}),
            lambda secret: f"mysql://nova:{quote(secret, safe='')}@host/nova",
        ],
        ids=[
            "json",
            "repr",
            "bytes",
            "json in json",
            "repr in json",
            "json in repr",
            "html",
            "xml",
            "attribute",
            "query",
            "url",
        ],
    )
    @given(
        st.text(
            alphabet=st.sampled_from("\"'\\,;@&{}[]() =:<>/%\n|.`$#") | st.characters(exclude_categories=["Cs"]),
            max_size=12,
        )
    )
    def test_secret_goes_whatever_it_is_made_of(self, show: Callable[[str], str], secret: str) -> None:
        text = show(f"QZX{secret}ZQX")
        assert "QZX" in text
        redacted = redact_text(text)
        assert "QZX" not in redacted
        assert "ZQX" not in redacted


class TestHostileText:
    """A quarter megabyte against every pattern: one that backtracks would not come back while anybody waits."""

    @pytest.mark.parametrize(
        "unit",
        [
            "-----BEGIN PRIVATE KEY----- ",
            "://",
            "://a:b@",
            ",a:b@c:1",
            "%3A%2F%2Fa%3A",
            "authorization: ",
            "authorization: Digest a'",
            "bearer a1 ",
            "cookie: a'b ",
            'token":{',
            'token":{a{}',
            "<token a ",
            "field/attribute a.password ",
            "<password ",
            "<password>]",
            "password",
            "password='a",
            'password:\\"\\',
            "password=a,b",
            "password=\\\\",
            "--password-",
            "--a-password ",
            "mysql ",
            "curl -u ",
            "['password', 'a' ",
            "['password', \"a",
            "['password', \u201ca",
            "a:b chpasswd ",
            "identified by ",
            "password is ",
            "token a1 ",
            "eyJaaaaaaaaa.",
            "gAAAAA-",
            "AQ==",
            " ",
            "'",
            "\\",
        ],
    )
    def test_long_text_is_read_to_its_end(self, unit: str) -> None:
        triggers = " ".join(trigger for rule in redact._RULES for trigger in rule.triggers)
        text = unit * (HOSTILE_CHARS // len(unit)) + " " + triggers + " password='x7x' "
        assert "x7x" not in redact_text(text)

    def test_long_run_of_backslashes_in_a_quoted_secret_is_read_to_its_end(self) -> None:
        assert redact_text('password:\\"' + "\\" * HOSTILE_CHARS) == 'password:\\"***'


Point = namedtuple("Point", ["name", "password"])


@dataclass
class Connection:
    user: str
    password: str


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class TestFields:
    @pytest.mark.parametrize(
        ("fields", "redacted"),
        [
            ({"instance": "i-1", "memory_mb": 512}, {"instance": "i-1", "memory_mb": 512}),
            ({"password": "x7x", "user": "nova"}, {"password": "***", "user": "nova"}),
            ({"adminPass": 31337, "X-Auth-Token": b"x7x"}, {"adminPass": "***", "X-Auth-Token": "***"}),
            (
                {"password": None, "token": "", "secret": False, "pass": []},
                {"password": None, "token": "", "secret": False, "pass": []},
            ),
            ({"token": {"id": "x7x"}}, {"token": "***"}),
            ({"error": "cannot reach amqp://n:x7x@h/"}, {"error": "cannot reach amqp://n:***@h/"}),
            ({"a": [{"b": ({"os_password": "x7x"}, "k")}]}, {"a": [{"b": ({"os_password": "***"}, "k")}]}),
            ({"a": ["password=x7x", ("token=x7x",)]}, {"a": ["password=***", ("token=***",)]}),
            ({"raw": b"password=x7x \xff"}, {"raw": b"password=*** \xff"}),
            (
                {"headers": [("X-Auth-Token", "x7x"), ["cookie", "x7x"]]},
                {"headers": [("X-Auth-Token", "***"), ["cookie", "***"]]},
            ),
            ({"headers": [(b"authorization", b"x7x")]}, {"headers": [(b"authorization", "***")]}),
            ({"argv": ["nova", "--os-password", "x7x", "list"]}, {"argv": ["nova", "--os-password", "***", "list"]}),
            ({"required": ["name", "password", "image"]}, {"required": ["name", "password", "image"]}),
            ({"item": {"name": "admin_pass", "value": "x7x"}}, {"item": {"name": "admin_pass", "value": "***"}}),
            ({"a": {1: "token=x7x", None: 2, b"secret": "x7x"}}, {"a": {"1": "token=***", "None": 2, "secret": "***"}}),
            ({"a": {"password=x7x": 1}}, {"a": {"password=***": 1}}),
            ({"a": {"token=x7x"}}, {"a": ["token=***"]}),
            ({"point": Point("n", "x7x")}, {"point": {"name": "n", "password": "***"}}),
            ({"error": ValueError("password=x7x")}, {"error": "password=***"}),
            ({"made_by": Connection("n", "x7x")}, {"made_by": "Connection(user='n', password='***')"}),
            ({"mute": Mute()}, {"mute": "<Mute: no text, RuntimeError>"}),
            (
                {"max_tokens": 4096, "key_name": "mykey", "token_count": 12},
                {"max_tokens": 4096, "key_name": "mykey", "token_count": 12},
            ),
        ],
    )
    def test_secret_goes_and_the_rest_stays(self, fields: dict[str, object], redacted: dict[str, object]) -> None:
        assert redact_fields(fields) == redacted

    def test_numbers_dates_and_ids_stay_what_they_are(self) -> None:
        fields = {
            "at": datetime.datetime(2026, 1, 15, tzinfo=datetime.UTC),
            "id": uuid.UUID(int=7),
            "share": 0.5,
            "up": True,
        }
        assert redact_fields(fields) == fields

    def test_fields_given_are_left_alone(self) -> None:
        fields: dict[str, object] = {"a": ["password=x7x"], "password": "x7x"}
        redact_fields(fields)
        assert fields == {"a": ["password=x7x"], "password": "x7x"}

    def test_what_contains_itself_is_cut_where_it_repeats(self) -> None:
        loop: list[object] = ["a"]
        loop.append({"again": loop})
        assert redact_fields({"loop": loop}) == {"loop": ["a", {"again": MARK}]}

    def test_what_is_used_twice_side_by_side_is_shown_twice(self) -> None:
        shared = ["a", "b", "c"]
        assert redact_fields({"x": shared, "y": shared}) == {"x": shared, "y": shared}

    def test_depth_has_an_end(self) -> None:
        deep: object = "bottom"
        for _ in range(100_000):
            deep = [deep]
        shown = repr(redact_fields({"deep": deep}))
        assert MARK in shown
        assert shown.count("[") == MAX_DEPTH

    def test_width_has_an_end(self) -> None:
        bomb: list[object] = ["x"]
        for _ in range(12):
            bomb = [bomb] * 10
        assert repr(redact_fields({"bomb": bomb})).count("'x'") <= MAX_VALUES

    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                lambda inner: (
                    st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
                ),
                max_leaves=20,
            ),
        )
    )
    def test_any_fields_come_through(self, fields: dict[str, object]) -> None:
        assert len(redact_fields(fields)) <= len(fields)
