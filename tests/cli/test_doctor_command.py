"""`cloud doctor`: what it prints, asks and exits with, over a real database and a bus that answers as it is told to."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.cli.main import cli
from cloud.db.engine import open_database
from cloud.db.instances import NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.db.schema import sync
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import VmState
from cloud.domain.service import ServiceReport
from cloud.rpc.errors import BusUnavailableError, RpcTimeoutError
from cloud.rpc.topology import Target
from cloud.services.conductor.tables import Tables
from tests.db.making import compute_node

UUID = "00000000-0000-0000-0000-000000000001"
TINY = Flavor(id=1, flavorid="1", name="m1.tiny", memory_mb=512, vcpus=1, root_gb=1)
RUNNING, OFF = 1, 4


class FakeBus:
    """Stands in RpcClient's place, with what each hypervisor has."""

    def __init__(self) -> None:
        self.guests: dict[str, dict[str, int]] = {"a": {}, "b": {}}
        self.copies: dict[str, list[dict[str, object]]] = {"a": [], "b": []}
        self.failures: dict[str, Exception] = {}
        self.asked: list[str] = []

    def __call__(self, _publisher: object, _sender: str) -> "FakeBus":
        return self

    def call(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> object:
        assert timeout_s <= 120
        host = str(target.host)
        if host in self.failures:
            raise self.failures[host]
        if method == "list_guests":
            return self.guests[host]
        if method == "list_kept_copies":
            return self.copies[host]
        if method == "guest_state":
            return self.guests[host].get(arguments["uuid"])
        self.asked.append(f"{method} {host}")
        if method == "keep_guest":
            del self.guests[host][arguments["uuid"]]
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBus:
    """The bus of the nova.conf that CLOUD_CONFIG_FILE names, and its database, in which a and b are compute hosts."""
    bus = FakeBus()
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\nhost = controller-01\n[database]\nconnection = sqlite:///{tmp_path}/nova.db\n")
    monkeypatch.setenv("CLOUD_CONFIG_FILE", str(file))
    monkeypatch.setattr("cloud.cli.bus.RpcClient", bus)
    monkeypatch.setattr("cloud.logs.emit.setup.set_up_logging", lambda _settings, **_names: None)
    return bus


@pytest.fixture
def tables(bus: FakeBus, tmp_path: Path) -> Iterator[Tables]:
    with open_database(f"sqlite:///{tmp_path}/nova.db") as database:
        sync(database)
        tables = Tables.of(database, lambda: datetime.now(UTC), down_after_s=60)
        for host in ("a", "b"):
            tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))
            tables.compute_nodes.report(replace(compute_node(host), storage_id=host))
        yield tables


@pytest.fixture
def doubled(bus: FakeBus, tables: Tables) -> Tables:
    """An instance that runs on a, and on b as well."""
    tables.instances.create([NewInstance(UUID, "p", "u", "web", TINY, "r-1")], QuotaLimits(-1, -1, -1))
    active = {"vm_state": VmState.ACTIVE, "task_state": None, "host": "a", "node": "a.example.org"}
    tables.instances.update(UUID, active | {"launched_at": datetime.now(UTC)})
    tables.claims.claim(UUID, "a", TINY.resources, Resources(9999, 99, 999))
    bus.guests = {"a": {UUID: RUNNING}, "b": {UUID: RUNNING}}
    return tables


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["doctor", "--settle", "0s", *arguments], input=answers)


def leave_claims(tables: Tables, *hosts: str) -> None:
    """Of instances that are gone."""
    for number, host in enumerate(hosts, start=8):
        tables.claims.claim(f"uuid-{number}", host, TINY.resources, Resources(9999, 99, 999))


def test_nothing_found_is_said_and_exits_0(tables: Tables) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "nothing found; looked at 0 instances, 0 claims, 0 addresses, 0 migrations, 2 hosts, 0 guests\n"
    )


def test_finding_is_told_with_what_would_mend_it_and_exits_1(tables: Tables) -> None:
    leave_claims(tables, "a")
    result = run()
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith("claim-without-instance  instance uuid-8  host a  since 20")
    assert lines[1:3] == [
        "    512 MB, 1 vcpus and 1 GB are claimed there, and the instance is deleted or never was",
        "    mending: release what is claimed of a",
    ]
    assert lines[3].startswith("1 found; looked at 0 instances, 1 claims,")
    assert tables.claims.of("uuid-8") != {}


def test_each_finding_is_mended_after_a_question(tables: Tables) -> None:
    leave_claims(tables, "a", "b")
    result = run("--mend", answers="n\ny\n")
    assert result.exit_code == 1
    assert [line.strip() for line in result.stdout.splitlines() if "mend" in line][1:] == [
        "mend it? [y/N]: n",
        "not mended",
        "mending: release what is claimed of b",
        "mend it? [y/N]: y",
        "mended",
        "2 found, 1 mended; looked at 0 instances, 2 claims, 0 addresses, 0 migrations, 2 hosts, 0 guests",
    ]
    assert (set(tables.claims.of("uuid-8")), set(tables.claims.of("uuid-9"))) == ({"a"}, set())


def test_mending_without_questions_leaves_nothing_for_the_next_look(tables: Tables) -> None:
    leave_claims(tables, "a", "b")
    assert "2 found, 2 mended" in run("--mend", "--yes").stdout
    assert run().exit_code == 0


def test_running_duplicate_is_destroyed_by_particular_wish_only(bus: FakeBus, doubled: Tables) -> None:
    result = run("--mend", "--yes")
    assert (result.exit_code, "not mended: it needs --destroy-duplicates" in result.stdout) == (1, True)
    assert bus.asked == []
    assert "1 found, 1 mended" in run("--mend", "--yes", "--destroy-duplicates").stdout
    assert bus.asked == ["give_up_guest b", "keep_guest b"]
    assert run().exit_code == 0


def test_copy_that_may_be_the_only_one_is_removed_by_particular_wish_only(bus: FakeBus, doubled: Tables) -> None:
    bus.guests["b"] = {}
    name = f"{UUID}.20141016T120000000000Z"
    since = "2014-10-16T12:00:00+00:00"
    bus.copies["b"] = [{"uuid": UUID, "name": name, "disk_bytes": 1 << 30, "since": since, "is_for_revert": False}]
    result = run("--mend", "--yes", "--destroy-duplicates")
    why = "its instance, which is on a, was made anew without it, or has another guest"
    assert result.stdout.splitlines()[:4] == [
        f"copy-kept  instance {UUID}  host b  since 2014-10-16T12:00:00Z",
        f"    {name} is kept there with a disk of 1.0 GB: {why}",
        f"    mending: remove {name} and its disk from b",
        "    not mended: it needs --destroy-copies",
    ]
    assert bus.asked == []
    assert "1 found, 1 mended" in run("--mend", "--yes", "--destroy-copies").stdout
    assert bus.asked == ["remove_kept_copy b"]


def test_what_cannot_be_mended_says_why_and_holds_up_nothing(bus: FakeBus, doubled: Tables) -> None:
    leave_claims(doubled, "b")

    def lose(host: str) -> Callable[..., object]:
        listed = bus.call

        def call(target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> object:
            if method == "guest_state" and target.host == host:
                raise RpcTimeoutError("no reply in 10 s")
            return listed(target, method, arguments, timeout_s=timeout_s)

        return call

    bus.call = lose("a")  # type: ignore[method-assign]
    result = run("--mend", "--yes", "--destroy-duplicates")
    assert "    not mended: no reply in 10 s\n" in result.stdout
    assert "2 found, 1 mended" in result.stdout
    assert bus.guests["b"] == {UUID: RUNNING}


def test_json_has_every_finding_and_what_came_of_it(bus: FakeBus, doubled: Tables) -> None:
    leave_claims(doubled, "a")
    bus.failures["b"] = RpcTimeoutError("no reply in 10 s")
    result = run("--json", "--mend", "--yes")
    document = json.loads(result.stdout)
    (finding,) = document["findings"]
    assert {**finding, "since": finding["since"][:2]} == {
        "kind": "claim-without-instance",
        "instance": "uuid-8",
        "host": "a",
        "subject": None,
        "what": "512 MB, 1 vcpus and 1 GB are claimed there, and the instance is deleted or never was",
        "since": "20",
        "mending": "release what is claimed of a",
        "is_mendable": True,
        "destroys_running_guest": False,
        "destroys_copy": False,
        "outcome": "mended",
    }
    assert {name: document[name] for name in document if name != "findings"} == {
        "silent_hosts": {"b": "no reply in 10 s"},
        "is_partial": True,
        "looked_at": {"instances": 1, "claims": 2, "addresses": 0, "migrations": 0, "hosts": 1, "guests": 1},
    }
    assert (result.exit_code, result.stderr) == (1, "")


def test_nothing_found_where_not_every_host_answered_exits_2(bus: FakeBus, tables: Tables) -> None:
    bus.failures["b"] = RpcTimeoutError("no reply in 10 s\x1b[2J")
    result = run()
    assert (result.exit_code, result.stderr) == (2, "nothing is known of b: no reply in 10 s\\x1b[2J\n")
    assert result.stdout.startswith("nothing found;")


def test_host_that_is_known_to_be_down_is_named_and_no_reason_to_exit_2(bus: FakeBus, tables: Tables) -> None:
    tables.services.force_down("b", "nova-compute", is_forced=True)
    result = run()
    assert (result.exit_code, result.stderr) == (0, "nothing is known of b: it is forced down\n")


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [(BusUnavailableError("cannot reach the bus"), "Error: cannot reach the bus\n")],
)
def test_bus_that_is_gone_is_one_line_and_exit_2(
    bus: FakeBus, tables: Tables, failure: Exception, complaint: str
) -> None:
    bus.failures["a"] = failure
    result = run()
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", complaint)


def test_database_that_cannot_be_used_is_one_line_and_exit_2(bus: FakeBus, tmp_path: Path) -> None:
    result = run()
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert "it has no revision, and this code needs" in result.stderr
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nhost = controller-01\n")
    result = run()
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "option [database] connection is not set" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--yes"], ["--destroy-duplicates"], ["--destroy-copies"], ["--mend", "--json"], ["--older-than", "soon"]],
)
def test_wish_that_makes_no_sense_is_refused(bus: FakeBus, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_what_is_younger_than_the_bound_is_let_be(tables: Tables) -> None:
    tables.instances.create([NewInstance(UUID, "p", "u", "web", TINY, "r-1")], QuotaLimits(-1, -1, -1))
    tables.instances.update(UUID, {"vm_state": VmState.ACTIVE, "task_state": "migrating"})
    assert run().exit_code == 0
    result = run("--older-than", "0s")
    assert (result.exit_code, result.stdout.split()[0]) == (1, "task-left")
