"""What a TLS listener shows its peers and wants to be shown, read again when the files have changed."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.settings import TlsSettings

LOOK_S = 5.0


class TlsContext:
    """A listener's TLS. Who renews its files need not restart it: connections from then on are shown the new ones."""

    def __init__(
        self, settings: TlsSettings, complaints: Complaints, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`ListenError` names the file that cannot be used."""
        self._settings = settings
        self._complaints = complaints
        self._now_s = now_s
        self._versions = _versions(settings)
        self._context = tls_context(settings)
        self._look_s = now_s() + LOOK_S

    def current(self) -> ssl.SSLContext:
        """For the next connection. Files that do not go together, as while they are being replaced, change nothing."""
        if self._now_s() >= self._look_s:
            self._look_s = self._now_s() + LOOK_S
            versions = _versions(self._settings)
            if versions != self._versions:
                try:
                    self._context = tls_context(self._settings)
                except ListenError as exc:
                    self._complaints.warn("TLS files have changed and are not used", cause=str(exc))
                else:
                    self._versions = versions
        return self._context


def _versions(settings: TlsSettings) -> list[tuple[int, int, int] | None]:
    """What changes when a file is written or replaced; None for one that is not there."""
    versions: list[tuple[int, int, int] | None] = []
    for path in (settings.certificate, settings.key, settings.client_ca):
        try:
            status = path.stat() if path is not None else None
        except OSError:
            status = None
        versions.append(status and (status.st_ino, status.st_size, status.st_mtime_ns))
    return versions


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """A server's context, TLS 1.2 at least; `ListenError` names the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION

    def no_password() -> str:
        raise ListenError(f"cannot use key {settings.key}: it has a passphrase")

    _load(f"certificate {settings.certificate}", lambda: _probe(settings.certificate))
    _load(
        f"key {settings.key} for certificate {settings.certificate}",
        lambda: context.load_cert_chain(settings.certificate, settings.key, no_password),
    )
    if (client_ca := settings.client_ca) is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load(f"client_ca {client_ca}", lambda: context.load_verify_locations(client_ca))
    return context


def _load(what: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as exc:  # ssl.SSLError is one
        raise ListenError(f"cannot use {what}: {exc}") from exc


def _probe(certificate: Path) -> None:
    """Read the certificate alone, so that an error there is not put on the key."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
