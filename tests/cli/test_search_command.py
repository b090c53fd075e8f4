"""`cloud log search`, `facets` and `export` as processes: what they print, and how they end."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cloud.cli.log_export import name_whole
from tests.cli.collecting import COMMAND, Collector, collecting


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        found.send("compute-01", *(f"audit took {number} ms" for number in range(4)))
        found.send("compute-01", "disk is gone", severity=3)
        found.send("compute-02", "-1+1 audits", "audit \x1b[31mred")
        yield found


def test_lines_are_shown_oldest_first_and_the_exit_code_is_0(collector: Collector) -> None:
    done = collector.run("search", "host:compute-01 audit", "-n", "2", "--output", "raw")
    assert (done.returncode, done.stdout, done.stderr) == (0, "audit took 2 ms\naudit took 3 ms\n", "")


def test_nothing_found_is_the_exit_code_1_without_a_word(collector: Collector) -> None:
    done = collector.run("search", "no-such-word")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_people_see_a_table(collector: Collector) -> None:
    done = collector.run("search", "severity:err OR audits", "--output", "table", "--since", "1h")
    assert done.stdout.splitlines() == [
        "TIME                     HOST        SERVICE       SEVERITY  MESSAGE",
        "2026-01-31 10:00:00.500  compute-01  nova-compute  err       disk is gone",
        "2026-01-31 10:00:00.500  compute-02  nova-compute  info      -1+1 audits",
    ]


def test_counts_are_tables_in_every_output(collector: Collector) -> None:
    query = "| count by host, severity"
    assert collector.run("search", query).stdout.splitlines() == [
        "HOST        SEVERITY  COUNT",
        "compute-01  info          4",
        "compute-02  info          2",
        "compute-01  err           1",
    ]
    assert collector.run("search", query, "--output", "csv").stdout == (
        "host,severity,count\ncompute-01,info,4\ncompute-02,info,2\ncompute-01,err,1\n"
    )
    assert [json.loads(line) for line in collector.run("search", query, "--output", "json").stdout.splitlines()] == [
        {"host": "compute-01", "severity": "info", "count": 4},
        {"host": "compute-02", "severity": "info", "count": 2},
        {"host": "compute-01", "severity": "err", "count": 1},
    ]


def test_programs_get_json_and_csv_without_control_codes_or_formulas(collector: Collector) -> None:
    done = collector.run("search", "host:compute-02", "--output", "json")
    assert "\x1b" not in done.stdout
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["-1+1 audits", "audit \x1b[31mred"]
    done = collector.run("search", "host:compute-02", "--output", "csv")
    formula, red = csv.DictReader(io.StringIO(done.stdout))
    assert (formula["message"], formula["severity"]) == ("'-1+1 audits", "info")
    assert red["message"] == "audit \x1b[31mred"  # into a pipe as it is


@pytest.mark.parametrize("query", ["host:compute-02", "host:compute-02 | count by message"])
def test_a_terminal_gets_no_control_codes_of_csv(collector: Collector, query: str) -> None:
    master, terminal = os.openpty()
    command = [*COMMAND, "search", query, "--output", "csv"]
    with os.fdopen(master, "rb", buffering=0) as shown:
        done = subprocess.run(
            command, stdout=terminal, check=False, timeout=60, env={**os.environ, "CLOUD_LOG_URL": collector.url}
        )
        text = shown.read(1 << 16)
        os.close(terminal)
    assert done.returncode == 0
    assert b"audit \\x1b[31mred" in text
    assert b"\x1b" not in text


class Answering(BaseHTTPRequestHandler):
    """Answers each question with `answer`."""

    answer: tuple[int, dict[str, object]]

    def do_GET(self) -> None:
        status, content = self.answer
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


PARTIAL: dict[str, object] = {"is_partial": True, "reached": None, "next": None, "others": {}}


@pytest.mark.parametrize(
    ("command", "status", "content", "code"),
    [
        ("search", 200, {"rows": [], **PARTIAL}, 3),
        ("search", 200, {"rows": [], **PARTIAL, "is_partial": False}, 1),
        ("facets", 200, {"facets": {}, **PARTIAL}, 3),
        ("hosts", 200, {"hosts": [], "lag_s": 0.0, **PARTIAL}, 3),
        ("search", 429, {"detail": "too many"}, 3),
        ("search", 403, {"detail": "no"}, 2),
    ],
)
def test_nothing_in_time_or_nothing_now_is_the_exit_code_3(
    command: str, status: int, content: dict[str, object], code: int
) -> None:
    handler = type("Handler", (Answering,), {"answer": (status, content)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run([*COMMAND, command, "--url", url], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout if command == "search" else b"") == (code, b"")


@pytest.mark.parametrize("wrong", [["--key-file", "/nonexistent"], ["--url", "htp:/bad"], ["--url", "http://"]])
def test_a_wrong_key_file_or_address_ends_with_2(collector: Collector, wrong: list[str]) -> None:
    done = collector.run("search", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert wrong[1] in done.stderr


def test_a_wrong_query_ends_with_2_and_a_caret_under_the_column(collector: Collector) -> None:
    done = collector.run("search", "host:a severity:>=loud")
    assert (done.returncode, done.stdout) == (2, "")
    first, *rest = done.stderr.splitlines()
    assert first.startswith("Error: the collector refuses: cannot read query at column 19: ")
    assert "emerg, alert, crit, err, warning, notice, info, debug" in done.stderr
    assert rest[:2] == ["  host:a severity:>=loud", "                    ^"]


def test_a_wrong_time_ends_with_2_before_anybody_is_asked() -> None:
    done = subprocess.run(
        [*COMMAND, "search", "--since", "yesterday", "--url", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot read time 'yesterday': expected 15m, 2h30m, 7d, now, 14:05," in done.stderr


def test_an_absent_collector_ends_with_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for command in (["search"], ["export"]):
        done = subprocess.run([*COMMAND, *command, "--url", url], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith(f"Error: cannot ask the collector at {url}: ")


def test_the_address_is_taken_from_the_users_settings(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "log-url").write_text(f"{collector.url}\n")
    environment = {name: value for name, value in os.environ.items() if name != "CLOUD_LOG_URL"}
    done = subprocess.run(
        [*COMMAND, "search", "disk", "--output", "raw"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "disk is gone\n")


def test_facets_are_the_values_that_tell_lines_apart(collector: Collector) -> None:
    done = collector.run("facets", "--output", "csv")
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["name", "value", "count"],
        ["host", "compute-01", "5"],
        ["host", "compute-02", "2"],
        ["service", "nova-compute", "7"],
        ["facility", "local1", "7"],
        ["severity", "info", "6"],
        ["severity", "err", "1"],
        ["event", "", "7"],
    ]


def test_an_export_is_in_a_file_of_its_name_only_when_it_is_whole(collector: Collector, tmp_path: Path) -> None:
    target = tmp_path / "lines.ndjson"
    done = collector.run("export", "audit", "--to", str(target), "--limit", "5")
    assert done.returncode == 3
    assert done.stderr == "Error: the export is not complete after 5 lines: there are more than 5 rows\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lines.ndjson.part"]
    before = (tmp_path / "lines.ndjson.part").read_text()
    done = collector.run("export", "audit", "--to", str(target))
    assert done.returncode == 2
    assert done.stderr == f"Error: cannot export to {target}: {target}.part exists\n"
    assert (tmp_path / "lines.ndjson.part").read_text() == before
    (tmp_path / "lines.ndjson.part").unlink()
    done = collector.run("export", "audit", "--to", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "cloud log export: 6 lines\n")
    assert [path.name for path in tmp_path.iterdir()] == ["lines.ndjson"]
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["message"] for row in rows][:4] == [f"audit took {number} ms" for number in range(4)]
    done = collector.run("export", "audit", "--to", str(target))
    assert done.returncode == 2
    assert "exists" in done.stderr


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_a_file_that_came_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_hard_links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    if not has_hard_links:
        monkeypatch.setattr(os, "link", refuse)
    part, target = tmp_path / "x.part", tmp_path / "x"
    part.write_text("new")
    target.write_text("old")
    with pytest.raises(FileExistsError):
        name_whole(part, target)
    assert (part.read_text(), target.read_text()) == ("new", "old")
    target.unlink()
    name_whole(part, target)
    assert target.read_text() == "new"
    assert not part.exists()


def test_an_export_of_nothing_is_the_exit_code_1(collector: Collector) -> None:
    done = collector.run("export", "no-such-word", "--format", "csv")
    assert (done.returncode, done.stderr) == (1, "cloud log export: 0 lines\n")
    assert done.stdout.startswith("row_id,observed_timestamp,")
    assert done.stdout.count("\n") == 1


def test_help_says_what_the_exit_codes_mean() -> None:
    done = subprocess.run([*COMMAND, "search", "--help"], capture_output=True, text=True, check=True)
    for words in (
        "0 something was found",
        "1 nothing was",
        "2 the command line or the query is wrong",
        "3 the collector",
    ):
        assert words in " ".join(done.stdout.split())


def test_the_shell_completes_commands_and_choices() -> None:
    def completed(words: str, place: int) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from cloud.cli.main import cli; cli(prog_name='cloud')"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "_CLOUD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)},
        )
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert {"search", "timeline", "trace", "migrations", "facets", "export", "hosts", "tail"} <= completed(
        "cloud log ", 2
    )
    assert completed("cloud log search --output ", 4) == {"pretty", "table", "json", "csv", "raw"}
