"""Guests of this host that may be another host's by now: the database's word against the hypervisor's.

A host that was away does not know what became of its instances. Before it says that it is up it asks, and what was
evacuated from it, is being evacuated or was put elsewhere by hand does not run here a second time.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum, auto
from typing import Protocol

from cloud.domain.instance import PowerState, TaskState
from cloud.domain.whereabouts import Departure, Whereabouts
from cloud.errors import CloudError, ComputeError, DatabaseUnavailableError, InstanceStateError
from cloud.logs.emit import logger
from cloud.rpc.errors import RpcError
from cloud.services.compute.evacuated_guest import remove_evacuated
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, VirtError


class Peers(Protocol):
    """Other hosts' nova-compute; ComputeClient is one."""

    def running_instances(self, host: str, uuids: Collection[str]) -> Collection[str]: ...


_MAY_LEAVE = (TaskState.REBUILDING, TaskState.RESIZE_REVERTING)
"""What an instance that is on this host is said to do while another one may be about to start it."""


class Verdict(Enum):
    """What becomes of a guest."""

    LEAVE = auto()
    POWER_OFF = auto()
    REMOVE = auto()
    """Off, and no guest of this host any more."""
    ASK = auto()
    """Off where the host that the database names runs it, and left otherwise: it may be the only one."""


def verdict_on(here: str, found: Whereabouts) -> Verdict:
    """Of a guest that the hypervisor of host `here` has."""
    if found.departure is Departure.UNDER_WAY:
        return Verdict.POWER_OFF
    is_here = found.host == here and not found.is_deleted
    if found.is_moving or is_here:
        return Verdict.LEAVE
    if found.departure is Departure.COMPLETED:
        return Verdict.REMOVE
    if found.departure is Departure.IN_ERROR:
        return Verdict.POWER_OFF
    return Verdict.LEAVE if found.is_deleted or found.host in (None, here) else Verdict.ASK


class Fence:
    """Any thread may ask; guests are looked through by one at a time."""

    def __init__(
        self, host: Host, peers: Peers, *, down_after_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """A host that has not said that it is up for `down_after_s` is taken for down; `clock_s` is monotonic."""
        self._host = host
        self._peers = peers
        self._down_after_s = down_after_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._is_up = False
        self._said_alive_s: float | None = None
        self._uncertain: frozenset[str] = frozenset()

    def ensure(self) -> None:
        """Look through the guests, unless that was done since the start; raises as `report` does."""
        if not self._is_up:
            self.report()

    def report(self) -> None:
        """Look through the guests. What cannot be asked, or powered off, is raised as a CloudError."""
        with self._lock:
            try:
                self._look_through()
            except (RpcError, DatabaseUnavailableError) as exc:
                raise type(exc)(f"cannot ask which guests are ours: {exc}") from exc
            self._is_up = True

    def say_alive(self, report: Callable[[], None]) -> None:
        """Have `report` say that this host is up, and before that look through the guests, where it may have been down.

        As after the start, or while nobody could be told. Afterwards they are looked through once more: what was
        evacuated between the two began while this host was still taken for down.
        """
        # Half of it, for clocks differ and messages take their time.
        was_away = self._said_alive_s is None or self._clock_s() - self._said_alive_s >= self._down_after_s / 2
        if was_away:
            self.report()
        report()
        if was_away:
            self.report()
        self._said_alive_s = self._clock_s()

    def give_up(self, uuid: str) -> None:
        """Let an instance not run here, which another host is about to start.

        InstanceStateError for one that is this host's own; ComputeError when the hypervisor fails.
        """
        with alone(self._host, uuid):
            (found,) = self._host.records.whereabouts([uuid])
            is_leaving = found.departure is Departure.UNDER_WAY
            is_here = found.host == self._host.name and not found.is_deleted
            if not is_leaving and (is_here or found.is_moving):
                raise InstanceStateError(
                    f"cannot give up instance {uuid} on {self._host.name}: it is on host {found.host}, "
                    f"and {'it is being moved' if found.is_moving else 'nobody evacuates it'}"
                )
            self._power_off(uuid, "another host is about to start the instance, its guest here is powered off")

    def _look_through(self) -> None:
        # The hypervisor first: what is spawned after it was asked is in the database by then.
        states = self._states()
        here = {each.uuid: each.task_state for each in self._host.records.instances_on_host(self._host.name)}
        doubtful = [uuid for uuid in states if here.get(uuid, TaskState.REBUILDING) in _MAY_LEAVE]
        found = self._host.records.whereabouts(doubtful) if doubtful else ()
        running = self._running_elsewhere(found, states)
        failed: list[str] = []
        for each in found:
            try:
                self._act_on(each, runs_elsewhere=each.uuid in running)
            except (RpcError, DatabaseUnavailableError):
                raise
            except CloudError as exc:
                logger.bind(instance=each.uuid, error=str(exc)).error("cannot power off a guest that is not ours")
                failed.append(str(exc))
        if failed:
            raise ComputeError("; ".join(failed))

    def _act_on(self, found: Whereabouts, *, runs_elsewhere: bool) -> None:
        if verdict_on(self._host.name, found) is Verdict.LEAVE:
            return
        with alone(self._host, found.uuid):
            (now,) = self._host.records.whereabouts([found.uuid])  # it may have changed until it was ours alone
            match verdict_on(self._host.name, now):
                case Verdict.POWER_OFF if now.departure is Departure.UNDER_WAY:
                    self._power_off(now.uuid, "instance is being evacuated, its guest here is powered off")
                case Verdict.POWER_OFF:
                    self._power_off(now.uuid, "instance's evacuation ended in error, its guest here is powered off")
                case Verdict.REMOVE:
                    self._power_off(now.uuid, "instance was evacuated, its guest here is powered off")
                    self._remove(now)
                case Verdict.ASK if runs_elsewhere and now.host == found.host:
                    self._power_off(
                        now.uuid,
                        "instance runs on another host, where it was put by hand: its guest here is powered off, "
                        "cloud doctor shows what else is stale",
                        instance_host=now.host,
                    )

    def _power_off(self, uuid: str, message: str, **fields: object) -> None:
        driver = self._host.driver
        try:
            if driver.power_state(uuid) is PowerState.SHUTDOWN:
                return
            driver.power_off(uuid)
        except InstanceMissingError:
            return
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        logger.bind(**fields).warning(message)

    def _remove(self, found: Whereabouts) -> None:
        """It is off: that it is there still is no reason not to be up."""
        try:
            remove_evacuated(self._host.driver, found)
        except VirtError as exc:
            logger.bind(error=str(exc)).warning("cannot remove the guest of an instance that was evacuated")

    def _running_elsewhere(self, found: Sequence[Whereabouts], states: Mapping[str, PowerState]) -> frozenset[str]:
        """Of those that run here and that the database has elsewhere, without a record why, those that run there too.

        Of the others it is said once.
        """
        asked: dict[str, list[str]] = {}
        for each in found:
            is_off = states[each.uuid] is PowerState.SHUTDOWN
            if each.host is not None and verdict_on(self._host.name, each) is Verdict.ASK and not is_off:
                asked.setdefault(each.host, []).append(each.uuid)
        running: set[str] = set()
        for host, uuids in asked.items():
            try:
                running.update(self._peers.running_instances(host, uuids))
            except CloudError as exc:
                logger.bind(instance_host=host, instances=len(uuids), error=str(exc)).warning(
                    "cannot ask another host what it runs"
                )
        uncertain = frozenset(uuid for uuids in asked.values() for uuid in uuids) - running
        for uuid in sorted(uncertain - self._uncertain):
            logger.bind(instance=uuid).warning(
                "instance runs here though the database has it on another host, which does not run it: it is left, "
                "cloud doctor shows what is stale"
            )
        self._uncertain = uncertain
        return frozenset(running)

    def _states(self) -> Mapping[str, PowerState]:
        try:
            return self._host.driver.instances()
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
