from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud.logs.collector.receivers.settings import ListenerSettings, TlsSettings
from cloud.logs.collector.settings import CollectorSettings, SettingsError, load_settings
from cloud.logs.collector.storage.policy import KEEP_ALL, Policy
from cloud.logs.collector.storage.settings import StoreSettings


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
        buffer_bytes = 33554432
        """,
    )
    settings = load_settings(file)
    assert [(each.host, each.port, each.max_message_bytes, each.max_connections) for each in settings.listeners()] == [
        ("127.0.0.1", 5514, 2048, 5),
        ("::1", 0, 2048, 5),
    ]
    assert settings.http_address() == ("localhost", 9000)
    assert (settings.data, settings.buffer_bytes) == (Path("/srv/größe"), 33554432)


def test_a_listener_of_its_own_table_says_what_is_different_there(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        listen = ["udp://127.0.0.1:514"]
        max_connections = 7

        [[listener]]
        url = "tls://0.0.0.0:6514"
        framing = "octet-counted"
        max_message_bytes = 4096
        allowed_peers = ["192.0.2.0/24", "2001:db8::/32"]
        certificate = "/etc/c.pem"
        key = "/etc/k.pem"
        client_ca = "/etc/ca.pem"

        [[listener]]
        url = "relp+tls://[::]:2514"
        max_connections = 9
        certificate = "/etc/c.pem"
        key = "/etc/k.pem"
        client_certificates = "none"

        [[listener]]
        url = "unix:///run/cloud/log"
        socket_mode = "0666"
        """,
    )
    assert load_settings(file).listeners() == [
        ListenerSettings("udp", "127.0.0.1", 514, max_connections=7),
        ListenerSettings(
            "tls",
            "0.0.0.0",  # noqa: S104 - it takes certificates
            6514,
            framing="octet-counted",
            max_message_bytes=4096,
            max_connections=7,
            allowed_peers=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")),
            tls=TlsSettings(Path("/etc/c.pem"), Path("/etc/k.pem"), Path("/etc/ca.pem")),
        ),
        ListenerSettings(
            "relp+tls", "::", 2514, max_connections=9, tls=TlsSettings(Path("/etc/c.pem"), Path("/etc/k.pem"), None)
        ),
        ListenerSettings("unix", path="/run/cloud/log", socket_mode=0o666, max_connections=7),
    ]


def test_with_listeners_in_tables_there_is_no_default_one_and_an_option_stands_for_all(tmp_path: Path) -> None:
    file = written(tmp_path, '[[listener]]\nurl = "relp://127.0.0.1:20514"')
    assert [each.url() for each in load_settings(file).listeners()] == ["relp://127.0.0.1:20514"]
    settings = load_settings(file, listen=("tcp://127.0.0.1:0",))
    assert [each.url() for each in settings.listeners()] == ["tcp://127.0.0.1:0"]


TLS = 'url = "tls://127.0.0.1:6514"\ncertificate = "/c"\nkey = "/k"\nclient_ca = "/ca"'
BAD_LISTENERS = [
    ("an unknown key", 'url = "tcp://127.0.0.1:1"\nnice = 1', r"listener.0.nice: Extra inputs .* \(not 1\)"),
    ("no URL", "framing = 'lf'", "listener.0.url: Field required"),
    (
        "a framing that is none",
        'url = "tcp://127.0.0.1:1"\nframing = "crlf"',
        "listener.0.framing: .*'nul'.*not 'crlf'",
    ),
    (
        "a network that is none",
        'url = "tcp://127.0.0.1:1"\nallowed_peers = ["all"]',
        "listener.0.allowed_peers: .*'all'",
    ),
    (
        "a message too large for the buffer",
        'url = "tcp://127.0.0.1:1"\nmax_message_bytes = 8388608',
        "max_message_bytes",
    ),
    (
        "TLS without a certificate",
        TLS.replace("certificate", "#"),
        "listener.0: tls://127.0.0.1:6514 takes a certificate",
    ),
    ("TLS without a key", TLS.replace("key", "#"), "listener.0: tls://127.0.0.1:6514 takes a key"),
    (
        "TLS without a CA",
        TLS.replace("client_ca", "#"),
        "listener.0: tls://127.0.0.1:6514 takes a client_ca, or client_cert",
    ),
    (
        "a key without TLS",
        'url = "tcp://127.0.0.1:1"\nkey = "/k"',
        "listener.0: key is not for tcp://127.0.0.1:1, only for tls",
    ),
    ("framing for RELP", 'url = "relp://127.0.0.1:1"\nframing = "lf"', "listener.0: framing is not for relp://"),
    (
        "peers for a path",
        'url = "unix:///x"\nallowed_peers = ["::/0"]',
        "listener.0: allowed_peers is not for unix:///x",
    ),
    ("a mode that is none", 'url = "unix:///x"\nsocket_mode = "rw"', "listener.0.socket_mode: .*not 'rw'"),
    ("a path that is none", 'url = "unix://x"', "cannot use address unix://x: expected unix:///PATH"),
    (
        "plain RELP in the open",
        'url = "relp://0.0.0.0:1"',
        "cannot listen on relp://0.0.0.0:1: plain RELP beyond loopback",
    ),
    ("UDP in the open", 'url = "udp://0.0.0.0:1"', "cannot listen on udp://0.0.0.0:1: UDP beyond loopback"),
]


@pytest.mark.parametrize(("text", "message"), [pytest.param(*case, id=name) for name, *case in BAD_LISTENERS])
def test_what_is_wrong_with_a_listener_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, f"[[listener]]\n{text}\n")
    with pytest.raises(SettingsError, match=f"cannot use settings {file}: .*{message}"):
        load_settings(file)


def test_tls_takes_a_table() -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on tls://127.0.0.1:1: .* \[\[listener\]\] table"):
        load_settings(None, listen=("tls://127.0.0.1:1",))


def test_options_win_over_the_file_and_what_was_not_given_does_not(tmp_path: Path) -> None:
    file = written(tmp_path, 'http = "127.0.0.1:9000"\ndata = "/a"\nallow_plaintext = true')
    settings = load_settings(file, http=None, data=Path("/b"), listen=(), allow_plaintext=None)
    assert (settings.http, settings.data, settings.allow_plaintext) == ("127.0.0.1:9000", Path("/b"), True)


def test_without_retention_everything_is_kept_in_a_store_as_it_is_by_default() -> None:
    settings = load_settings(None)
    assert (settings.policy(), settings.store_settings()) == (KEEP_ALL, StoreSettings())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("[retention]\nrest = '30d'", 0),
        ("[retention]\nmax_gb = 200", 50_000_000_000),
        ("host_daily_bytes = 1000", 1000),
        ("host_daily_bytes = 0\n[retention]\nmax_gb = 200", 0),
        ("host_daily_bytes = 1000\n[retention]\nmax_gb = 200", 1000),
    ],
)
def test_a_host_may_have_a_quarter_of_the_store_written_a_day_unless_told_otherwise(
    tmp_path: Path, text: str, expected: int
) -> None:
    file = tmp_path / "collector.toml"
    file.write_text(text)
    assert load_settings(file).host_budget() == expected


def test_store_and_retention_have_tables(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [store]
        memory_limit = "512MB"
        seal_s = 600
        seal_rows = 1000000

        [retention]
        debug = "3d"
        rest = "30d"
        max_gb = 200
        """,
    )
    settings = load_settings(file)
    assert settings.store_settings() == StoreSettings(memory_limit="512MB", seal_s=600, seal_rows=1_000_000)
    assert settings.policy() == Policy(dict.fromkeys(range(7), 30 * 86_400) | {7: 3 * 86_400}, 200_000_000_000)


BAD_FILES = [
    ("an age that is none", "[retention]\ndebug = '3 days'", "cannot use settings {file}: retention: .*'debug 3 days'"),
    ("a severity that is none", "[retention]\nloud = '3d'", "cannot use settings {file}: retention: .*'loud 3d'"),
    ("a size that is none", "[retention]\nmax_gb = -1", "cannot use settings {file}: retention: .*'max_gb -1'"),
    ("a budget below nothing", "host_daily_bytes = -1", "cannot use settings {file}: host_daily_bytes: .*not -1"),
    ("a budget that is no number", "host_daily_bytes = '5'", "cannot use settings {file}: host_daily_bytes: .*not '5'"),
    ("a budget that is a claim", "host_daily_bytes = true", "cannot use settings {file}: host_daily_bytes: .*not True"),
    ("memory without a unit", "[store]\nmemory_limit = '512'", "cannot use settings {file}: store.memory_limit: "),
    ("an unknown key of the store", "[store]\nseal = 1", "cannot use settings {file}: store.seal: Extra inputs"),
    ("not TOML", "listen = [", "cannot read settings {file}: "),
    ("an unknown key", 'colour = "red"', "cannot use settings {file}: colour: Extra inputs are not permitted"),
    ("a wrong type", "max_connections = 'many'", "cannot use settings {file}: max_connections: "),
    ("too small", "max_connections = 0", "cannot use settings {file}: max_connections: "),
    ("too large", "max_message_bytes = 1000000000", "cannot use settings {file}: max_message_bytes: "),
    ("a string for a list", 'listen = "tcp://127.0.0.1:1"', "cannot use settings {file}: listen: "),
    ("a number in a list", "listen = [5]", "cannot use settings {file}: listen.0: "),
    ("an empty list", "listen = []", "cannot use settings {file}: listen: .*expected at least one address"),
    ("a buffer too small", "buffer_bytes = 1000", "cannot use settings {file}: buffer_bytes: .*not 1000"),
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
    "http://127.0.0.1:514",
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


HTTPS = {"http_certificate": "/tls/cert.pem", "http_key": "/tls/key.pem"}
IDENTITY = {"auth_url": "https://identity.example.com:5000/v3"}
HTTP_BEYOND_LOOPBACK: list[tuple[str, dict[str, object], bool, str]] = [
    ("nothing", {}, False, "without authentication it stays on loopback; make a key with cloud log key create"),
    ("TLS without keys", {**HTTPS}, False, r"without authentication .* or set \[identity\]"),
    ("keys without TLS", {}, True, "without TLS it stays on loopback; set http_certificate and http_key"),
    ("identity without TLS", {"identity": IDENTITY}, False, "without TLS it stays on loopback"),
    ("a certificate without its key", {"http_certificate": "/tls/cert.pem"}, True, "http_key is missing"),
    ("a key without its certificate", {"http_key": "/tls/key.pem"}, True, "http_certificate is missing"),
]


@pytest.mark.parametrize(
    ("table", "has_keys", "cause"), [pytest.param(*rest, id=name) for name, *rest in HTTP_BEYOND_LOOPBACK]
)
def test_http_leaves_loopback_only_with_authentication_and_tls(
    table: dict[str, object], has_keys: bool, cause: str
) -> None:
    settings = CollectorSettings.model_validate({"http": "192.0.2.1:8443", **table})
    with pytest.raises(SettingsError, match=f"cannot serve HTTP on 192.0.2.1:8443: {cause}"):
        settings.http_address(has_keys=has_keys)


def test_http_with_authentication_and_tls_is_served_anywhere_under_its_names() -> None:
    for more, has_keys in (({}, True), ({"identity": IDENTITY}, False)):
        settings = CollectorSettings.model_validate({"http": "192.0.2.1:8443", **HTTPS, **more})
        assert settings.http_address(has_keys=has_keys) == ("192.0.2.1", 8443)
        assert settings.http_called() == ("192.0.2.1",)
    tls = settings.http_tls()
    assert tls is not None
    assert (tls.certificate, tls.key, tls.client_ca) == (Path("/tls/cert.pem"), Path("/tls/key.pem"), None)
    everywhere = CollectorSettings.model_validate({"http": "[::]:8443", **HTTPS})
    with pytest.raises(SettingsError, match="set http_names to those that clients use"):
        everywhere.http_address(has_keys=True)
    named = CollectorSettings.model_validate(
        {"http": "[::]:8443", **HTTPS, "http_names": ["logs.example.com", "2001:db8::1"]}
    )
    assert named.http_address(has_keys=True) == ("::", 8443)
    assert named.http_called() == ("logs.example.com", "[2001:db8::1]")


@pytest.mark.parametrize("name", ["*", "*.example.com", "", "a b", "a/b", "a,b"])
def test_a_name_that_would_stand_for_others_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="http_names"):
        CollectorSettings.model_validate({"http_names": [name]})


IDENTITIES: list[tuple[str, dict[str, object], str | None]] = [
    ("https", {"auth_url": "https://identity.example.com:5000"}, None),
    ("loopback in plain text", {"auth_url": "http://127.0.0.1:5000/v2.0"}, None),
    ("plain text", {"auth_url": "http://192.0.2.9:5000"}, "cannot use identity.auth_url .*tokens could be read"),
    ("no URL", {"auth_url": "identity"}, "identity.auth_url"),
    ("a password in the URL", {"auth_url": "https://a:b@identity"}, "identity.auth_url"),
    ("nothing", {}, "identity.auth_url"),
    ("a role that there is not", {"auth_url": "https://i", "roles": {"admin": "root"}}, "identity.roles.admin"),
    ("a role that is nobody's", {"auth_url": "https://i", "roles": {"auditor": "member"}}, "identity.roles.auditor"),
]


@pytest.mark.parametrize(("table", "cause"), [pytest.param(*rest, id=name) for name, *rest in IDENTITIES])
def test_an_identity_service_is_asked_where_nobody_listens_in(
    tmp_path: Path, table: dict[str, object], cause: str | None
) -> None:
    file = tmp_path / "collector.toml"
    roles = table.get("roles")
    lines = [f'auth_url = "{table["auth_url"]}"'] if "auth_url" in table else []
    lines += [f'roles.{name} = "{role}"' for name, role in roles.items()] if isinstance(roles, dict) else []
    file.write_text("\n".join(["[identity]", *lines]))
    if cause is None:
        identity = load_settings(file).identity
        assert identity is not None
        assert identity.roles == {"admin": "admin"}
        assert identity.base_url == str(table["auth_url"]).removesuffix("/v2.0")
    else:
        with pytest.raises(SettingsError, match=cause):
            load_settings(file)


@pytest.mark.parametrize("address", ["127.0.0.1", "8080", ":8080", "http://127.0.0.1:80", "127.0.0.1:80/x"])
def test_an_http_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(SettingsError, match="cannot use address "):
        CollectorSettings(http=address).http_address()
