"""Disks on their way from this host to another one: each in a thread of its own, so that nobody waits for it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloud.errors import InstanceStateError
from cloud.logs.emit import logger, request_context
from cloud.logs.emit.context import current_context
from cloud.logs.emit.speaker import in_same_voice
from cloud.virt.driver import Progress, VirtError
from cloud.virt.moving import Transfer, TransferPhase

MAX_ENDED = 1000
"""Of those that have ended, how many are still known."""


class SendingStoppedError(VirtError):
    """The disk is not wanted there any more."""


@dataclass(slots=True)
class _Sending:
    destination: Mapping[str, Any]
    transfer: Transfer = field(default_factory=lambda: Transfer(TransferPhase.RUNNING))
    is_unwanted: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)


class DiskSending:
    """Any thread may ask. What it knows dies with the process: whoever waits for a disk has it sent again then."""

    def __init__(self, send: Callable[[str, Mapping[str, Any], Progress], None], *, stop_wait_s: float) -> None:
        """`send` is as ColdMigrating.send_disk; one that is not wanted any more may take `stop_wait_s` to give up."""
        self._send_disk = send
        self._stop_wait_s = stop_wait_s
        self._lock = threading.Lock()
        self._sendings: dict[str, _Sending] = {}
        """By uuid; oldest first."""

    def start(self, uuid: str, destination: Mapping[str, Any]) -> None:
        """Begin; while it is sent there already that is no change. InstanceStateError while it is sent elsewhere."""
        with self._lock:
            running = self._sendings.get(uuid)
            if running is not None and running.transfer.phase is TransferPhase.RUNNING:
                if running.destination != destination:
                    raise InstanceStateError(f"cannot send disk of instance {uuid}: it is being sent elsewhere")
                return
            sending = _Sending(destination)
            self._sendings.pop(uuid, None)
            self._sendings[uuid] = sending
            self._forget()
        request_id = current_context().request_id
        arguments = (uuid, sending, request_id)
        threading.Thread(target=in_same_voice(self._send), args=arguments, name="send-disk", daemon=True).start()

    def transfer(self, uuid: str) -> Transfer:
        """As it stands; NONE where nothing is known of it."""
        with self._lock:
            sending = self._sendings.get(uuid)
        return Transfer(TransferPhase.NONE) if sending is None else sending.transfer

    def stop(self, uuid: str) -> None:
        """Have it given up, and wait for that; no change where none is sent. VirtError when it does not end."""
        with self._lock:
            sending = self._sendings.get(uuid)
        if sending is None:
            return
        sending.is_unwanted.set()
        if not sending.has_ended.wait(self._stop_wait_s):
            raise VirtError(f"cannot stop sending disk of instance {uuid}: it goes on after {self._stop_wait_s:g} s")

    def _send(self, uuid: str, sending: _Sending, request_id: str | None) -> None:
        def progress(percent: int) -> None:
            if sending.is_unwanted.is_set():
                raise SendingStoppedError("it is not wanted there any more")
            sending.transfer = Transfer(TransferPhase.RUNNING, progress=percent)

        with request_context(instance=uuid, request_id=request_id):
            try:
                self._send_disk(uuid, sending.destination, progress)
            except Exception as exc:  # noqa: BLE001 - whoever waits for it must hear of a defect, too
                phase = TransferPhase.CANCELLED if sending.is_unwanted.is_set() else TransferPhase.FAILED
                sending.transfer = Transfer(phase, progress=sending.transfer.progress, error=str(exc))
                line = logger.bind(error=str(exc), cause=type(exc).__name__)
                if not isinstance(exc, VirtError):
                    line = line.opt(exception=exc)
                line.log("INFO" if phase is TransferPhase.CANCELLED else "ERROR", "disk was not sent")
            else:
                sending.transfer = Transfer(TransferPhase.COMPLETED, progress=100)
                logger.info("disk sent")
            finally:
                sending.has_ended.set()

    def _forget(self) -> None:
        ended = [
            uuid for uuid, sending in self._sendings.items() if sending.transfer.phase is not TransferPhase.RUNNING
        ]
        for uuid in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._sendings[uuid]
