"""A record as `@cee:` and JSON on one line, whatever the caller passed."""

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.emit import request_context
from cloud.logs.emit.cee import CeeFormatter, TerminalFormatter

MAX_BODY_BYTES = 119 * 1024


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class TornError(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise RuntimeError("no")


def record(msg: object = "instance spawned", *args: object, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("nova.compute.manager", logging.INFO, "/src/manager.py", 42, msg, args, None)
    vars(made).update(attributes)
    return made


def body(made: logging.LogRecord) -> dict[str, Any]:
    line = CeeFormatter().format(made)
    assert line.startswith("@cee: {")
    assert len(line.splitlines()) == 1
    assert len(line.encode()) <= MAX_BODY_BYTES
    content = json.loads(line.removeprefix("@cee: "), parse_constant=pytest.fail)
    assert isinstance(content, dict)
    return content


def raised(exc: BaseException) -> Any:
    try:
        raise exc
    except BaseException:  # noqa: BLE001 - KeyboardInterrupt too
        return sys.exc_info()


def test_line_is_written_in_one_order() -> None:
    with request_context(request_id="req-1", project="p1"):
        assert CeeFormatter().format(record("spawned %s in %d s", "vm", 3, fields={"event": "instance.create"})) == (
            '@cee: {"message":"spawned vm in 3 s","level":"INFO","logger":"nova.compute.manager","request_id":"req-1",'
            '"project":"p1","src":"manager.py:42","event":"instance.create"}'
        )


def test_fields_of_extra_and_of_a_bound_logger_are_on_the_line() -> None:
    content = body(record(attempt=2, fields={"instance": UUID(int=1), "stats": {"free_mb": 512.5}}))
    assert content["attempt"] == 2
    assert content["instance"] == "00000000-0000-0000-0000-000000000001"
    assert content["stats"] == {"free_mb": 512.5}


def test_callers_field_wins_over_the_context_and_never_over_what_is_constant() -> None:
    with request_context(instance="outer", request_id="req-1"):
        fields = {"instance": "mine", "level": "loud", "message": "forged", "logger": 1, "src": 2, "truncated": True}
        content = body(record(fields=fields))
    assert content == {
        "message": "instance spawned",
        "level": "INFO",
        "logger": "nova.compute.manager",
        "request_id": "req-1",
        "instance": "mine",
        "src": "manager.py:42",
        "level_": "loud",
        "message_": "forged",
        "logger_": 1,
        "src_": 2,
        "truncated_": True,
    }


@pytest.mark.parametrize("fields", [{"level": 1, "level_": 2}, {"level_": 2, "level": 1}])
def test_fields_that_collide_once_more_are_all_kept(fields: dict[str, int]) -> None:
    content = body(record(fields=fields))
    assert content["level"] == "INFO"
    assert {content["level_"], content["level__"]} == {1, 2}


@pytest.mark.parametrize("fields", [None, "text", ["a", 1], 7])
def test_foreign_extra_named_fields_is_a_field(fields: object) -> None:
    assert body(record(fields=fields))["fields"] == fields


def test_exception_is_fields_and_no_lines() -> None:
    content = body(record(exc_info=raised(ValueError("no\nroom"))))
    assert content["exc_type"] == "ValueError"
    assert content["exc_message"] == "no\nroom"
    assert content["traceback"].startswith("Traceback (most recent call last):\n")
    assert content["traceback"].endswith("ValueError: no\nroom")


def test_chained_exception_has_its_cause_in_the_traceback() -> None:
    cause = OSError("disk gone")
    error = RuntimeError("cannot spawn")
    error.__cause__ = cause
    traceback = body(record(exc_info=raised(error)))["traceback"]
    assert "OSError: disk gone" in traceback
    assert "direct cause" in traceback


def test_exception_group_has_its_members_in_the_traceback() -> None:
    group = ExceptionGroup("two", [ValueError("first"), ExceptionGroup("in", [OSError("second")])])
    content = body(record(exc_info=raised(group)))
    assert content["exc_type"] == "ExceptionGroup"
    assert content["exc_message"] == "two (2 sub-exceptions)"
    assert "ValueError: first" in content["traceback"]
    assert "OSError: second" in content["traceback"]


def test_exception_that_causes_itself_ends() -> None:
    error = ValueError("loop")
    error.__cause__ = error.__context__ = error
    assert body(record(exc_info=raised(error)))["exc_message"] == "loop"


def test_exception_without_words_keeps_its_type_and_the_message() -> None:
    content = body(record("migration failed", fields={"migration": "7"}, exc_info=raised(MuteError())))
    assert content["message"] == "migration failed"
    assert content["migration"] == "7"
    assert content["exc_type"] == "MuteError"
    assert content["exc_message"] == "<MuteError: no text, RuntimeError>"
    assert "MuteError" in content["traceback"]


def test_exception_that_no_traceback_can_be_made_of_keeps_its_message() -> None:
    content = body(record(exc_info=raised(TornError("torn"))))
    assert content["exc_message"] == "torn"
    assert "TornError" in content["traceback"]


def test_no_exception_at_all_adds_no_field() -> None:
    assert body(record(exc_info=(None, None, None))).keys() == {"message", "level", "logger", "src"}


def test_stack_is_a_field() -> None:
    assert body(record(stack_info="Stack (most recent call last):\n  File x"))["stack"].endswith("\n  File x")


@pytest.mark.parametrize(
    ("msg", "args", "cause"),
    [
        ("%d of %d", ("a", 2), "TypeError"),
        ("%s %s", (1,), "TypeError"),
        ("%(name)s", ({"other": 1},), "KeyError"),
        ("100%", (1,), "ValueError"),
        ("%s", (Mute(),), "RuntimeError"),
    ],
)
def test_bad_arguments_leave_the_template_the_fields_and_the_exception(
    msg: str, args: tuple[object, ...], cause: str
) -> None:
    made = record(msg, *args, fields={"event": "rpc.timeout"}, exc_info=raised(ValueError("x")))
    content = body(made)
    assert content["message"] == f"{msg} (cannot render its arguments: {cause})"
    assert content["event"] == "rpc.timeout"
    assert content["exc_type"] == "ValueError"
    assert made.msg == msg, "another handler gets the record as it was"


def test_message_that_has_no_text_is_named() -> None:
    message = body(record(Mute()))["message"]
    assert message == "<Mute: no text, RuntimeError> (cannot render its arguments: RuntimeError)"


def test_percent_sign_without_arguments_is_text() -> None:
    assert body(record("100% done: %s"))["message"] == "100% done: %s"


def test_dict_as_message_is_its_fields() -> None:
    said = {"message": "hello", "n": 1}
    content = body(record(said))
    assert (content["message_"], content["n"]) == ("hello", 1)
    assert said == {"message": "hello", "n": 1}


def test_keys_that_are_no_strings_become_text() -> None:
    content = body(record(fields={1: "one", (2, 3): "pair", None: "none", "nested": {b"k": {4: 5}}}))
    assert content["1"] == "one"
    assert content["(2, 3)"] == "pair"
    assert content["None"] == "none"
    assert content["nested"] == {"k": {"4": 5}}


class Torn(Mapping[str, object]):
    """As a dict that another thread changes while it is read."""

    def __getitem__(self, key: str) -> object:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("dictionary changed size during iteration")

    def __len__(self) -> int:
        return 1


def test_field_that_cannot_be_read_does_not_take_the_others_along() -> None:
    content = body(record(fields={"torn": Torn(), "event": "canary", "password": "hunter2"}))
    assert content["message"] == "instance spawned"
    assert content["torn"] == "<Torn: cannot be read, RuntimeError>"
    assert (content["event"], content["password"]) == ("canary", "***")


def test_secrets_do_not_leave() -> None:
    error = raised(ValueError("token=hunter2 "))
    made = record("login password=hunter2", fields={"admin_pass": "hunter2"}, exc_info=error)
    assert "hunter2" not in CeeFormatter().format(made)


def test_traceback_of_60_kb_is_whole() -> None:
    content = body(record(exc_info=raised(ValueError("x" * 60_000))))
    assert "truncated" not in content
    assert content["traceback"].endswith("x" * 60_000)


def test_message_of_a_megabyte_is_cut_and_says_so() -> None:
    content = body(record("HEAD" + "\n" * 500_000 + "ü" * 500_000 + "TAIL", fields={"migration": "7"}))
    assert content["truncated"] is True
    assert content["migration"] == "7"
    assert content["message"].startswith("HEAD\n")
    assert content["message"].endswith("üTAIL")
    assert " bytes cut ..." in content["message"]


def test_formatter_is_made_as_logging_conf_makes_it() -> None:
    made = CeeFormatter("%(message)s", None, "%", validate=False, defaults=None).format(record())
    assert made == CeeFormatter().format(record())


def test_smaller_bound_holds() -> None:
    line = CeeFormatter(max_bytes=2000).format(record("x" * 5000))
    assert 1900 <= len(line.encode()) <= 2000


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text, st.binary(), st.builds(Mute)),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(any_text, children, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(message=any_text, fields=st.dictionaries(any_text, values, max_size=5), text=any_text)
def test_any_line_is_one_line_of_json(message: str, fields: Mapping[str, object], text: str) -> None:
    with request_context(request_id=text):
        content = body(record(message, fields=fields, exc_info=raised(ValueError(text))))
    assert content["level"] == "INFO"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_nothing_that_ends_a_line_is_on_it(end: str) -> None:
    content = body(record(f"a{end}b", fields={f"k{end}": f"v{end}"}, exc_info=raised(ValueError(f"e{end}"))))
    assert content["message"] == f"a{end}b"
    assert content[f"k{end}"] == f"v{end}"


def test_terminal_line_has_time_process_level_logger_request_and_fields() -> None:
    made = record("spawned %s", "vm", fields={"event": "instance.create", "password": "x"}, process=99, msecs=7.0)
    with request_context(request_id="req-1", user="u", project="p", instance="i-1"):
        line = TerminalFormatter().format(made)
    assert line.split(" ", 2)[1].endswith(".007")
    assert line.split(" ", 2)[2] == (
        "99 INFO nova.compute.manager [req-1 u p] [instance: i-1] spawned vm event=instance.create password=***"
    )


def test_terminal_shows_the_traceback_below_and_survives_foreign_fields() -> None:
    text = TerminalFormatter().format(record("failed", fields=["x"], exc_info=raised(ValueError("boom"))))
    first, *rest = text.splitlines()
    assert first.endswith("[-] failed fields=['x']")
    assert rest[-1] == "ValueError: boom"


def test_lines_of_two_threads_do_not_mix() -> None:
    formatter = CeeFormatter()
    bad: list[str] = []

    def work(number: int) -> None:
        with request_context(request_id=f"req-{number}"):
            for _ in range(200):
                line = formatter.format(record(f"m-{number}", fields={"n": number}))
                if line.count(str(number)) < 3 or str(1 - number) * 9 in line:
                    bad.append(line)

    threads = [threading.Thread(target=work, args=(number,)) for number in (111111111, 222222222)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
