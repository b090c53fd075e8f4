"""The client's side: the key or token that the command line shows, and never on an argument list."""

import os
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.logs.loopback import is_loopback

KEY_VARIABLE = "CLOUD_LOG_KEY"
KEY_FILE_VARIABLE = "CLOUD_LOG_KEY_FILE"
CA_VARIABLE = "CLOUD_LOG_CA"
MAX_KEY_BYTES = 4096


class ClientKeyError(Exception):
    """The key cannot be used; the message names the file or variable, never the key."""


def configured(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """A file of the user's own settings: `log-key`, or `log-ca.pem`; it may not be there."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "cloud" / name


def read_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key of CLOUD_LOG_KEY, else of the file CLOUD_LOG_KEY_FILE, else of ~/.config/cloud/log-key, else None."""
    if text := environment.get(KEY_VARIABLE, "").strip():
        return _checked(text, KEY_VARIABLE)
    if name := environment.get(KEY_FILE_VARIABLE):
        return key_of(Path(name))
    own = configured("log-key", environment)
    return key_of(own) if own.exists() else None


def key_of(path: Path) -> str:
    """The key in a file, which is this user's and nobody else's to read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(MAX_KEY_BYTES + 1)
    except OSError as exc:
        raise ClientKeyError(f"cannot read key file {path}: {exc}") from exc
    if status.st_uid not in (os.geteuid(), 0):
        raise ClientKeyError(f"cannot use key file {path}: it belongs to somebody else")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ClientKeyError(f"cannot use key file {path}: others may read or change it; chmod 600 {path}")
    return _checked(text.decode("latin-1").strip(), str(path))


def connection(url: str, key_file: Path | None = None) -> dict[str, Any]:
    """What httpx.Client takes, beside the URL, to be let in there: the key of `key_file`, else that of `read_key`.

    `ClientKeyError` rather than a key that a network could read. Proxies of the environment are not used.
    """
    key = read_key() if key_file is None else key_of(key_file)
    if key is not None:
        check_private(url)
    verify = {"verify": trust()} if urlsplit(url).scheme == "https" else {}
    return {"headers": _bearer(key), "trust_env": False, **verify}


def check_private(url: str) -> None:
    """`ClientKeyError` where a network could read what is sent to `url`."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ClientKeyError(f"cannot send a key to {url}: without https that network could read it")


def trust(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext | bool:
    """Who must have signed the collector's certificate: CLOUD_LOG_CA, ~/.config/cloud/log-ca.pem, or the usual."""
    named = environment.get(CA_VARIABLE)
    path = Path(named) if named else configured("log-ca.pem", environment)
    if not named and not path.exists():
        return True
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as exc:
        raise ClientKeyError(f"cannot use CA {path}: {exc}") from exc


def _bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _checked(text: str, where: str) -> str:
    if not text or len(text) > MAX_KEY_BYTES or not (text.isascii() and text.isprintable()) or " " in text:
        raise ClientKeyError(f"cannot use the key in {where}: expected one line, as cloud log key create wrote it")
    return text
