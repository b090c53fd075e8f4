"""The collector's settings, from collector.toml and the command line."""

import ipaddress
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from cloud.logs.collector.framing import Framing
from cloud.logs.collector.receivers.settings import ListenerSettings, Network, Scheme, TlsSettings
from cloud.logs.collector.redaction import Redactor
from cloud.logs.collector.redaction_patterns import Patterns, checked_pattern
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.storage.settings import DEFAULTS as STORE_DEFAULTS
from cloud.logs.collector.storage.settings import StoreSettings
from cloud.logs.loopback import is_loopback

DEFAULT_LISTEN = "tcp://127.0.0.1:1024"
DEFAULT_HTTP = "127.0.0.1:8080"
DEFAULT_DATA = "/var/lib/cloud/logs"
BATCH_BYTES = 8 << 20  # of received bytes; a message must fit
BATCH_COST = 2 * BATCH_BYTES
"""What a batch takes of the buffer: its bytes, and about as much for the columns that are made of them."""
MAX_HOST_DAILY_BYTES = 1 << 60  # twice that, and a batch, fit into 64 bits
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - they are looked for, not listened on
_PLAINTEXT = {"tcp": "plain TCP", "relp": "plain RELP", "udp": "UDP"}
_ONLY_FOR: dict[str, tuple[Scheme, ...]] = {
    "framing": ("tcp", "tls"),
    "max_connections": ("tcp", "tls", "relp", "relp+tls"),
    "allowed_peers": ("tcp", "tls", "relp", "relp+tls", "udp"),
    "certificate": ("tls", "relp+tls"),
    "key": ("tls", "relp+tls"),
    "client_ca": ("tls", "relp+tls"),
    "client_certificates": ("tls", "relp+tls"),
    "socket_mode": ("unix",),
}


class SettingsError(Exception):
    """Settings that cannot be used; the message names the file or option and the value."""


class Listener(BaseModel):
    """What a `[[listener]]` of collector.toml may say, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    framing: Framing = "auto"
    max_message_bytes: int | None = Field(None, ge=1024, le=BATCH_BYTES // 2)
    max_connections: int | None = Field(None, ge=1, le=100_000)
    allowed_peers: tuple[str, ...] = ()
    """Networks such as 192.0.2.0/24; empty: everybody."""
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_certificates: Literal["required", "none"] = "required"
    socket_mode: str = Field("0660", pattern="^0?[0-7]{3}$")
    """Of a unix socket, octal: who may write to it."""

    @field_validator("allowed_peers", mode="after")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            _network(each)
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Each key is one that this kind of listener has, and TLS has all that it takes."""
        scheme = self.url.partition("://")[0]
        for key in sorted(self.model_fields_set & _ONLY_FOR.keys()):
            if scheme not in _ONLY_FOR[key]:
                raise ValueError(f"{key} is not for {self.url}, only for {', '.join(_ONLY_FOR[key])}")
        if scheme in _ONLY_FOR["key"]:
            for key in ("certificate", "key"):
                if getattr(self, key) is None:
                    raise ValueError(f"{self.url} takes a {key}")
            if self.client_certificates == "required" and self.client_ca is None:
                raise ValueError(f'{self.url} takes a client_ca, or client_certificates = "none"')
        return self


class StoreTable(BaseModel):
    """What `[store]` of collector.toml may say, under these names; the defaults are the store's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_limit: str = Field(STORE_DEFAULTS.memory_limit, pattern="^[1-9][0-9]{0,6}(MB|GB|MiB|GiB)$")
    seal_s: float = Field(STORE_DEFAULTS.seal_s, ge=1, le=86_400)
    seal_rows: int = Field(STORE_DEFAULTS.seal_rows, ge=1000, le=1_000_000_000)
    text_index: StrictBool = STORE_DEFAULTS.text_index


class RedactionTable(BaseModel):
    """What `[redaction]` of collector.toml may say, under these names; empty: lines are stored as they were sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: StrictBool = False
    """Whether to redact by the rules by which our own services do it when they emit."""
    patterns: tuple[Annotated[str, AfterValidator(checked_pattern)], ...] = ()
    """RE2; of what one matches its first group is masked, or all of it where it has none."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        Patterns(self.patterns)
        return self


class IdentityTable(BaseModel):
    """What `[identity]` of collector.toml may say, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auth_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/v2\.0|/v3)?/?$", max_length=1000)]
    """The identity service's; a version at its end is of no consequence."""
    roles: dict[str, Literal["reader", "operator", "admin"]] = Field({"admin": "admin"}, max_length=100)
    """Of the identity service's roles those that are one here; with none of them a user is a member of its project."""

    @property
    def base_url(self) -> str:
        return self.auth_url.rstrip("/").removesuffix("/v2.0").removesuffix("/v3")


class CollectorSettings(BaseModel):
    """What collector.toml may say, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: tuple[str, ...] = ()
    """Listeners of which there is nothing to say but the URL; without any here and in `listener`, DEFAULT_LISTEN."""
    listener: tuple[Listener, ...] = ()
    http: str = DEFAULT_HTTP
    http_certificate: Path | None = None
    """With `http_key`: HTTP is HTTPS; both are read again when they have changed."""
    http_key: Path | None = None
    http_names: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")], ...] = Field((), max_length=100)
    """By which clients call it, beside those of loopback and the one in `http`: names and addresses, without a port."""
    identity: IdentityTable | None = None
    """Where users of the cloud are known; without it only the collector's own keys are good."""
    data: Path = Path(DEFAULT_DATA)
    allow_plaintext: bool = False
    """Whether to listen without TLS beyond loopback: anybody on that network can read and forge lines."""
    max_message_bytes: int = Field(1 << 20, ge=1024, le=BATCH_BYTES // 2)
    """Of listeners that do not say it themselves; so is max_connections."""
    max_connections: int = Field(1000, ge=1, le=100_000)
    buffer_bytes: int = Field(192 << 20, ge=2 * BATCH_COST, le=8 << 30)
    """For what is received and not stored, as bytes and as columns. When it is full, senders are held.

    From 160 MiB on it holds a whole row group of ordinary lines: less of them at a time costs half as much again.
    """
    host_daily_bytes: StrictInt | None = Field(None, ge=0, le=MAX_HOST_DAILY_BYTES)
    """Of messages, as they are received, that one host may have stored a day; 0: as many as it likes.

    Without it a quarter of `max_gb` where that is given, else as 0.
    """
    redaction: RedactionTable = RedactionTable()
    store: StoreTable = StoreTable()
    retention: dict[str, str | int | float] = {}
    """An age such as `"3d"` by severity and for the `rest`, and `max_gb`; empty: everything is kept."""

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("listen") in ((), []) and not values.get("listener"):
            raise ValueError(f"listen: expected at least one address such as {DEFAULT_LISTEN}")
        return values

    @field_validator("retention", mode="after")
    @classmethod
    def _is_policy(cls, value: dict[str, str | int | float]) -> dict[str, str | int | float]:
        _policy(value)
        return value

    def host_budget(self) -> int:
        """Bytes a day, or 0 for no limit."""
        if self.host_daily_bytes is not None:
            return self.host_daily_bytes
        return (self.policy().max_bytes or 0) // 4

    def policy(self) -> Policy:
        return _policy(self.retention)

    def redactor(self) -> Redactor | None:
        """None where nothing is to be redacted."""
        redaction = self.redaction
        if not redaction.defaults and not redaction.patterns:
            return None
        return Redactor(defaults=redaction.defaults, patterns=redaction.patterns)

    def store_settings(self) -> StoreSettings:
        return StoreSettings(**self.store.model_dump())

    def listeners(self) -> list[ListenerSettings]:
        """What to listen on; `SettingsError` for an address that is malformed, or open without leave."""
        urls = self.listen or (() if self.listener else (DEFAULT_LISTEN,))
        return [*(self._of_url(url) for url in urls), *(self._made(each) for each in self.listener)]

    def _of_url(self, url: str) -> ListenerSettings:
        if url.startswith(("tls://", "relp+tls://")):
            raise SettingsError(f"cannot listen on {url}: a certificate and a key are named in a [[listener]] table")
        return self._made(Listener(url=url))

    def _made(self, listener: Listener) -> ListenerSettings:
        scheme, host, port, path = _parts(listener.url)
        if scheme in _PLAINTEXT and not (self.allow_plaintext or is_loopback(host)):
            raise SettingsError(
                f"cannot listen on {listener.url}: {_PLAINTEXT[scheme]} beyond loopback can be read and forged by that"
                " network; set allow_plaintext = true (--allow-plaintext) to accept that"
            )
        tls = None
        if listener.certificate is not None and listener.key is not None:
            client_ca = listener.client_ca if listener.client_certificates == "required" else None
            tls = TlsSettings(listener.certificate, listener.key, client_ca)
        return ListenerSettings(
            scheme,
            host,
            port,
            path,
            socket_mode=int(listener.socket_mode, 8),
            framing=listener.framing,
            max_message_bytes=listener.max_message_bytes or self.max_message_bytes,
            max_connections=listener.max_connections or self.max_connections,
            allowed_peers=tuple(_network(each) for each in listener.allowed_peers),
            tls=tls,
        )

    def http_address(self, *, has_keys: bool = False) -> tuple[str, int]:
        """Host and port of the HTTP server, which leaves loopback only when it asks who is calling, and by TLS.

        `has_keys` says whether there are keys of the collector's own.
        """
        host, port = _host_and_port(f"http://{self.http}", "http")
        if is_loopback(host):
            return host, port
        what = f"cannot serve HTTP on {self.http}: without"
        if self.identity is None and not has_keys:
            raise SettingsError(
                f"{what} authentication it stays on loopback; make a key with cloud log key create, or set [identity]"
            )
        if self.http_tls() is None:
            raise SettingsError(f"{what} TLS it stays on loopback; set http_certificate and http_key")
        if host in _WILDCARDS and not self.http_names:
            raise SettingsError(f"{what} a name it cannot be called there; set http_names to those that clients use")
        return host, port

    def http_tls(self) -> TlsSettings | None:
        """None where HTTP is in plain text."""
        if self.http_certificate is None and self.http_key is None:
            return None
        if self.http_certificate is None or self.http_key is None:
            missing = "http_certificate" if self.http_certificate is None else "http_key"
            raise SettingsError(f"cannot serve HTTP on {self.http}: {missing} is missing")
        return TlsSettings(self.http_certificate, self.http_key, None)

    def http_called(self) -> tuple[str, ...]:
        """The names that HTTP answers to, beside those of loopback."""
        host, _ = _host_and_port(f"http://{self.http}", "http")
        own = () if host in _WILDCARDS or is_loopback(host) else (host,)
        return tuple(f"[{name}]" if ":" in name else name for name in (*own, *self.http_names))

    def check_identity(self) -> None:
        """`SettingsError` where users' tokens would cross a network in plain text without leave."""
        if self.identity is None or self.allow_plaintext or self.identity.auth_url.startswith("https:"):
            return
        if not is_loopback(urlsplit(self.identity.auth_url).hostname or ""):
            raise SettingsError(
                f"cannot use identity.auth_url {self.identity.auth_url}: tokens could be read on their way;"
                " use https, or set allow_plaintext = true (--allow-plaintext) to accept that"
            )


def load_settings(file: Path | None, **options: object) -> CollectorSettings:
    """The settings of `file`, where `options` that are not None win; `SettingsError` names what is wrong.

    `listen` as an option stands for all listeners of the file.
    """
    content: dict[str, object] = {}
    if file is not None:
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise SettingsError(f"cannot read settings {file}: {exc}") from exc
    given = {key: value for key, value in options.items() if value not in (None, ())}
    if "listen" in given:
        content.pop("listener", None)
    try:
        settings = CollectorSettings.model_validate(content | given)
        settings.listeners()
        settings.http_tls()
        settings.check_identity()
    except ValidationError as exc:
        raise SettingsError(f"cannot use settings {file or '(options)'}: {_first(exc)}") from exc
    except SettingsError as exc:
        raise SettingsError(f"cannot use settings {file or '(options)'}: {exc}") from exc
    return settings


def _first(error: ValidationError) -> str:
    """Place, cause and value of the first thing that is wrong."""
    first = error.errors()[0]
    parts = [".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")]
    text = ": ".join(part for part in parts if part)
    value = first.get("input")
    return f"{text} (not {value!r:.80})" if isinstance(value, str | int | float) else text


def _policy(retention: Mapping[str, str | int | float]) -> Policy:
    return Policy.parse(", ".join(f"{name} {value}" for name, value in retention.items()))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as exc:
        raise ValueError(f"expected a network such as 192.0.2.0/24, not {text!r}: {exc}") from exc


def _parts(url: str) -> tuple[Scheme, str, int, str]:
    """Scheme, host, port and path of a listener's URL."""
    scheme = url.partition("://")[0]
    if scheme not in get_args(Scheme):
        raise SettingsError(f"cannot use address {url}: expected one of {_examples(get_args(Scheme))}")
    if scheme != "unix":
        return cast("Scheme", scheme), *_host_and_port(url, scheme), ""
    path = url.removeprefix("unix://")
    if not path.startswith("/"):
        raise SettingsError(f"cannot use address {url}: expected unix:///PATH")
    return "unix", "", 0, path


def _examples(schemes: Sequence[str]) -> str:
    return ", ".join("unix:///PATH" if scheme == "unix" else f"{scheme}://HOST:PORT" for scheme in schemes)


def _host_and_port(url: str, scheme: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme == scheme and parts.hostname and parts.port is not None and parts.path in ("", "/"):
            return parts.hostname, parts.port
    except ValueError as exc:
        raise SettingsError(f"cannot use address {url}: {exc}") from exc
    raise SettingsError(f"cannot use address {url}: expected {scheme}://HOST:PORT")
