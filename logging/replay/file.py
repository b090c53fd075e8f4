"""A nova log file, from its path to its last record sent."""

import time
import uuid
from datetime import timedelta
from pathlib import Path

from cloud.logs.emit.transport import transport_for
from cloud.logs.replay.nova_log import read_records
from cloud.logs.replay.sender import ReplayCounts, ReplayError, ReplaySender, shift_to


def new_name() -> str:
    """A name for a replay that no other one has: its records carry it as `replay`."""
    return uuid.uuid4().hex[:12]


def replay_file(
    file: Path, *, address: str, host: str, name: str, is_shifted: bool, service: str | None = None
) -> ReplayCounts:
    """Send the records of `file` to `address` as `host`; with `is_shifted` the last one happens now.

    `service` is for lines that tell none, in files whose names tell none. `ReplayError` names file and cause.
    """
    try:
        with file.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
            records = list(read_records(lines, service=service, file_name=file.name))
        shift = shift_to(records, time.time()) if is_shifted else timedelta()
        return ReplaySender(transport_for(address), host, name).send(records, shift)
    except (OSError, ValueError, ReplayError) as exc:
        raise ReplayError(f"cannot replay {file}: {exc}") from exc
