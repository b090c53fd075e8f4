"""A real PostgreSQL of our own: Debian's programs on a temporary directory, its port on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.waiting import wait_until

PASSWORD = "hunter2-hunter2"
_SUPERUSER = "nova"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
# Sorts text as people do, not by code: what depends on the locale shows here. Nothing is flushed to disk: a server that
# is killed loses nothing by that, only a power cut would.
_INITDB = ("-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "--no-sync")
_SETTINGS = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "60", "logging_collector": "off"}


class PostgreSql:
    """A server in a directory of its own, which keeps its data and its port from one start to the next.

    As a context manager it is started, and at the end stopped and its directory removed. Whatever happens to the test
    run, its processes end with it.
    """

    def __init__(self, **settings: str) -> None:
        """`settings` of postgresql.conf go over those of a test."""
        self._settings = {**_SETTINGS, **settings}
        self._programs = _programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary = tempfile.TemporaryDirectory(prefix="t-")  # short: a socket's path has at most 107 bytes
        self.directory = Path(self._temporary.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def pid(self) -> int:
        """Its first process, which has started all others."""
        if self._process is None:
            raise RuntimeError("cannot tell the pid of PostgreSQL: it is not running")
        return self._process.pid

    @property
    def url(self) -> str:
        """The database that is always there."""
        return self._url("postgres")

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def start(self) -> None:
        """Start on the data there is, if any; return when it takes connections."""
        if not self._data.exists():
            self._initialize()
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        where = ["-D", str(self._data), "-k", str(self.directory), "-h", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_AS_SERVER, "--pdeathsig", "INT", str(self._programs / "postgres"), *where, *settings],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is pytest's alone
            )
        try:
            wait_until(self._takes_connections, _START_TIMEOUT_S, "PostgreSQL to take connections")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in its own order, cutting all connections; kill it when that takes too long."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # a fast shutdown
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would: its first process by kill -9; return when the others have followed."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        wait_until(lambda: not self._is_anything_running(), _STOP_TIMEOUT_S, "the end of all of PostgreSQL")

    def restart(self) -> None:
        self.stop()
        self.start()

    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self._log.read_text(errors="replace")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _log(self) -> Path:
        return self.directory / "postgres.log"

    def _url(self, database: str) -> str:
        return f"postgresql://{_SUPERUSER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _initialize(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(PASSWORD)
        if _IS_ROOT:
            for path in (self.directory, password_file):
                shutil.chown(path, "postgres", "postgres")
        access = ["-U", _SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
        done = subprocess.run(
            [*_AS_SERVER, str(self._programs / "initdb"), "-D", str(self._data), *access, *_INITDB],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"cannot set up PostgreSQL: {done.stderr}")

    def _takes_connections(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"cannot start PostgreSQL: {self.said()}")
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _is_anything_running(self) -> bool:
        """Whether a process works in the data directory, as each of a server does."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink() == self._data:
                    return True
            except OSError:  # ended just now, or somebody else's
                continue
        return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self._temporary.cleanup()


# PostgreSQL refuses to run as root; Debian's package brings the user.
_IS_ROOT = os.geteuid() == 0
_AS_SERVER = ["setpriv", *(("--reuid=postgres", "--regid=postgres", "--clear-groups") if _IS_ROOT else ())]


def _programs() -> Path:
    """The directory of the newest version's programs, which Debian keeps off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("cannot start PostgreSQL: there is none in /usr/lib/postgresql; make test installs it")
    return found[-1].parent
