"""What code inside a process of a statement might try: which of it is refused, behind the walls of the command line."""

import mmap
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from cloud.logs.query.sql.confinement import Confinement

MEMORY_BYTES = 256 << 20


def main() -> None:
    """Walls, a directory and a TCP port on 127.0.0.1 that also has a datagram; a line on stdout for each refusal."""
    *walls, place, port = sys.argv[1:]
    directory, address = Path(place), ("127.0.0.1", int(port))
    kept = (directory / "kept").open("wb", buffering=0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    confinement = Confinement(walls)
    confinement.begin()
    go = threading.Event()

    def later() -> None:
        go.wait()
        attempt("of another thread", (directory / "other").touch)

    earlier = threading.Thread(target=later)
    earlier.start()
    confinement.finish(MEMORY_BYTES, 60)
    tries: Mapping[str, Callable[[], object]] = {
        "open": (directory / "secret").read_bytes,
        "list": lambda: list(directory.iterdir()),
        "look": (directory / "secret").stat,
        "create": (directory / "new").touch,
        "remove": (directory / "removed").unlink,
        "write": lambda: kept.write(b"x"),
        "pipe": os.pipe,
        "tcp": lambda: socket.socket().connect(address),
        "udp": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", address),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(str(directory / "unix")),
        "memory": lambda: bytearray(2 * MEMORY_BYTES),
        "code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "signal": lambda: os.kill(os.getppid(), 0),
        "thread": lambda: threading.Thread(target=int).start(),
        "fork": fork,
    }
    for name, run in tries.items():
        attempt(name, run)
    go.set()
    earlier.join()
    attempt("run", lambda: os.execv("/bin/true", ["true"]))  # noqa: S606
    os._exit(0)


def attempt(name: str, run: Callable[[], object]) -> None:
    try:
        run()
    except (OSError, MemoryError, RuntimeError):
        print(name, flush=True)  # noqa: T201


def fork() -> None:
    if not os.fork():
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    main()
