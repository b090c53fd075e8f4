"""The collector's settings, from collector.toml and the command line."""

import ipaddress
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cloud.logs.collector.listener import ListenerSettings

DEFAULT_LISTEN = "tcp://127.0.0.1:1024"
DEFAULT_HTTP = "127.0.0.1:8080"
DEFAULT_DATA = "/var/lib/cloud/logs"


class SettingsError(Exception):
    """Settings that cannot be used; the message names the file or option and the value."""


class CollectorSettings(BaseModel):
    """What collector.toml may say, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    http: str = DEFAULT_HTTP
    data: Path = Path(DEFAULT_DATA)
    allow_plaintext: bool = False
    """Whether plain TCP may be listened on beyond loopback: anybody on that network can read and forge lines."""
    max_message_bytes: int = Field(1 << 20, ge=1024, le=64 << 20)
    max_connections: int = Field(1000, ge=1, le=100_000)
    inbox_bytes: int = Field(64 << 20, ge=1 << 20, le=8 << 30)

    @field_validator("listen", mode="after")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one address such as tcp://127.0.0.1:1024")
        return value

    def listeners(self) -> list[ListenerSettings]:
        """What to listen on; `SettingsError` for an address that is malformed, or open without leave."""
        made = []
        for url in self.listen:
            host, port = _host_and_port(url, "tcp")
            if not (self.allow_plaintext or _is_loopback(host)):
                raise SettingsError(
                    f"cannot listen on {url}: plain TCP beyond loopback can be read and forged by that network;"
                    " set allow_plaintext = true (--allow-plaintext) to accept that"
                )
            made.append(ListenerSettings(host, port, self.max_message_bytes, self.max_connections))
        return made

    def http_address(self) -> tuple[str, int]:
        """Host and port of the HTTP server, which stays on loopback: it does not ask who is calling."""
        host, port = _host_and_port(f"http://{self.http}", "http")
        if not _is_loopback(host):
            raise SettingsError(f"cannot serve HTTP on {self.http}: without authentication it stays on loopback")
        return host, port


def load_settings(file: Path | None, **options: object) -> CollectorSettings:
    """The settings of `file`, where `options` that are not None win; `SettingsError` names what is wrong."""
    content: dict[str, object] = {}
    if file is not None:
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise SettingsError(f"cannot read settings {file}: {exc}") from exc
    content |= {key: value for key, value in options.items() if value not in (None, ())}
    try:
        return CollectorSettings.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"cannot use settings {file or '(options)'}: {place}: {first['msg']}") from exc


def _host_and_port(url: str, scheme: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme == scheme and parts.hostname and parts.port is not None and parts.path in ("", "/"):
            return parts.hostname, parts.port
    except ValueError as exc:
        raise SettingsError(f"cannot use address {url}: {exc}") from exc
    raise SettingsError(f"cannot use address {url}: expected {scheme}://HOST:PORT")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
