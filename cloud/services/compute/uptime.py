"""How long this machine is up and how busy it is, in the words of uptime(1), which os-hypervisors hands on."""

from datetime import datetime
from pathlib import Path

PROC = Path("/proc")


def uptime_line(now: datetime, proc: Path = PROC) -> str:
    """` 12:03:00 up 2 days, 4:05,  load average: 0.10, 0.20, 0.30`; OSError or ValueError where it cannot be read."""
    up_min = int(float((proc / "uptime").read_text().split()[0])) // 60
    hours, minutes = divmod(up_min, 60)
    days, hours = divmod(hours, 24)
    up = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    load = ", ".join((proc / "loadavg").read_text().split()[:3])
    return f" {now:%H:%M:%S} up {up}{hours}:{minutes:02},  load average: {load}"
