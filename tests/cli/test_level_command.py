"""`cloud log level`: every host is asked, whatever became of the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.cli.main import cli
from cloud.rpc.errors import BadMessageError, RpcTimeoutError
from tests.cli.test_service_command import FakeBus, service

CONFIGURED = {"level": "INFO", "configured": "INFO", "left_s": None}


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBus:
    """Three hosts, of which compute-03 is down, and all that are asked answer."""
    bus = FakeBus()
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nhost = controller-01\n")
    monkeypatch.setenv("CLOUD_CONFIG_FILE", str(tmp_path / "nova.conf"))
    monkeypatch.setattr("cloud.cli.bus.RpcClient", bus)
    monkeypatch.setattr("cloud.logs.emit.setup.set_up_logging", lambda _settings, **_names: None)
    bus.answer = answer
    return bus


def answer(_target: str, method: str, arguments: Mapping[str, Any]) -> object:
    if method == "list_services":
        return [service(), service(host="compute-02"), service(host="compute-03", is_up=False)]
    if method == "set_log_level":
        return {"level": arguments["level"], "configured": "INFO", "left_s": arguments["for_s"]}
    return CONFIGURED


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["log", "level", *arguments])


def test_level_is_set_on_every_host_that_is_up(bus: FakeBus) -> None:
    result = run("nova-compute", "debug", "--for", "2h")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "nova-compute on compute-01: DEBUG for 7200 s, then INFO\n"
        "nova-compute on compute-02: DEBUG for 7200 s, then INFO\n"
    )
    assert bus.calls[1] == ("nova-compute on compute-01", "set_log_level", {"level": "DEBUG", "for_s": 7200.0})
    assert [call[0] for call in bus.calls] == [
        *("nova-conductor", "nova-compute on compute-01", "nova-compute on compute-02"),
    ]


def test_it_is_for_a_quarter_of_an_hour_where_nobody_says_otherwise(bus: FakeBus) -> None:
    run("nova-compute", "DEBUG", "--host", "compute-01")
    assert bus.calls == [("nova-compute on compute-01", "set_log_level", {"level": "DEBUG", "for_s": 900.0})]


def test_without_a_level_it_shows_how_it_stands(bus: FakeBus) -> None:
    assert run("nova-compute", "--host", "compute-03").stdout == "nova-compute on compute-03: INFO\n"
    assert bus.calls == [("nova-compute on compute-03", "get_log_level", {})]


def test_host_that_does_not_answer_is_named_and_the_others_are_done(bus: FakeBus) -> None:
    silent = RpcTimeoutError("cannot call set_log_level of nova-compute on compute-01: no reply in 5 s")
    bus.answer = lambda target, method, arguments: (
        silent if target.endswith("compute-01") else answer(target, method, arguments)
    )
    result = run("nova-compute", "DEBUG")
    assert result.exit_code == 1
    assert result.stdout == "nova-compute on compute-02: DEBUG for 900 s, then INFO\n"
    assert result.stderr == (
        "nova-compute on compute-01: cannot call set_log_level of nova-compute on compute-01: no reply in 5 s\n"
    )
    assert bus.is_closed


def test_every_host_that_refuses_is_named(bus: FakeBus) -> None:
    bus.answer = lambda target, method, arguments: (
        BadMessageError("no\n\x1b[2J") if method == "set_log_level" else answer(target, method, arguments)
    )
    result = run("nova-compute", "DEBUG")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        r"nova-compute on compute-01: no\n\x1b[2J",
        r"nova-compute on compute-02: no\n\x1b[2J",
    ]


def test_service_that_is_up_nowhere_is_one_line(bus: FakeBus) -> None:
    bus.answer = lambda *_: [service(is_up=False)]
    result = run("nova-compute", "DEBUG")
    assert (result.exit_code, result.stderr) == (1, "Error: cannot find a host on which nova-compute is up\n")


def test_conductor_that_does_not_answer_is_one_line(bus: FakeBus) -> None:
    bus.answer = lambda *_: RpcTimeoutError("cannot call list_services of nova-conductor: no reply in 10 s")
    result = run("nova-compute", "DEBUG")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: cannot call list_services of nova-conductor: no reply in 10 s\n",
    )


def test_unknown_service_is_one_line_and_asks_nobody(bus: FakeBus) -> None:
    result = run("nova-volume", "DEBUG")
    assert (result.exit_code, len(result.stderr.splitlines()), bus.calls) == (1, 1, [])
    assert result.stderr.startswith("Error: unknown service 'nova-volume': expected one of ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nova-compute", "LOUD"], "'LOUD' is not one of"),
        (["nova-compute", "DEBUG", "--for", "soon"], "'soon' is not a time span such as 90s, 15m or 2h"),
        (["nova-compute", "DEBUG", "--for", "0"], "Invalid value for --for: more than 0, and 24h at most"),
        (["nova-compute", "DEBUG", "--for", "25h"], "Invalid value for --for: more than 0, and 24h at most"),
        ([], "Missing argument 'SERVICE'"),
    ],
)
def test_what_cannot_be_is_a_usage_error_and_asks_nobody(bus: FakeBus, arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, bus.calls) == (2, [])
    assert complaint in result.stderr


def test_help_says_how_long_and_where() -> None:
    text = " ".join(run("--help").stdout.split())
    assert "It goes back by itself." in text
    assert "[default: 15m]" in text
    assert "on every host where it is up by default" in text
