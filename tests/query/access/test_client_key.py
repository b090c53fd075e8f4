"""Where the command line has its key from, and to whom it shows it."""

import os
from pathlib import Path

import pytest

from cloud.logs.query.access.client_key import ClientKeyError, configured, connection, key_of, read_key, trust
from cloud.logs.query.client import ClientError, CollectorClient
from tests.collector.receiving import Authority

KEY = "cloudlog_0123456789abcdef_" + "x" * 43


def key_file(path: Path, text: str = f"{KEY}\n", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_variable_goes_before_the_named_file_and_that_before_the_users_own(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert read_key(environment) is None
    key_file(tmp_path / "cloud" / "log-key", "own")
    assert read_key(environment) == "own"
    environment["CLOUD_LOG_KEY_FILE"] = str(key_file(tmp_path / "named", "named"))
    assert read_key(environment) == "named"
    environment["CLOUD_LOG_KEY"] = "variable"
    assert read_key(environment) == "variable"


def test_the_users_own_files_are_below_the_home_directory_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert configured("log-key", {}) == tmp_path / ".config" / "cloud" / "log-key"
    assert configured("log-key", {"XDG_CONFIG_HOME": "relative"}) == tmp_path / ".config" / "cloud" / "log-key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666, 0o610])
def test_a_key_that_others_may_read_or_change_is_not_used(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "key", mode=mode)
    with pytest.raises(ClientKeyError, match=f"cannot use key file {path}: others may read or change it; chmod 600"):
        key_of(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path / "key")
    os.chown(path, 12345, 12345)
    with pytest.raises(ClientKeyError, match="it belongs to somebody else"):
        key_of(path)


@pytest.mark.parametrize("text", ["", "\n", "two words", "one\ntwo", "x\x1b[31m", "é", "x" * 5000])
def test_what_is_no_key_is_named_by_its_place_alone(tmp_path: Path, text: str) -> None:
    path = key_file(tmp_path / "key", text)
    with pytest.raises(ClientKeyError, match=f"cannot use the key in {path}") as caught:
        key_of(path)
    assert not text.strip() or text not in str(caught.value)


def test_a_file_that_is_missing_is_named_where_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ClientKeyError, match="cannot read key file"):
        key_of(tmp_path / "missing")


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8080", "http://logs.example.com", "http://127.0.0.1.example.com:8080", "http://0.0.0.0:1"]
)
def test_no_key_crosses_a_network_in_plain_text(tmp_path: Path, url: str) -> None:
    path = key_file(tmp_path / "key")
    with pytest.raises(ClientKeyError, match=f"cannot send a key to {url}: without https"):
        connection(url, path)
    with pytest.raises(ClientError, match="without https") as caught:
        CollectorClient(url, path)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1", "https://192.0.2.1"])
def test_the_key_goes_with_each_request_where_nobody_listens_in(tmp_path: Path, url: str) -> None:
    assert connection(url, key_file(tmp_path / "key"))["headers"] == {"Authorization": f"Bearer {KEY}"}


def test_the_collectors_ca_is_the_users_own_where_there_is_one(tmp_path: Path, authority: Authority) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert trust(environment) is True
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "log-ca.pem").write_bytes(authority.certificate.read_bytes())
    own = trust(environment)
    assert not isinstance(own, bool)
    assert [dict(part[0] for part in each["subject"]) for each in own.get_ca_certs()] == [{"commonName": "ca"}]  # type: ignore[misc]
    environment["CLOUD_LOG_CA"] = str(tmp_path / "missing.pem")
    with pytest.raises(ClientKeyError, match="cannot use CA"):
        trust(environment)
