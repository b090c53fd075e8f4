"""HTTPS: the certificate and the key of the settings, as they are at each handshake."""

import ssl

from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.settings import TlsSettings
from cloud.logs.collector.receivers.tls import TlsContext, tls_context


def https_context(settings: TlsSettings) -> ssl.SSLContext:
    """For a server; who renews the files need not restart it. `ListenError` names the file that cannot be used."""
    files = TlsContext(settings, Complaints())
    context = tls_context(settings)

    def renew(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = files.current()

    context.sni_callback = renew  # Python calls it at each handshake, whether a name was sent or not
    return context
