"""What stands for a collector that speaks RELP: it can keep its answers to itself, and be cut off as by kill -9."""

import contextlib
import socket
import ssl
import threading
from typing import BinaryIO

from tests.waiting import wait_until

_OPENED = b"200 OK\nrelp_version=0\nrelp_software=test\ncommands=syslog"


class RelpSink:
    """Keeps every line it is sent, repeats too, in `frames`; one connection after another, counted when it has `ended`.

    `listen` may come later than the port is known, and again after `cut`.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.frames: list[str] = []
        self.acknowledges = True
        self.ended = 0
        self._tls = tls
        self._server: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._thread = threading.Thread()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port: int = taken.getsockname()[1]

    def listen(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._serve, args=(self._server,), daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Be gone without a word: the connection is reset, and the port refuses."""
        for end in filter(None, (self._connection, self._server)):
            with contextlib.suppress(OSError):  # the other side was faster
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        if self._thread.ident is not None:
            self._thread.join(5)

    close = cut

    def wait_for(self, text: str, timeout_s: float = 10.0) -> None:
        wait_until(lambda: any(text in frame for frame in self.frames), timeout_s, f"a frame with {text!r}")

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed under us
            while True:
                connection, _ = server.accept()
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    self._connection = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                    with self._connection, self._connection.makefile("rb") as stream:
                        self._answer(stream, self._connection)
                self.ended += 1

    def _answer(self, stream: BinaryIO, connection: socket.socket) -> None:
        while (number := _word(stream)) and (command := _word(stream)):
            data = stream.read(int(size)) if (size := _word(stream, b" \n")) != b"0" else b""
            if data:
                stream.read(1)  # the trailer; it ended the size where there is no data
            if command == b"open":
                connection.sendall(b"%s rsp %d %s\n" % (number, len(_OPENED), _OPENED))
            elif command == b"close":
                connection.sendall(b"%s rsp 0\n0 serverclose 0\n" % number)
                return
            else:
                self.frames.append(data.decode())
                if self.acknowledges:
                    connection.sendall(b"%s rsp 6 200 OK\n" % number)


def _word(stream: BinaryIO, ends: bytes = b" ") -> bytes:
    """The octets before the next of `ends`, or before the end of the stream."""
    word = b""
    while (octet := stream.read(1)) not in ends:  # nothing is in everything
        word += octet
    return word
