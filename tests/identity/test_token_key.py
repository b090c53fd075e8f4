"""The file of the key: made once, private, and refused when it is not."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.services.identity.token_key import TokenKeyError, token_key

READ = """
import sys
from pathlib import Path
from cloud.services.identity.token_key import token_key
sys.stdin.readline()
print(token_key(Path(sys.argv[1])).hex())
"""


def test_key_is_made_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "identity-token.key"
    key = token_key(path)
    assert len(key) == 32
    assert token_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["identity-token.key"]
    assert token_key(tmp_path / "other.key") != key


def test_services_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READ, str(tmp_path / "key")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = {process.communicate(timeout=60) for process in processes}
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert said == {(f"{token_key(tmp_path / 'key').hex()}\n", "")}


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"a" * 63, b"g" * 64, b"a" * 64 + b"\n\n", b"a" * 1000])
def test_file_that_holds_no_key_is_refused_without_being_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TokenKeyError) as caught:
        token_key(path)
    assert str(caught.value) == f"cannot use token key {path}: it is not a line of 64 hexadecimal digits"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    token_key(path)
    path.chmod(mode)
    with pytest.raises(TokenKeyError, match="others than its owner"):
        token_key(path)


def test_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenKeyError) as caught:
        token_key(tmp_path / "none" / "key")
    assert str(caught.value) == f"cannot use token key {tmp_path}/none/key: No such file or directory"
