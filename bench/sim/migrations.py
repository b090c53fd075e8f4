"""Migrations, asked for over HTTP by several clients at once, some of them made to fail, until each has ended."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from bench.sim.api import Api
from bench.sim.choice import Task
from bench.sim.cloud import SimulatedCloud
from bench.sim.knobs import KnobFiles
from cloud.domain.migration import ENDED, MigrationStatus

CLIENTS = 12
POLL_S = 0.7
END_S = 600.0
"""For one migration."""
TURN_S = 0.2
TOLD_EVERY_S = 20.0
VERSION = "2.30"

Job = tuple[Callable[[], None], "Future[None]"]


@dataclass(frozen=True, slots=True)
class Moved:
    """A migration that has come to its end."""

    task: Task
    migration_id: int
    status: MigrationStatus
    request_id: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Migrations:
    """All that were asked for."""

    moved: tuple[Moved, ...]
    took_s: float

    @property
    def per_minute(self) -> float:
        return 60 * len(self.moved) / self.took_s


class GivenUpError(Exception):
    """Another migration has gone so wrong that the run is at its end."""


class Migrator:
    """Asks in threads. Processes are killed and started by the thread that has called `run`, to whom they belong."""

    def __init__(self, api: Api, cloud: SimulatedCloud, tell: Callable[[str], None]) -> None:
        self._api = api
        self._cloud = cloud
        self._tell = tell
        self._knobs = KnobFiles(cloud.hosts_directory)
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._given_up = threading.Event()
        self._tasks: dict[str, Task] = {}
        """Under way."""
        self._mortal = {process.hosts[0]: threading.Lock() for process in cloud.processes if len(process.hosts) == 1}

    def run(self, tasks: Sequence[Task]) -> Migrations:
        """Return when all have ended; TimeoutError for one that does not."""
        started_s = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(self._migrate, task) for task in tasks]
            try:
                told_s = started_s
                while (done := sum(future.done() for future in futures)) < len(futures):
                    if time.monotonic() - told_s >= TOLD_EVERY_S:
                        told_s = time.monotonic()
                        self._tell(f"{done} of {len(futures)} migrations have ended; under way: {self._under_way()}")
                    self._do_jobs()
                    self._cloud.watch()
                    _raise_first(futures)
            except BaseException:
                self._given_up.set()  # or those that are under way would wait for us
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        moved = tuple(future.result() for future in futures)
        return Migrations(moved, time.monotonic() - started_s)

    def _under_way(self) -> str:
        names = Counter(task.way.name for task in list(self._tasks.values()))
        return ", ".join(f"{name} {count}" for name, count in sorted(names.items())) or "none"

    def _do_jobs(self) -> None:
        try:
            job, done = self._jobs.get(timeout=TURN_S)
        except Empty:
            return
        try:
            done.set_result(job())
        except Exception as exc:  # noqa: BLE001 - whoever wanted it gets it
            done.set_exception(exc)

    def _migrate(self, task: Task) -> Moved:
        stage = _Stage(task, self._api, self._knobs, self)
        with self._alone(task), task.way.around(stage):
            self._tasks[task.uuid] = task
            started_s = time.monotonic()
            request_id = stage.begin()
            task.way.meanwhile(stage)
            status = stage.wait_until_it_ends()
            if status is MigrationStatus.FINISHED:
                stage.confirm()
                status = stage.wait_until_it_ends()
            took_s = time.monotonic() - started_s
            del self._tasks[task.uuid]
        return Moved(task, stage.migration_id, status, request_id, took_s)

    @contextmanager
    def _alone(self, task: Task) -> Iterator[None]:
        """With the hosts that may be killed: nobody else has business there meanwhile."""
        locks = [self._mortal[host] for host in sorted({task.source, task.destination or ""}) if host in self._mortal]
        for lock in locks:
            lock.acquire()
        try:
            yield
        finally:
            for lock in locks:
                lock.release()

    def kill(self, host: str) -> None:
        """From any thread."""
        self._have_done(lambda: self._cloud.kill(host))

    def revive(self, host: str) -> None:
        """The same."""
        self._have_done(lambda: self._cloud.revive(host))

    def pause(self) -> None:
        """Between two looks; GivenUpError when nobody wants to know any more."""
        if self._given_up.wait(POLL_S):
            raise GivenUpError

    def _have_done(self, job: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._jobs.put((job, done))
        while not self._given_up.wait(TURN_S):
            if done.done():
                done.result()
                return
        raise GivenUpError


class _Stage:
    """Implements Stage."""

    def __init__(
        self,
        task: Task,
        api: Api,
        knobs: KnobFiles,
        migrator: Migrator,
    ) -> None:
        self.uuid, self.source, self.destination = task.uuid, task.source, task.destination
        self.migration_id = 0
        self.kill, self.revive, self._pause = migrator.kill, migrator.revive, migrator.pause
        self._task = task
        self._api = api
        self._knobs = knobs

    def begin(self) -> str:
        """Ask for it; the request's id."""
        way = self._task.way
        live = {"host": self.destination, "block_migration": "auto", "force": way.is_forced}
        body: dict[str, Any] = {"migrate": None} if way.is_cold else {"os-migrateLive": live}
        answer = self._api.post(f"/servers/{self.uuid}/action", body, version=VERSION)
        self.migration_id = int(self._newest()["id"])
        return str(answer.headers["x-compute-request-id"])

    def confirm(self) -> None:
        self._api.post(f"/servers/{self.uuid}/action", {"confirmResize": None}, version=VERSION)

    def failing(self, host: str, step: str) -> AbstractContextManager[None]:
        return self._knobs.failing(host, step, self.uuid)

    def never_converging(self) -> AbstractContextManager[None]:
        return self._knobs.never_converging(self.source, self.uuid)

    def abort(self) -> None:
        self._api.ask("DELETE", f"{self._path}/{self.migration_id}", version=VERSION).raise_for_status()

    def delete(self) -> None:
        self._api.ask("DELETE", f"/servers/{self.uuid}", version=VERSION).raise_for_status()

    def wait_until_it_transfers(self) -> None:
        deadline_s = time.monotonic() + END_S
        while time.monotonic() < deadline_s:
            if self._newest()["status"] in ENDED:
                raise RuntimeError(f"migration {self.migration_id} of {self.uuid} has ended before its transfer")
            running = self._api.get(self._path, version=VERSION)["migrations"]
            if any(each["status"] == MigrationStatus.RUNNING and each["memory_processed_bytes"] for each in running):
                return
            self._pause()
        raise TimeoutError(f"waited {END_S:g} s for the transfer of {self.uuid}")

    def wait_until_it_ends(self) -> MigrationStatus:
        """Or waits to be confirmed."""
        deadline_s = time.monotonic() + END_S
        while (status := self._newest()["status"]) not in (*ENDED, MigrationStatus.FINISHED):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"waited {END_S:g} s for migration {self.migration_id} of {self.uuid}: {status}")
            self._pause()
        return MigrationStatus(status)

    @property
    def _path(self) -> str:
        return f"/servers/{self.uuid}/migrations"

    def _newest(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(f"/os-migrations?instance_uuid={self.uuid}&limit=1", version=VERSION)
        newest: dict[str, Any] = found["migrations"][0]
        return newest


def _raise_first(futures: Sequence["Future[Moved]"]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()) is not None:
            raise error
