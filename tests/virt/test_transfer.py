"""A transfer on its way over the bus."""

import pytest

from cloud.domain.instance import PowerState
from cloud.virt.moving import Transfer, TransferPhase

RUNNING, PAUSED, SHUTDOWN = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN


def test_a_transfer_travels() -> None:
    whole = Transfer(
        TransferPhase.RUNNING,
        progress=50,
        memory_total_bytes=8,
        memory_processed_bytes=6,
        memory_remaining_bytes=4,
        disk_total_bytes=3,
        disk_processed_bytes=2,
        disk_remaining_bytes=1,
        downtime_ms=7,
        is_paused=True,
        error="why",
    )
    values = whole.as_dict()
    assert values["phase"] == "running"
    assert Transfer.from_dict(values) == whole
    with pytest.raises(ValueError, match="nowhere"):
        Transfer.from_dict(values | {"phase": "nowhere"})
    with pytest.raises(TypeError):
        Transfer.from_dict({"phase": "none", "speed": 3})
