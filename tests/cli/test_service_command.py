"""`cloud service`: what operators see of the services, and errors of one line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from cloud.cli.bus import printable
from cloud.cli.main import cli
from cloud.errors import ServiceNotFoundError
from cloud.rpc.errors import RemoteError, RpcTimeoutError
from cloud.rpc.topology import Target
from tests.brokers import RedisBroker

HEADER = "| Binary       | Host       | Zone | Status  | State | Updated_at                 | Disabled Reason |"


def service(**changes: object) -> dict[str, object]:
    """A service as nova-conductor answers."""
    return {
        "id": 1,
        "host": "compute-01",
        "binary": "nova-compute",
        "topic": "compute",
        "availability_zone": "nova",
        "is_enabled": True,
        "disabled_reason": None,
        "created_at": "2026-01-02T03:04:05+00:00",
        "updated_at": "2026-01-02T03:05:05+00:00",
        "report_count": 7,
        "is_up": True,
        "is_forced_down": False,
        **changes,
    }


class FakeBus:
    """Stands in RpcClient's place; `answer` gives the result of a call, or an error."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str, Mapping[str, Any]], object] = lambda _target, _method, _arguments: []
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []
        self.is_closed = False

    def __call__(self, _publisher: object, _sender: str) -> Self:
        return self

    def call(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float
    ) -> object:
        assert timeout_s <= 10 + 32
        self.calls.append((str(target), method, arguments or {}))
        result = self.answer(str(target), method, arguments or {})
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBus:
    """The bus of the nova.conf that CLOUD_CONFIG_FILE names."""
    bus = FakeBus()
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = controller-01\n")
    monkeypatch.setenv("CLOUD_CONFIG_FILE", str(file))
    monkeypatch.setattr("cloud.cli.bus.RpcClient", bus)
    monkeypatch.setattr("cloud.logs.emit.setup.set_up_logging", lambda _settings, **_names: None)
    return bus


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["service", *arguments])


def complaint_of(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    return result.stderr


def test_list_is_the_table_of_the_guide(bus: FakeBus) -> None:
    bus.answer = lambda *_: [
        service(),
        service(host="compute-02", is_up=False, is_enabled=False, disabled_reason="disk swap"),
    ]
    result = run("list", "--host", "compute-01", "--binary", "nova-compute")
    rule = "+--------------+------------+------+----------+-------+----------------------------+-----------------+"
    assert result.stdout.splitlines() == [
        rule,
        "| Binary       | Host       | Zone | Status   | State | Updated_at                 | Disabled Reason |",
        rule,
        "| nova-compute | compute-01 | nova | enabled  | up    | 2026-01-02T03:05:05.000000 | -               |",
        "| nova-compute | compute-02 | nova | disabled | down  | 2026-01-02T03:05:05.000000 | disk swap       |",
        rule,
    ]
    assert (result.exit_code, result.stderr) == (0, "")
    assert bus.calls == [("nova-conductor", "list_services", {"host": "compute-01", "binary": "nova-compute"})]
    assert bus.is_closed


def test_list_of_nothing_is_an_empty_table_and_an_empty_array(bus: FakeBus) -> None:
    assert len(run("list").stdout.splitlines()) == 4
    assert run("list", "--output", "json").stdout == "[]\n"


def test_json_is_an_array_of_services_as_the_conductor_knows_them(bus: FakeBus) -> None:
    bus.answer = lambda *_: [service(disabled_reason="\x1b[2J")]
    result = run("list", "--output", "json")
    assert json.loads(result.stdout) == [service(disabled_reason="\x1b[2J")]
    assert "\x1b" not in result.stdout


def test_control_characters_of_a_reason_reach_no_terminal(bus: FakeBus) -> None:
    bus.answer = lambda *_: [service(disabled_reason="a\x1b[2Jb\n| forged |\u202e")]
    lines = run("list").stdout.splitlines()
    assert len(lines) == 5
    assert r"a\x1b[2Jb\n| forged |\u202e" in lines[3]


def test_disable_takes_a_reason_and_shows_what_became_of_it(bus: FakeBus) -> None:
    bus.answer = lambda *_: service(is_enabled=False, disabled_reason="disk swap")
    assert "| disabled | up    |" in run("disable", "compute-01", "nova-compute", "--reason", "disk swap").stdout
    bus.answer = lambda *_: service()
    assert HEADER in run("enable", "compute-01", "nova-compute").stdout
    assert bus.calls == [
        ("nova-conductor", "disable_service", {"host": "compute-01", "binary": "nova-compute", "reason": "disk swap"}),
        ("nova-conductor", "enable_service", {"host": "compute-01", "binary": "nova-compute"}),
    ]


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [
        (ServiceNotFoundError("cannot find service nova-x on a"), "Error: cannot find service nova-x on a\n"),
        (RpcTimeoutError("no reply in 10 s"), "Error: no reply in 10 s\n"),
        (RemoteError("Oops: a\nb\x1b[2J"), "Error: Oops: a\\nb\\x1b[2J\n"),
        # What a defect over there may come to here as.
        (TypeError("a defect"), "Error: a defect\n"),
        (KeyError("a"), "Error: 'a'\n"),
        (PermissionError("denied"), "Error: denied\n"),
    ],
)
def test_failure_is_one_line_and_exit_1(bus: FakeBus, failure: Exception, complaint: str) -> None:
    bus.answer = lambda *_: failure
    for command in (["list"], ["enable", "a", "nova-x"], ["disable", "a", "nova-x"], ["ping"], ["ping", "nova-api"]):
        assert complaint_of(*command) == complaint
    assert bus.is_closed


def test_answer_of_another_version_is_one_line_too(bus: FakeBus) -> None:
    bus.answer = lambda *_: [{"host": "compute-01"}]
    assert complaint_of("list").startswith("Error: ")


def test_ping_goes_along_the_main_route_and_every_compute_that_is_up(bus: FakeBus) -> None:
    def answer(_target: str, method: str, _arguments: Mapping[str, Any]) -> object:
        if method == "list_services":
            return [service(), service(host="compute-02", is_up=False), service(host="compute-03")]
        return [{"binary": "nova-api", "host": "controller-01", "pid": 42, "elapsed_s": 0.01234}]

    bus.answer = answer
    lines = run("ping").stdout.splitlines()
    assert bus.calls[1] == (
        "nova-api",
        "ping",
        {
            "route": [
                ["nova-conductor", None],
                ["nova-scheduler", None],
                ["nova-compute", "compute-01"],
                ["nova-compute", "compute-03"],
            ]
        },
    )
    assert lines[0].startswith("request req-")
    assert lines[4] == "| 1   | nova-api | controller-01 | 42  | 12.3                  |"
    assert lines[-1] == f"cloud log tail --no-follow --request {lines[0].split()[1]}"


def test_ping_takes_a_route_with_and_without_hosts(bus: FakeBus) -> None:
    assert run("ping", "nova-network@compute-01", "nova-cert").exit_code == 0
    assert bus.calls == [("nova-network on compute-01", "ping", {"route": [["nova-cert", None]]})]


def test_ping_of_more_computes_than_a_route_holds_says_how_many_are_left_out(bus: FakeBus) -> None:
    computes = [service(host=f"compute-{number:02}") for number in range(1, 71)]
    bus.answer = lambda _target, method, _arguments: computes if method == "list_services" else []
    result = run("ping")
    assert (result.exit_code, result.stderr) == (0, "cloud service ping: 9 of 70 nova-compute are left out\n")
    assert len(bus.calls[1][2]["route"]) == 63


@pytest.mark.parametrize(
    ("route", "complaint"),
    [
        (["nova-volume"], "Error: unknown service 'nova-volume': expected one of nova-api, nova-cert, "),
        (["compute"], "Error: unknown service 'compute': expected one of "),
        (["nova-api", "nova-cert", "nova-api"], "Error: cannot ping along a route that has nova-api twice\n"),
        ([f"nova-compute@c{number}" for number in range(65)], "Error: cannot ping along 65 hops: at most 64\n"),
    ],
)
def test_route_that_cannot_be_is_one_line_and_asks_nobody(bus: FakeBus, route: list[str], complaint: str) -> None:
    assert complaint_of("ping", *route).startswith(complaint)
    assert bus.calls == []


def test_missing_configuration_is_one_line(bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUD_CONFIG_FILE")
    for command in (["list"], ["ping"], ["enable", "a", "nova-api"]):
        assert complaint_of(*command, "--config-file", "/nonexistent/nova.conf") == (
            "Error: cannot read configuration /nonexistent/nova.conf: "
            "Failed to find some config files: /nonexistent/nova.conf\n"
        )


def test_bad_url_is_one_line_without_its_password(bus: FakeBus, tmp_path: Path) -> None:
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nhost = a\ntransport_url = amqp://nova:hunter2@rabbit/\n")
    complaint = complaint_of("list")
    assert "cannot use transport_url amqp://nova:***@rabbit/: " in complaint
    assert "hunter2" not in complaint


def test_help_names_every_command_and_every_daemon() -> None:
    result = run("--help")
    for name in ("list", "enable", "disable", "ping", "nova-api", "nova-compute", "nova-scheduler"):
        assert f"\n  {name} " in result.stdout
    assert "64 in all at most" in " ".join(run("ping", "--help").stdout.split())


def test_unknown_command_is_a_usage_error() -> None:
    result = run("nova-volume")
    assert (result.exit_code, "No such command" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("disk swap", "disk swap"),
        ("Größe", "Größe"),
        (5, "5"),
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x9b1m\u200f", r"\x9b1m\u200f"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(value: object, shown: str) -> None:
    assert printable(value) == shown


def start(file: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "CLOUD_CONFIG_FILE": str(file)}
    command = [sys.executable, "-m", "cloud", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.server
def test_bus_or_conductor_that_is_away_is_one_line_within_about_ten_seconds(tmp_path: Path) -> None:
    with RedisBroker() as broker:
        files = {"there": broker.url, "away": f"redis+socket://{tmp_path}/none.sock"}
        for name, url in files.items():
            (tmp_path / name).write_text(f"[DEFAULT]\nhost = a\ntransport_url = {url}\n")
        commands = (["service", "list"], ["log", "level", "nova-api", "--host", "a"])
        started_s = time.monotonic()
        processes = [start(tmp_path / name, *command) for name in files for command in commands]
        said = [process.communicate(timeout=30) for process in processes]
        assert time.monotonic() - started_s < 15
    assert [process.returncode for process in processes] == [1, 1, 1, 1]
    assert [out for out, _ in said] == ["", "", "", ""]
    assert all(len(err.splitlines()) == 1 for _, err in said), said
    nobody = "nobody has ever listened there\n"
    assert [said[0][1].endswith(nobody), said[1][1].endswith(nobody)] == [True, True]
    assert all(f"cannot reach redis+socket://{tmp_path}/none.sock: " in err for _, err in said[2:])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up the right to read everything")
@pytest.mark.server
def test_configuration_that_must_not_be_read_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = a\n")
    file.chmod(0)
    # Root without the right to read everything; another user might not be let into this checkout either.
    lowered = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    command = [*lowered, sys.executable, "-m", "cloud", "service", "list", "--config-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot read configuration ")
    assert len(done.stderr.splitlines()) == 1
