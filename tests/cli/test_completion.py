"""What shells complete of `cloud`: a real bash at a terminal, and the scripts of all."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.cli.completion import split
from cloud.logs.query.client import CollectorClient
from tests.cli.collecting import Collector, collecting

WAIT_S = 20.0
SHOW_LINE = r"""bind -x '"\C-x\C-l": printf "\nline<%s>\n" "$READLINE_LINE"'"""


class Bash:
    """An interactive one that completes the words of `cloud`."""

    def __init__(self, url: str, home: Path) -> None:
        command = home / "cloud"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cloud "$@"\n')
        command.chmod(0o755)
        environment = {"PATH": f"{home}:{os.environ['PATH']}", "HOME": str(home), "CLOUD_LOG_URL": url, "PS1": "$ "}
        self._terminal, other = pty.openpty()
        self._seen = ""
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment, "TERM": "dumb", "INPUTRC": "/dev/null"},
            start_new_session=True,
        )
        os.close(other)
        self._type(f'eval "$(cloud completion bash)"; {SHOW_LINE}; echo rea""dy\n')
        self._read_until("ready")

    def completed(self, begun: str) -> str:
        """The line that there is after Tab was pressed behind `begun`."""
        self._seen = ""
        self._type(f"\x15{begun}\t\x18\x0c")
        self._read_until(">\r\n")
        return self._seen.rpartition("line<")[2].partition(">\r\n")[0]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read_until(self, text: str) -> None:
        until_s = time.monotonic() + WAIT_S
        while text not in self._seen:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, until_s - time.monotonic()))
            assert ready, f"no {text!r} in {self._seen!r}"
            self._seen += os.read(self._terminal, 1 << 16).decode(errors="replace")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        found.send("compute-01", "audit")
        found.send("compute-02", "audit")
        found.send("$(reboot)", "audit")
        with CollectorClient(found.url) as client:
            client.change("POST", "/searches", {"name": "late-audits", "query": "audit"})
        yield found


@pytest.fixture(scope="module")
def bash(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bash]:
    opened = Bash(collector.url, tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("cloud log sea", "cloud log search "),
        ("cloud log search --output ta", "cloud log search --output table "),
        ("cloud log search req", "cloud log search request_id:"),
        ("cloud log search host:", "cloud log search host:compute-0"),
        ("cloud log search 'audit -service:nov", "cloud log search 'audit -service:nova-compute' "),
        ('cloud log search "(host:compute-02 OR facility:local1) serv', 'cloud log search "(host:compute-02 OR facility:local1) service:nova-compute" '),
        ("cloud log tail --service nov", "cloud log tail --service nova-compute "),
        ("cloud log search --saved la", "cloud log search --saved late-audits "),
        ("cloud log search --url http://127.0.0.1:1 host:comp", "cloud log search --url http://127.0.0.1:1 host:comp"),
    ],
)  # fmt: skip
def test_bash_completes_commands_and_what_the_collector_knows(bash: Bash, begun: str, completed: str) -> None:
    assert bash.completed(begun) == completed


def test_what_a_shell_would_run_is_not_completed(collector: Collector) -> None:
    said = listed(collector, "cloud log search host:")
    assert said == ["plain,host:compute-01", "plain,host:compute-02"]


def test_an_absent_collector_is_not_spoken_of_and_what_needs_none_is_completed(collector: Collector) -> None:
    away = Collector(0, "http://127.0.0.1:1")
    assert listed(away, "cloud log search host:") == []
    assert listed(away, "cloud log search severity:e") == ["plain,severity:emerg", "plain,severity:err"]
    assert listed(away, "cloud log search service") == ["open,service:"]


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")])
def test_each_shell_has_its_script(shell: str, word: str) -> None:
    command = [sys.executable, "-m", "cloud", "completion", shell]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert word in said
    assert f"_CLOUD_COMPLETE={shell}_complete" in said


@pytest.mark.parametrize(
    ("line", "words", "begun"),
    [
        ("cloud ", ["cloud"], ""),
        ("cloud lo", ["cloud"], "lo"),
        ("cloud 'a b", ["cloud"], "a b"),
        ("cloud 'a b ", ["cloud"], "a b "),
        ('cloud "a" ', ["cloud", "a"], ""),
        ("cloud a\\ b", ["cloud"], "a b"),
        ("cloud #x", ["cloud"], "#x"),
        ("", [], ""),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str], begun: str) -> None:
    assert split(line) == (words, begun)


def listed(collector: Collector, line: str) -> list[str]:
    environment = {
        **os.environ,
        "CLOUD_LOG_URL": collector.url,
        "_CLOUD_COMPLETE": "bash_complete",
        "_CLOUD_COMPLETE_LINE": line,
    }
    done = subprocess.run(
        [sys.executable, "-m", "cloud"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]
