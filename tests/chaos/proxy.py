"""The network between hosts and collector: a TCP proxy that can be cut, and that can let nothing through."""

import contextlib
import socket
import struct
import threading

_CHUNK_BYTES = 16 << 10
_POLL_S = 0.2
_ETHERNET_SEGMENT_BYTES = 1460
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the other side gets a reset, as from a firewall or a machine that is gone


class Proxy:
    """From a port of loopback to another. Two threads for each connection."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        # Of loopback's own 64 KiB the kernel waits for so much room that a window that was shut opens 30 s late.
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _ETHERNET_SEGMENT_BYTES)
        self.port: int = self._server.getsockname()[1]
        self._is_open = threading.Event()
        self._is_open.set()
        self._is_flowing = threading.Event()
        self._is_flowing.set()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset every connection, wherever its bytes are, and each new one at once, until `heal`."""
        self._is_open.clear()
        self.reset()

    def reset(self) -> None:
        """Reset every connection; new ones are accepted."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _reset(*pair)

    def hold(self) -> None:
        """Let nothing through, either way, until `heal`; nobody is told."""
        self._is_flowing.clear()

    def heal(self) -> None:
        """Let through what was held, also on connections that were given up meanwhile."""
        self._is_open.set()
        self._is_flowing.set()

    def close(self) -> None:
        self._closing.set()
        self._server.close()
        self.heal()
        self.reset()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                host, _ = self._server.accept()
            except OSError:  # closed
                return
            host.settimeout(_POLL_S)
            if not self._is_open.is_set():
                _reset(host)
                continue
            try:
                collector = socket.create_connection(("127.0.0.1", self._target_port), timeout=_POLL_S)
            except OSError:
                _reset(host)
                continue
            pair = (host, collector)
            with self._lock:
                self._pairs.add(pair)
            for source, target in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(source, target, pair), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        try:
            while chunk := self._received(source):
                self._is_flowing.wait()
                _send_all(target, chunk, self._closing)
            self._is_flowing.wait()
            target.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            with self._lock:
                self._pairs.discard(pair)
            _reset(*pair)

    def _received(self, source: socket.socket) -> bytes:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                return source.recv(_CHUNK_BYTES)
        return b""


def _send_all(target: socket.socket, chunk: bytes, closing: threading.Event) -> None:
    rest = memoryview(chunk)
    while rest and not closing.is_set():
        with contextlib.suppress(TimeoutError):
            rest = rest[target.send(rest) :]


def _reset(*connections: socket.socket) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):  # closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)  # close alone would not wake the thread that reads
        connection.close()
