"""Through a real ssh and sshd, which talk over a pipe: nothing listens, and keys and configuration are this test's."""

import getpass
import gzip
import os
import subprocess
from pathlib import Path

import pytest

from cloud.logs.backfill.client import BackfillClient
from cloud.logs.backfill.files import LogFile, ReadError, list_files, unpacked
from cloud.logs.backfill.filling import Options, Outcome, backfill
from cloud.logs.backfill.remote import SshFiles
from cloud.logs.collector.lines import Run
from tests.backfill.collecting import LineCollector, line, lines

pytestmark = pytest.mark.server

SSHD = "/usr/sbin/sshd"


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ssh's configuration, in which `there` is this machine."""
    directory = tmp_path_factory.mktemp("ssh")
    for key in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(directory / key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=20)
    (directory / "known_hosts").write_text("there " + (directory / "host_key.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(
            mode=0o755, exist_ok=True
        )  # where root's sshd leads those to whom it does not trust yet
    (directory / "sshd_config").write_text(
        f"HostKey {directory}/host_key\n"
        f"AuthorizedKeysFile {directory}/user_key.pub\n"
        f"UsePAM {'yes' if os.geteuid() == 0 else 'no'}\n"
        "PidFile none\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n"
    )
    path = directory / "ssh_config"
    path.write_text(
        f"Host there\n  HostKeyAlias there\n  User {getpass.getuser()}\n  IdentityFile {directory}/user_key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {directory}/known_hosts\n  StrictHostKeyChecking yes\n"
        f"  ProxyCommand {SSHD} -i -f {directory}/sshd_config\n"
        "Host nowhere\n  ProxyCommand false\n"
    )
    return path


def test_a_host_is_filled_through_ssh(
    collector: LineCollector, client: BackfillClient, configuration: Path, tmp_path: Path, run_a: Run, run_b: Run
) -> None:
    directory = tmp_path / "it's $(touch x); a\ndirectory"
    directory.mkdir()
    collector.receive(*lines(run_a, 1, 10), line(run_b, 1))
    packed = gzip.compress(b"".join(each + b"\n" for each in lines(run_a, 1, 15000)))
    (directory / "nova.log.1.gz").write_bytes(packed)
    (directory / "nova.log").write_bytes(line(run_a, 15001, b"\xff") + b"\n" + line(run_b, 1) + b"\n")
    said: list[str] = []
    files = SshFiles("there", str(directory), configuration)
    assert list(backfill(files, client, Options(), said.append)) == [
        Outcome(run_a, missing=14991, found=14991, filled=14991, still_missing=0, state="closed")
    ]
    assert said == []
    assert collector.numbers(run_a) == dict.fromkeys(range(1, 15002), 1)
    assert not (tmp_path / "x").exists()


def test_what_goes_wrong_there_is_one_clear_line(configuration: Path, tmp_path: Path) -> None:
    none = SshFiles("there", str(tmp_path / "none"), configuration)
    with pytest.raises(ReadError, match=rf"cannot list {tmp_path}/none on there: .*none.*"):
        list_files(none)
    with (
        pytest.raises(ReadError, match=rf"cannot read {tmp_path}/none/nova.log on there: .*No such file"),
        unpacked(none, LogFile("nova.log", 1)) as stream,
    ):
        assert stream.read() == b""
    with pytest.raises(ReadError, match=r"cannot list /x on nowhere: .*[Cc]onnection"):
        list_files(SshFiles("nowhere", "/x", configuration))


def test_a_reader_that_has_enough_ends_the_command(configuration: Path, tmp_path: Path) -> None:
    (tmp_path / "nova.log").write_bytes(b"x" * 10_000_000)
    with unpacked(SshFiles("there", str(tmp_path), configuration), LogFile("nova.log", 1)) as stream:
        assert stream.read(10) == b"x" * 10


@pytest.mark.parametrize("target", ["-oProxyCommand=touch x", "", "a b", "host;id", "--"])
def test_a_target_that_is_an_option_is_refused(target: str) -> None:
    with pytest.raises(ReadError, match=r"cannot use ssh target .*: expected USER@HOST"):
        SshFiles(target, "/var/log/nova")
