"""A guest and the time -> what stands on its serial console: it boots while the time passes, then says how it is."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from cloud.virt.simulated.guest import Change, Guest, Turn

BEAT_S = 60
MAX_BEATS = 50
"""Of each run the last ones."""

_BOOTS = (Change.ON, Change.RESET, Change.RESTART)
_ENDS = {
    Change.OFF: "power key pressed, system halts",
    Change.SHUT_DOWN: "shut down by root, system halts",
    Change.RESTART: "system restarts",
}
"""Last words before a change; a reset or a loss of power leaves no time for any."""


def console_text(guest: Guest, now: datetime) -> str:
    """All that is kept of it, oldest first, each line with its seconds since the boot."""
    lines: list[str] = []
    for turn, end in pairwise((*guest.turns, None)):
        assert turn is not None  # noqa: S101 - only the last of the pairs has None, and as its second
        if turn.change in _BOOTS:
            lines += _run(guest, turn, end, now)
    return "".join(f"{line}\n" for line in lines)


def _run(guest: Guest, turn: Turn, end: Turn | None, now: datetime) -> Iterator[str]:
    ran_s = max(0.0, ((now if end is None else end.at) - turn.at).total_seconds())
    for at_s, text in _boot(guest):
        if at_s <= ran_s:
            yield _stamped(at_s, text)
    beats = int(ran_s // BEAT_S)
    for beat in range(max(1, beats - MAX_BEATS + 1), beats + 1):
        yield _stamped(beat * BEAT_S, f"status: up {beat} min, load {_load(guest, beat):.2f}")
    if end is not None and end.change in _ENDS:
        yield _stamped(ran_s, _ENDS[end.change])


def _boot(guest: Guest) -> Iterator[tuple[float, str]]:
    yield 0.0, f"simulated machine {guest.uuid}"
    yield 0.004, f"cpu: {guest.size.vcpus} online, memory: {guest.size.memory_mb} MiB"
    yield 0.021, "console: ttyS0 at 115200 baud"
    yield 0.356, f"vda: {guest.size.disk_gb} GiB, {guest.image_bytes} bytes of image"
    for number, fixed_ip in enumerate(guest.fixed_ips):
        server = "" if guest.dhcp_server is None else f" from {guest.dhcp_server}"
        yield 0.612 + number / 100, f"eth{number}: {fixed_ip.mac}, link up, address {fixed_ip.address}{server}"
    yield 1.204, "vda1: root file system mounted"
    yield 2.318, "sshd: listening on port 22"
    yield 2.907, f"{guest.name} login:"


def _stamped(at_s: float, text: str) -> str:
    return f"[{at_s:12.6f}] {text}"


def _load(guest: Guest, beat: int) -> float:
    """Between 0 and 1, and the same whenever it is asked for."""
    return (int(guest.uuid[:4], 16) + beat * 37) % 97 / 97
