"""Sends prepared files as fast as they are taken, each over a connection of its own. Itself it is not measured.

python -m bench.sender PORT [--tls AUTHORITY CERTIFICATE KEY] FILE...
"""

import argparse
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--tls", nargs=3, metavar=("AUTHORITY", "CERTIFICATE", "KEY"))
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    context = None
    if options.tls:
        authority, certificate, key = options.tls
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    threads = [threading.Thread(target=send, args=(options.port, file, context)) for file in options.files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send(port: int, file: Path, context: ssl.SSLContext | None) -> None:
    """Send one file; return when the other side has taken its last byte and said so, or closed."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain, file.open("rb") as content:
        if context is None:
            plain.sendfile(content)  # the kernel copies: the sender takes little from the cores it shares
            plain.shutdown(socket.SHUT_WR)
            plain.recv(1)
            return
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            while chunk := content.read(CHUNK_BYTES):
                secured.sendall(chunk)
            with suppress(OSError):  # not everybody says good-bye before closing
                secured.unwrap()


if __name__ == "__main__":
    main()
