"""`cloud log replay` as a process."""

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "cloud", "log", "replay"]
LINES = (
    "2026-01-31 10:00:00.500 7 INFO nova.compute.manager [req-1 u p - - -] [instance: b1f0c2d4-0000-4000-8000-000000000001] one\r\n"
    "2026-01-31 10:00:01.000 7 AUDIT nova.compute.resource_tracker [-] two\n"
    "without a header\n"
    "2026-01-31 10:00:02.000 7 WARNING nova.compute.manager [-] three"
)


def test_each_record_is_a_datagram_and_the_counts_are_told(tmp_path: Path) -> None:
    file = tmp_path / "nova-compute.log"
    file.write_text(LINES, newline="")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"{short}/s")
        options = ["--host", "compute-01", "--address", f"unix:{short}/s", "--name", "try"]
        done = subprocess.run([*COMMAND, str(file), *options], capture_output=True, text=True, check=False)
        received = [receiver.recv(65536).decode() for _ in range(3)]
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == (
        "replay try: sent 3 records from 4 lines\n"
        "  nova-compute         info            1\n"
        "  nova-compute         notice          1\n"
        "  nova-compute         warning         1\n"
    )
    heads, bodies = zip(*(message.split(" @cee: ") for message in received), strict=True)
    assert heads == (
        "<142>1 2026-01-31T10:00:00.500000Z compute-01 nova-compute 7 - -",
        "<141>1 2026-01-31T10:00:01.000000Z compute-01 nova-compute 7 - -",
        "<140>1 2026-01-31T10:00:02.000000Z compute-01 nova-compute 7 - -",
    )
    assert [json.loads(body) for body in bodies] == [
        {
            "message": "one",
            "level": "INFO",
            "logger": "nova.compute.manager",
            "request_id": "req-1",
            "user": "u",
            "project": "p",
            "instance": "b1f0c2d4-0000-4000-8000-000000000001",
            "replay": "try",
        },
        {
            "message": "two\nwithout a header",
            "level": "AUDIT",
            "logger": "nova.compute.resource_tracker",
            "replay": "try",
        },
        {"message": "three", "level": "WARNING", "logger": "nova.compute.manager", "replay": "try"},
    ]


def test_an_address_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "nova-compute.log"
    file.write_text(LINES)
    done = subprocess.run(
        [*COMMAND, str(file), "--host", "h", "--address", "udp://h"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: cannot replay {file}: cannot use syslog address 'udp://h': expected unix:/PATH or tcp://HOST:PORT\n"
    )
