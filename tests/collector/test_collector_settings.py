from pathlib import Path

import pytest

from cloud.logs.collector.settings import CollectorSettings, SettingsError, load_settings


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "collector.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_defaults_are_on_loopback() -> None:
    settings = load_settings(None)
    [listener] = settings.listeners()
    assert (listener.host, listener.port, listener.max_message_bytes, listener.max_connections) == (
        "127.0.0.1",
        1024,
        1 << 20,
        1000,
    )
    assert settings.http_address() == ("127.0.0.1", 8080)
    assert settings.data == Path("/var/lib/cloud/logs")


def test_a_file_says_everything(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        listen = ["tcp://127.0.0.1:5514", "tcp://[::1]:0"]
        http = "localhost:9000"
        data = "/srv/größe"
        max_message_bytes = 2048
        max_connections = 5
        inbox_bytes = 1048576
        """,
    )
    settings = load_settings(file)
    assert [(each.host, each.port, each.max_message_bytes, each.max_connections) for each in settings.listeners()] == [
        ("127.0.0.1", 5514, 2048, 5),
        ("::1", 0, 2048, 5),
    ]
    assert settings.http_address() == ("localhost", 9000)
    assert (settings.data, settings.inbox_bytes) == (Path("/srv/größe"), 1048576)


def test_options_win_over_the_file_and_what_was_not_given_does_not(tmp_path: Path) -> None:
    file = written(tmp_path, 'http = "127.0.0.1:9000"\ndata = "/a"\nallow_plaintext = true')
    settings = load_settings(file, http=None, data=Path("/b"), listen=(), allow_plaintext=None)
    assert (settings.http, settings.data, settings.allow_plaintext) == ("127.0.0.1:9000", Path("/b"), True)


BAD_FILES = [
    ("not TOML", "listen = [", "cannot read settings {file}: "),
    ("an unknown key", 'colour = "red"', "cannot use settings {file}: colour: Extra inputs are not permitted"),
    ("a wrong type", "max_connections = 'many'", "cannot use settings {file}: max_connections: "),
    ("too small", "max_connections = 0", "cannot use settings {file}: max_connections: "),
    ("too large", "max_message_bytes = 1000000000", "cannot use settings {file}: max_message_bytes: "),
    ("a string for a list", 'listen = "tcp://127.0.0.1:1"', "cannot use settings {file}: listen: "),
    ("a number in a list", "listen = [5]", "cannot use settings {file}: listen.0: "),
    ("an empty list", "listen = []", "cannot use settings {file}: listen: .*expected at least one address"),
    ("a number for an address", "http = 8080", "cannot use settings {file}: http: "),
]


@pytest.mark.parametrize(("text", "message"), [pytest.param(*case, id=name) for name, *case in BAD_FILES])
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError, match=message.format(file=file)):
        load_settings(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"cannot read settings {tmp_path / 'none.toml'}: "):
        load_settings(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'data = "gr\xf6\xdfe"')
    with pytest.raises(SettingsError, match=f"cannot read settings {tmp_path / 'latin.toml'}: "):
        load_settings(tmp_path / "latin.toml")


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(SettingsError, match=r"cannot use settings \(options\): http: "):
        load_settings(None, http=5)


BAD_ADDRESSES = [
    "udp://127.0.0.1:514",
    "127.0.0.1:514",
    "tcp://127.0.0.1",
    "tcp://:514",
    "tcp://127.0.0.1:99999",
    "tcp://127.0.0.1:x",
    "tcp://127.0.0.1:514/path",
    "tcp://[::1:514",
    "",
    "tcp://",
]


@pytest.mark.parametrize("url", BAD_ADDRESSES)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot use address "):
        CollectorSettings(listen=(url,)).listeners()


@pytest.mark.parametrize(
    "url", ["tcp://0.0.0.0:514", "tcp://[::]:514", "tcp://192.0.2.1:514", "tcp://collector.example:514"]
)
def test_plain_tcp_beyond_loopback_takes_leave(url: str) -> None:
    with pytest.raises(SettingsError, match=r"plain TCP beyond loopback .* set allow_plaintext = true"):
        CollectorSettings(listen=("tcp://127.0.0.1:514", url)).listeners()
    assert len(CollectorSettings(listen=(url,), allow_plaintext=True).listeners()) == 1


@pytest.mark.parametrize(
    "url", ["tcp://127.0.0.1:514", "tcp://127.0.0.2:514", "tcp://[::1]:514", "tcp://localhost:514"]
)
def test_plain_tcp_on_loopback_is_taken(url: str) -> None:
    assert len(CollectorSettings(listen=(url,)).listeners()) == 1


@pytest.mark.parametrize(
    "address", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "example.com:80", "127.0.0.1.example.com:80"]
)
def test_http_stays_on_loopback_whatever_is_allowed(address: str) -> None:
    with pytest.raises(SettingsError, match="without authentication it stays on loopback"):
        CollectorSettings(http=address, allow_plaintext=True).http_address()


@pytest.mark.parametrize("address", ["127.0.0.1", "8080", ":8080", "http://127.0.0.1:80", "127.0.0.1:80/x"])
def test_an_http_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(SettingsError, match="cannot use address "):
        CollectorSettings(http=address).http_address()
