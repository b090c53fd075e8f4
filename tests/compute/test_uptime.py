"""How long a host is up, in the words of uptime(1)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.services.compute.uptime import uptime_line

AT = datetime(2014, 10, 16, 8, 32, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "up"), [("8101500.32", "93 days, 18:25"), ("90000.5", "1 day, 1:00"), ("59.9", "0:00")]
)
def test_uptime_is_said_as_uptime_says_it(tmp_path: Path, seconds: str, up: str) -> None:
    (tmp_path / "loadavg").write_text("0.20 0.12 0.14 1/345 6789\n")
    (tmp_path / "uptime").write_text(f"{seconds} 1.00\n")
    assert uptime_line(AT, tmp_path) == f" 08:32:11 up {up},  load average: 0.20, 0.12, 0.14"
