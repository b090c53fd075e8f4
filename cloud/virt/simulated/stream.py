"""Bytes on their way to another host, at a speed, while more are dirtied: what is left after a time."""

from dataclasses import dataclass, field

TICK_S = 0.05
"""A stream goes on in steps of this."""
MAX_DOWNTIME_S = 0.3
"""When what is left takes no longer, the guest is stopped for it; QEMU's default."""


@dataclass(slots=True)
class Stream:
    """Memory, or a disk."""

    total_bytes: int
    processed_bytes: int = 0
    """What was dirtied and sent again counts again."""

    remaining_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.remaining_bytes = self.total_bytes

    def advance(self, seconds: float, *, bytes_per_s: float, dirty_bytes_per_s: float = 0.0) -> None:
        """So much time passes."""
        fewer_per_s = bytes_per_s - dirty_bytes_per_s
        if fewer_per_s * seconds >= self.remaining_bytes:
            self.processed_bytes += round(bytes_per_s * self.remaining_bytes / fewer_per_s) if fewer_per_s else 0
            self.remaining_bytes = 0
        else:
            self.processed_bytes += round(bytes_per_s * seconds)
            self.remaining_bytes = min(self.total_bytes, self.remaining_bytes - round(fewer_per_s * seconds))

    def fits_downtime(self, bytes_per_s: float) -> bool:
        """Whether what is left can be sent while the guest is stopped."""
        return self.remaining_bytes <= bytes_per_s * MAX_DOWNTIME_S


def percent(*streams: Stream) -> int:
    """How much of them all is there, rounded down."""
    total = sum(stream.total_bytes for stream in streams)
    remaining = sum(stream.remaining_bytes for stream in streams)
    return 100 * (total - remaining) // total if total else 100
