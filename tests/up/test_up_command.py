"""`cloud up` as a process: what it shows, and that nothing outlives it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.query.client import CollectorClient, Parameters
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings
from tests.waiting import wait_until

pytestmark = pytest.mark.server

UP = [sys.executable, "-m", "cloud", "up", "--hosts", "1"]
REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "OpenStack_2k.log"


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    yield made
    shutil.rmtree(made, ignore_errors=True)


def processes_of(directory: Path) -> list[str]:
    """The command lines of running processes that name `directory`; zombies have none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in command:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def start_up(directory: Path) -> "subprocess.Popen[str]":
    """`cloud up` on free ports, once its tail shows the first line of the log."""
    command = [*UP, "--data", str(directory), "--listen", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("20"):
            break
    return process


def test_once_compares_our_own_log_and_exits_0(directory: Path) -> None:
    done = subprocess.run([*UP, "--once", "--data", str(directory)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "sent and stored agree"
    assert done.returncode == 0
    assert processes_of(directory) == []


def test_all_2000_lines_of_a_real_cloud_are_stored_under_their_services_and_severities(directory: Path) -> None:
    if not REAL_LOG.exists():
        pytest.skip(f"needs {REAL_LOG.name}: the log of a real cloud, which its licence keeps out of this repository")
    command = [*UP, "--once", "--data", str(directory), "--replay", str(REAL_LOG)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-7:] == [
        "service              severity       sent   stored",
        "nova-api             info           1060     1060",
        "nova-compute         info            902      902",
        "nova-compute         warning          31       31",
        "nova-scheduler       info              7        7",
        "all                                 2000     2000",
        "sent and stored agree",
    ]
    assert done.returncode == 0


def test_ctrl_c_ends_all_with_0_and_leaves_no_socket(directory: Path) -> None:
    with start_up(directory) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert processes_of(directory) == []
    assert [path for path in directory.rglob("*") if path.is_socket() or path.suffix == ".pid"] == []


def test_once_that_is_ended_early_does_not_exit_0(directory: Path) -> None:
    with subprocess.Popen([*UP, "--once", "--data", str(directory)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # all is started, nothing is compared yet
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert processes_of(directory) == []


def test_a_killed_cloud_up_leaves_no_process(directory: Path) -> None:
    with start_up(directory) as process:
        process.kill()
        process.communicate(timeout=20)
    wait_until(lambda: processes_of(directory) == [], 15, "the end of all that it had started")


def test_a_program_that_dies_is_named_and_started_again(directory: Path) -> None:
    with start_up(directory) as process:
        assert process.stderr is not None
        pid_file = directory / "hosts/compute-01/run/nova/rsyslogd.pid"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        ended, started = process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert ended == (
        "cloud up: rsyslogd on compute-01 was killed by SIGKILL; again in 0.5 s, "
        f"see {directory}/output/rsyslogd@compute-01.txt\n"
    )
    assert started == "cloud up: rsyslogd on compute-01 started again\n"
    assert process.returncode == 0
    assert processes_of(directory) == []


def test_a_directory_belongs_to_one_cloud_at_a_time(directory: Path) -> None:
    with start_up(directory) as process:
        output = (directory / "output/collector.txt").read_text()
        second = subprocess.run(
            [*UP, "--data", str(directory)], capture_output=True, text=True, check=False, timeout=30
        )
        assert (second.returncode, second.stderr) == (
            1,
            f"Error: cannot use {directory}: another `cloud up` has it\n",
        )
        assert (directory / "output/collector.txt").read_text() == output
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_it_ends_with_the_reader_of_its_output(directory: Path) -> None:
    with start_up(directory) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 0
    assert processes_of(directory) == []


def test_a_bus_that_does_not_answer_is_told_at_once_and_without_its_password(directory: Path) -> None:
    environment = {**os.environ, "CLOUD_TRANSPORT_URL": "amqp://nova:s3cret@127.0.0.1:1/"}
    command = [*UP, "--data", str(directory)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot reach amqp://nova:***@127.0.0.1:1/: ")
    assert "refused" in done.stderr
    assert processes_of(directory) == []


def test_no_process_of_a_compute_host_has_the_urls_of_our_environment(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_DATABASE", "postgresql://nova:s3cret@db/nova")
    monkeypatch.setenv("CLOUD_TRANSPORT_URL", "amqps://nova:s3cret@bus/")
    with Machine(directory, Settings(Layout(1))) as machine:
        machine.start()
        assert len(machine.statuses()) == 15
        for status in machine.statuses():
            assert b"s3cret" not in Path(f"/proc/{status.pid}/environ").read_bytes()
    assert (directory.stat().st_mode & 0o777, (directory / "inventory.yaml").stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_death_of_rsyslogd_is_in_its_hosts_log_once_it_is_back(directory: Path) -> None:
    with Machine(directory, Settings(Layout(1))) as machine:
        machine.start()
        (pid,) = [
            status.pid
            for status in machine.statuses()
            if (status.program.name, status.program.host) == ("rsyslogd", "compute-01")
        ]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        said: Parameters = {"host": "compute-01", "service": "cloud-up"}
        with CollectorClient(machine.http_url) as client:

            def is_on_record() -> bool:
                machine.watch()
                return len(client.rows(said)) == 2

            wait_until(is_on_record, 20, "both lines")
            ended, started = (row["message"] for row in client.rows(said))
            assert "rsyslogd on compute-01 was killed by SIGKILL" in ended
            assert "rsyslogd on compute-01 started again" in started


def test_without_rsyslogd_services_send_straight_to_the_collector(directory: Path) -> None:
    with Machine(directory, Settings(Layout(1), has_rsyslog=False)) as machine:
        machine.start()
        assert machine.syslog_address("compute-01") == machine.syslog_url
        of_compute: Parameters = {"host": "compute-01", "service": "nova-compute"}
        with CollectorClient(machine.http_url) as client:
            wait_until(lambda: len(client.rows(of_compute)) >= 2, what="the first lines of nova-compute")
            rows = client.rows(of_compute)
    assert rows[0]["event"] == "service.start"
    assert {row["facility"] for row in rows} == {"local1"}
    assert all("sequence" not in row for row in rows)


def test_a_directory_too_deep_for_a_socket_gets_one_elsewhere(directory: Path) -> None:
    deep = directory / ("d" * 100)
    done = subprocess.run([*UP, "--once", "--data", str(deep)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
