import pytest

from cloud.logs.collector.body import Body, BodyError, nova_context, read_body

UUID = "0c9e8d7f-1a2b-3c4d-5e6f-708192a3b4c5"
REQUEST = "req-5B7A3F0E-9d52-4b0c-8c0e-6d2f6d1f3a11"

VALID = [
    ("text", "disk is full", Body("disk is full")),
    ("empty", "", Body("")),
    ("JSON without the cookie is text", '{"message": "x"}', Body('{"message": "x"}')),
    ("the cookie not at the start", 'x @cee: {"message": "x"}', Body('x @cee: {"message": "x"}')),
    ("message", '@cee: {"message": "spawned"}', Body("spawned")),
    ("no space", '@cee:{"message": "spawned"}', Body("spawned")),
    ("msg", '@cee: {"msg": "spawned"}', Body("spawned")),
    ("message before msg", '@cee: {"msg": "b", "message": "a"}', Body("a", fields={"msg": "b"})),
    (
        "known keys",
        (
            '@cee: {"message": "m", "level": "INFO", "logger": "nova.x", "request_id": "req-1", "instance": "i",'
            ' "project": "p", "event": "build.spawn.started", "migration": "7"}'
        ),
        Body(
            "m",
            {
                "level": "INFO",
                "logger": "nova.x",
                "request_id": "req-1",
                "instance": "i",
                "project": "p",
                "event": "build.spawn.started",
                "migration": "7",
            },
        ),
    ),
    ("an integer for a known key", '@cee: {"message": "m", "migration": 12}', Body("m", {"migration": "12"})),
    (
        "the rest",
        '@cee: {"message": "m", "a": [1, {"b": null}], "c": 1.5}',
        Body("m", fields={"a": [1, {"b": None}], "c": 1.5}),
    ),
    (
        "a line of nova",
        f"nova.compute.manager [{REQUEST} admin demo - - -] [instance: {UUID}] Took 3 s",
        Body(
            "Took 3 s",
            {"logger": "nova.compute.manager", "request_id": REQUEST, "project": "demo", "instance": UUID},
            {"user": "admin"},
        ),
    ),
    (
        "a line of nova without user, project and instance",
        f"nova.api [{REQUEST} - - - - -] GET /v2",
        Body("GET /v2", {"logger": "nova.api", "request_id": REQUEST}),
    ),
    (
        "a line of nova with the instance in its message, where it stays",
        f"nova.api [{REQUEST} u p - - -] gone: [instance: {UUID}]",
        Body(
            f"gone: [instance: {UUID}]",
            {"logger": "nova.api", "request_id": REQUEST, "project": "p", "instance": UUID},
            {"user": "u"},
        ),
    ),
    (
        "ids in a text, where they stay",
        f"it failed [{REQUEST} u p - - -] for [instance: {UUID}]",
        Body(
            f"it failed [{REQUEST} u p - - -] for [instance: {UUID}]",
            {"request_id": REQUEST, "project": "p", "instance": UUID},
        ),
    ),
    ("truncated at the sender", '@cee: {"message": "m", "truncated": true}', Body("m", is_truncated=True)),
]
INCOMPLETE = [
    ("empty object", "@cee: {}", Body("@cee: {}")),
    ("no message", '@cee: {"a": 1}', Body('@cee: {"a": 1}', fields={"a": 1})),
    ("an empty message", '@cee: {"message": ""}', Body("")),
    ("a message that is no string", '@cee: {"message": 5}', Body('@cee: {"message": 5}', fields={"message": 5})),
    (
        "a message that is no string, and msg",
        '@cee: {"message": null, "msg": "m"}',
        Body("m", fields={"message": None}),
    ),
    ("an empty level", '@cee: {"message": "m", "level": "", "project": ""}', Body("m", {"project": ""}, {"level": ""})),
    (
        "a line of nova with nothing behind its ids",
        f"nova.api [{REQUEST} u p - - -] ",
        Body(f"nova.api [{REQUEST} u p - - -] ", {"request_id": REQUEST, "project": "p"}),
    ),
    ("another value of truncated", '@cee: {"message": "m", "truncated": "no"}', Body("m", fields={"truncated": "no"})),
    ("truncated is false", '@cee: {"message": "m", "truncated": false}', Body("m", fields={"truncated": False})),
]
HOSTILE = [
    (
        "known keys of other types",
        ('@cee: {"message": "m", "level": null, "logger": {}, "instance": [1], "event": 1.5, "project": true}'),
        Body("m", fields={"level": None, "logger": {}, "instance": [1], "event": 1.5, "project": True}),
    ),
    (
        "a key twice: the last one counts",
        '@cee: {"message": "a", "message": "b", "x": 1, "x": 2}',
        Body("b", fields={"x": 2}),
    ),
    (
        "NaN and Infinity",
        '@cee: {"message": "m", "a": NaN, "b": Infinity, "c": -Infinity}',
        Body("m", fields={"a": "NaN", "b": "Infinity", "c": "-Infinity"}),
    ),
    (
        "too large for a float",
        '@cee: {"message": "m", "a": 1e999, "b": -1e999}',
        Body("m", fields={"a": "1e999", "b": "-1e999"}),
    ),
    ("too small for a float", '@cee: {"message": "m", "a": 1e-999}', Body("m", fields={"a": 0.0})),
    ("lone surrogate", '@cee: {"message": "\\ud800", "instance": "\\udfff"}', Body("\ud800", {"instance": "\udfff"})),
    ("a pair of surrogates", '@cee: {"message": "\\ud83d\\ude00"}', Body("😀")),
    (
        "the separator of the stored header",
        '@cee: {"message": "m", "logger": "a\\u001fb", "project": "a\\u001fb"}',
        Body("m", {"project": "a\x1fb"}, {"logger": "a\x1fb"}),
    ),
    ("NUL", '@cee: {"message": "a\\u0000b"}', Body("a\0b")),
    ("an empty key", '@cee: {"message": "m", "": 1}', Body("m", fields={"": 1})),
]
BAD = [
    ("nothing", "@cee:"),
    ("a space", "@cee: "),
    ("text", "@cee: hello"),
    ("half an object", '@cee: {"message": "m'),
    ("something behind it", '@cee: {"message": "m"} x'),
    ("a list", "@cee: [1]"),
    ("a string", '@cee: "x"'),
    ("null", "@cee: null"),
    ("a raw newline in a string", '@cee: {"message": "a\nb"}'),
    ("single quotes", "@cee: {'message': 'm'}"),
    ("an integer of 5,000 digits", '@cee: {"message": "m", "n": ' + "9" * 5000 + "}"),
    ("nested deeper than the limit", '@cee: {"message": "m", "a": ' + "[" * 65 + "]" * 65 + "}"),
    ("lists nested 10,000 deep", '@cee: {"a": ' + "[" * 10_000 + "]" * 10_000 + "}"),
    ("objects nested 10,000 deep", "@cee: " + '{"a":' * 10_000 + "1" + "}" * 10_000),
    ("nothing but opening brackets", "@cee: " + "[" * 1_000_000),
]


@pytest.mark.parametrize(
    ("text", "expected"), [pytest.param(*case, id=name) for name, *case in VALID + INCOMPLETE + HOSTILE]
)
def test_bodies_are_read(text: str, expected: Body) -> None:
    assert read_body(text) == expected


def test_nesting_to_the_limit_is_read() -> None:
    assert read_body('@cee: {"message": "m", "a": ' + "[" * 63 + "]" * 63 + "}").message == "m"


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in BAD])
def test_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BodyError, match="cannot read JSON body: "):
        read_body(text)


def test_an_integer_of_4000_digits_is_kept_whole() -> None:
    assert read_body('@cee: {"message": "m", "n": ' + "9" * 4000 + "}").fields == {"n": int("9" * 4000)}


CONTEXTS = [
    # valid
    ("both", f"[{REQUEST} u p - - -] [instance: {UUID}] x", {"request_id": REQUEST, "project": "p", "instance": UUID}),
    ("no project", f"[{REQUEST} u - - - -]", {"request_id": REQUEST}),
    ("a request alone", f"x [{REQUEST}] y", {"request_id": REQUEST}),
    ("any words", f"[{REQUEST} u! p=1]", {"request_id": REQUEST, "project": "p=1"}),
    ("the first of several", f"[{REQUEST} u p] [req-{UUID} v q]", {"request_id": REQUEST, "project": "p"}),
    ("the first that is one", f"[req-1 v q] [{REQUEST} u p]", {"request_id": REQUEST, "project": "p"}),
    # incomplete
    ("none", "disk is full", {}),
    ("a user alone", f"[{REQUEST} u]", {"request_id": REQUEST}),
    ("no end", f"[{REQUEST}", {}),
    ("no end of the instance", f"[instance: {UUID}", {}),
    ("a project without an end", f"[{REQUEST} u p", {"request_id": REQUEST}),
    ("too short", f"[{REQUEST[:-1]}] [instance: {UUID[1:]}]", {}),
    ("too long", f"[{REQUEST}0] [instance: {UUID}0]", {}),
    # hostile
    ("two spaces", f"[{REQUEST}  u p]", {"request_id": REQUEST}),
    ("a bracket in a word", f"[{REQUEST} u p[1]]", {"request_id": REQUEST}),
    ("a character of another script", f"[{REQUEST} u ü]", {"request_id": REQUEST}),
    ("only brackets", "[" * 100_000, {}),
]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=name) for name, *case in CONTEXTS])
def test_ids_are_found_in_plain_text(text: str, expected: dict[str, str]) -> None:
    assert nova_context(text) == expected
    assert read_body(text) == Body(text, expected)
