"""The image service as a process: it starts, is killed in the middle of an upload, and starts again."""

import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from tests.image.test_v2 import created
from tests.waiting import wait_until

MAIN = "from cloud.services.image.daemon import main; main()"
MIB = 1 << 20


class Host:
    """A directory with nova.conf, and a port for the service."""

    def __init__(self, directory: Path, identity_url: str) -> None:
        self.directory = directory
        self.images = directory / "images"
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.identity_url = identity_url
        self.write("")

    def write(self, options: str) -> None:
        (self.directory / "nova.conf").write_text(
            f"[DEFAULT]\nhost = controller-01\nstate_path = {self.directory}\ngraceful_shutdown_timeout = 0.2\n"
            f"transport_url = redis+socket://{self.directory}/no-redis.sock\n"
            f"[image]\nport = {self.port}\nidentity_url = {self.identity_url}\n{options}"
        )


@pytest.fixture
def host(identity_url: str) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        yield Host(Path(directory), identity_url)


@pytest.fixture
def alice(host: Host) -> Iterator[httpx.Client]:
    url, headers = f"http://127.0.0.1:{host.port}", {"X-Auth-Token": "alice-token"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, verify=False, timeout=60) as client:  # noqa: S501
        yield client


@pytest.fixture
def run(host: Host, alice: httpx.Client) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def is_up() -> bool:
        with suppress(httpx.TransportError):
            return alice.get("/").status_code == 300
        return False

    def run() -> "subprocess.Popen[str]":
        started.append(launched(host))
        wait_until(is_up, timeout_s=60, what="the image service")
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def launched(host: Host) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", MAIN, "--config-file", str(host.directory / "nova.conf")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_a_service_that_is_killed_during_an_upload_has_what_it_had_and_no_half(
    host: Host, alice: httpx.Client, run: Callable[[], "subprocess.Popen[str]"]
) -> None:
    process = run()
    kept, lost = created(alice), created(alice)
    assert alice.put(kept["file"], content=b"abc").status_code == 204
    with closing(socket.create_connection(("127.0.0.1", host.port), timeout=30)) as sock:
        head = (
            f"PUT {lost['file']} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: alice-token\r\nContent-Length: {8 * MIB}\r\n\r\n"
        )
        sock.sendall(head.encode() + b"x" * (4 * MIB))
        wait_until(lambda: [path for path in host.images.glob("unfinished-*") if path.stat().st_size >= MIB])
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert list(host.images.glob("unfinished-*"))
    run()
    assert sorted(path.name for path in host.images.iterdir()) == sorted(
        [f"{kept['id']}.data", f"{kept['id']}.json", f"{lost['id']}.json", "lock"]
    )
    assert alice.get(kept["file"]).content == b"abc"
    assert alice.get(lost["self"]).json()["status"] == "queued"
    assert alice.put(lost["file"], content=b"def").status_code == 204
    assert stat.S_IMODE(host.images.stat().st_mode) == 0o700


def test_it_stops_when_told(run: Callable[[], "subprocess.Popen[str]"]) -> None:
    process = run()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_its_memory_does_not_grow_with_the_image(
    alice: httpx.Client, run: Callable[[], "subprocess.Popen[str]"]
) -> None:
    process = run()

    def peak_kib() -> int:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    def through(size_mib: int) -> None:
        digest, got = hashlib.sha256(), hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for number in range(size_mib):
                piece = bytes([number % 256]) * MIB
                digest.update(piece)
                yield piece

        image = created(alice)
        assert alice.put(image["file"], content=pieces()).status_code == 204
        with alice.stream("GET", image["file"]) as answer:
            for piece in answer.iter_raw():
                got.update(piece)
        assert got.digest() == digest.digest()

    through(4)
    before_kib = peak_kib()
    through(256)
    assert peak_kib() - before_kib < 16 << 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "listen = 0.0.0.0\n",
            "image: cannot listen on http://0.0.0.0:{port}: beyond loopback it takes a certificate\n",
        ),
        ("directory = /dev/null/images\n", "image: cannot use image directory /dev/null/images: "),
        ("certificate = /nonesuch\n", "image: cannot listen on https://127.0.0.1:{port}: "),
        ("max_images = 0\n", "image: cannot use option [image] max_images of "),
    ],
)
def test_what_keeps_it_from_starting_is_said(host: Host, options: str, message: str) -> None:
    host.write(options)
    process = launched(host)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message.format(port=host.port) in said


def test_a_port_or_a_directory_that_is_taken_is_said(
    host: Host, run: Callable[[], "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    run()
    for options, message in (
        ("", f"cannot use image directory {host.images}: another image service has it"),
        (f"directory = {tmp_path}/other\n", f"cannot listen on http://127.0.0.1:{host.port}: [Errno 98]"),
    ):
        host.write(options)
        process = launched(host)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, message in said) == (1, True)


def test_it_is_run_by_the_command_line_too() -> None:
    command = [sys.executable, "-c", "from cloud.cli.main import main; main()", "service", "image", "--help"]
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert "Run image until SIGTERM." in done.stdout
