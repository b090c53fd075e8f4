"""One guest that runs, on its way to another host: a thread that sends its disk and memory, and hands it over."""

import threading
import time
from dataclasses import replace

from cloud.virt.driver import VirtError
from cloud.virt.moving import Transfer, TransferPhase
from cloud.virt.simulated.arrivals import Destination
from cloud.virt.simulated.disks import put_disk
from cloud.virt.simulated.guests import GUEST_FILE
from cloud.virt.simulated.hand_over import Departure
from cloud.virt.simulated.host import SimulatedHost
from cloud.virt.simulated.notes import write_text
from cloud.virt.simulated.stream import TICK_S, Stream, percent


class _AbortedError(Exception):
    """Somebody wants it to end."""


class RunningTransfer:
    """Whatever becomes of it, the guest runs on: at the destination once it is handed over, here before."""

    def __init__(
        self, host: SimulatedHost, uuid: str, destination: Destination, *, disk_bytes: int, is_live: bool
    ) -> None:
        """`disk_bytes` is what its disk holds, 0 where that stays where it is."""
        self._host = host
        self._uuid = uuid
        self._destination = destination
        self._is_live = is_live
        self._memory = Stream(host.guests.get(uuid).size.memory_mb << 20)
        self._disk = Stream(disk_bytes)
        self._departure = Departure.new(host.departed(uuid), destination.arrival)
        self._wake = threading.Event()
        self._is_aborted = False
        self._is_forced = False
        self._paused_s: float | None = None
        self._end: Transfer | None = None
        self._thread = threading.Thread(target=self._run, name=f"transfer-{uuid}", daemon=True)

    def start(self) -> None:
        """OSError or VirtError when it cannot begin."""
        self._departure.note_in(self._destination.arrival)
        self._departure.note_in(self._host.guests.place(self._uuid))
        self._thread.start()

    def now(self) -> Transfer:
        return self._end or self._at_this_moment(TransferPhase.RUNNING, is_paused=self._paused_s is not None)

    def abort(self) -> None:
        self._is_aborted = True
        self._wake.set()

    def force(self) -> None:
        """Pause the guest, so that nothing is dirtied any more."""
        self._is_forced = True

    def _run(self) -> None:
        try:
            downtime_ms = self._send()
        except _AbortedError:
            end = replace(self._at_this_moment(TransferPhase.CANCELLED), error="canceled by client")
        except Exception as exc:  # noqa: BLE001 - a defect must not leave the guest paused, nor this without an end
            error = str(exc) if isinstance(exc, VirtError | OSError) else repr(exc)
            end = replace(self._at_this_moment(TransferPhase.FAILED), error=error)
        else:
            end = replace(self._at_this_moment(TransferPhase.COMPLETED), downtime_ms=downtime_ms)
        self._host.guests.resume(self._uuid)
        self._end = end

    def _send(self) -> int:
        """How many milliseconds the guest did not run."""
        self._step("start")
        if not self._is_live:
            self._pause()
        if self._disk.total_bytes:
            self._step("disk")
            self._send_disk()
        self._step("memory")
        while self._memory.remaining_bytes and not self._memory.fits_downtime(self._host.bytes_per_s):
            self._tick(self._memory)
        self._pause()
        self._step("stop")
        while self._memory.remaining_bytes:
            self._tick(self._memory)
        self._step("hand_over")
        with self._host.guests.lock:
            self._check()
            self._departure.hand_over(self._depart)
        downtime_ms = round((time.monotonic() - self._pause()) * 1000)
        self._host.knobs.turn("transfer.depart", self._uuid, until=self._wake)  # too late for an abort
        return downtime_ms

    def _depart(self) -> None:
        guest = self._host.guests.get(self._uuid)
        write_text(self._destination.arrival / GUEST_FILE, guest.to_json())
        self._host.guests.send(self._uuid, self._departure.departed)

    def _send_disk(self) -> None:
        guest = self._host.guests.get(self._uuid)
        while self._disk.remaining_bytes:
            self._tick(self._disk)
        file = self._host.disks.file(self._host.guests.place(self._uuid), self._uuid)
        try:
            put_disk(self._destination.incoming, file, guest.content)
        except FileNotFoundError as exc:
            raise VirtError(f"its destination does not expect it any more: {exc}") from exc

    def _tick(self, stream: Stream) -> None:
        if self._is_forced:
            self._pause()
        knobs = self._host.knobs
        dirty = 0.0 if self._paused_s is not None or stream is not self._memory else knobs.dirty_mb_per_s(self._uuid)
        stream.advance(TICK_S, bytes_per_s=self._host.bytes_per_s, dirty_bytes_per_s=dirty * (1 << 20))
        self._wake.wait(TICK_S)
        self._check()

    def _step(self, step: str) -> None:
        self._host.knobs.turn(f"transfer.{step}", self._uuid, until=self._wake)
        self._check()

    def _check(self) -> None:
        if self._is_aborted:
            raise _AbortedError
        if self._host.guests.get(self._uuid).is_off:
            raise VirtError("it does not run any more")

    def _pause(self) -> float:
        """Since when it is, in monotonic seconds."""
        if self._paused_s is None:
            self._paused_s = time.monotonic()
            self._host.guests.pause(self._uuid)
        return self._paused_s

    def _at_this_moment(self, phase: TransferPhase, *, is_paused: bool = False) -> Transfer:
        memory, disk = self._memory, self._disk
        return Transfer(
            phase,
            progress=100 if phase is TransferPhase.COMPLETED else percent(memory, disk),
            memory_total_bytes=memory.total_bytes,
            memory_processed_bytes=memory.processed_bytes,
            memory_remaining_bytes=memory.remaining_bytes,
            disk_total_bytes=disk.total_bytes,
            disk_processed_bytes=disk.processed_bytes,
            disk_remaining_bytes=disk.remaining_bytes,
            is_paused=is_paused,
        )
