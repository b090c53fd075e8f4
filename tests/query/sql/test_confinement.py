"""The process of a statement without the check before it: what it could not do is not left to the parser."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.query.sql import statements

ROOT = Path(__file__).parents[3]
ESCAPE = Path("/tmp/cloud-sql-escape")  # noqa: S108 - where nothing must appear
OTHERS = (
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('/dev/stdin')",
    "COPY (SELECT 1) TO '/dev/stderr'",
    "SET enable_external_access = true",
    "SET GLOBAL lock_configuration = false",
    "SET temp_directory = '/tmp/cloud-sql-escape'",
)
UNCHECKED = sorted(
    (*statements.FILES, *statements.WRITES, *statements.NETWORK, *OTHERS), key=lambda text: "enable_logging" in text
)
"""Logging into a file comes last: no statement behind it does anything any more, so nothing of them would be seen."""


def run(texts: list[str]) -> list[str]:
    """What each statement gave; one that ends its process has `ended`, and the next ones go on in another."""
    given: list[str] = []
    while len(given) < len(texts):
        done = subprocess.run(
            [sys.executable, "-m", "tests.query.sql.unchecked"],
            input=json.dumps(texts[len(given) :]).encode(),
            capture_output=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        given += [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode:
            given.append("ended")
    return given


def test_what_was_not_checked_reads_no_file_writes_none_and_reaches_nobody(tmp_path: Path) -> None:
    secret = "cloudlog_0123456789abcdef_secret"
    for name in ("keys.json", "store-key"):
        (tmp_path / name).write_text(secret)
    before = sorted(tmp_path.iterdir())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        texts = [
            text.format(data=tmp_path, port=listener.getsockname()[1]) if "{" in text else text for text in UNCHECKED
        ]
        given = run(texts)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert len(given) == len(texts)
    for text, answer in zip(texts, given, strict=True):
        assert secret not in answer, text
        assert "root:" not in answer, text
        assert "PATH=" not in answer, text
    assert sorted(tmp_path.iterdir()) == before
    assert not ESCAPE.exists()
    refused = dict(zip(texts, given, strict=True))
    for text in OTHERS:
        assert "Exception" in refused[text], f"{text}: {refused[text]}"


TRIES = """
import os, socket
from cloud.logs.query.sql.confinement import confine
kept = open({kept!r}, "w")
confine(256 << 20, 5)
tries = {{
    "open": lambda: open("/etc/passwd"),
    "list": lambda: os.listdir("/"),
    "write": lambda: os.write(kept.fileno(), b"x"),
    "socket": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "memory": lambda: bytearray(512 << 20),
}}
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for name, run in tries.items():
    try:
        run()
    except (OSError, MemoryError) as exc:
        print(name, type(exc).__name__, flush=True)
    else:
        print(name, "done", flush=True)
os._exit(0)
"""


def test_a_confined_process_opens_nothing_writes_nothing_and_gets_no_more_memory(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = subprocess.run(
        [sys.executable, "-c", TRIES.format(kept=str(kept))], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.splitlines() == [
        "open OSError",
        "list OSError",
        "write OSError",
        "socket OSError",
        "pipe OSError",
        "memory MemoryError",
    ], done.stderr
    assert kept.read_bytes() == b""


def test_a_confined_process_is_ended_by_its_cpu() -> None:
    text = "from cloud.logs.query.sql.confinement import confine\nconfine(1 << 28, 1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, timeout=60, check=False)
    assert done.returncode < 0
