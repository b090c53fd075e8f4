"""What the browser tests look at: a quarter of an hour of a small cloud's log, and lines that mean harm."""

import json
from collections.abc import Iterator
from typing import Any

MIGRATED = "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11"
REQUEST = "req-6c1a4b52-53c1-4b7e-8b59-3f6f0a2d9c10"
INODE = 2**53 + 1
"""No number of JavaScript."""
TRACEBACK = """Traceback (most recent call last):
  File "nova/compute/manager.py", line 2001, in pre_live_migration
    self.driver.check_can_live_migrate(instance)
nova.exception.MigrationPreCheckError: Migration pre-check error: compute-02 has no room for 4096 MB
"""
HOSTILE = (
    "<script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 2'>",
    '"><svg onload=window.harmed=3>',
    "{@html '<b onclick=window.harmed=4>'}",
    "javascript:window.harmed=5",
    "</pre></div><iframe srcdoc='<script>parent.harmed=6</script>'></iframe>",
    "\u202egnp.exe\u202c turned around, \u200bnothing\u200b between, \x1b[31mred\x1b[0m",
    "&lt;b&gt; &amp; %3Cscript%3E ${harmed} `harmed` {{harmed}}",
)
_QUIET = (
    ("compute-01", "nova-compute", 17, "Auditing locally available compute resources for node compute-01"),
    ("compute-02", "nova-compute", 17, "Auditing locally available compute resources for node compute-02"),
    ("controller-01", "nova-scheduler", 18, "Filter RamFilter returned 2 hosts"),
    ("controller-01", "nova-api", 16, "GET /v2.1/servers/detail status: 200 len: 136632 time: 0.0227"),
    ("compute-03", "nova-network", 19, "Updating bridge br100 for network 10.0.0.0/24"),
    ("controller-01", "nova-conductor", 18, "Record of service nova-compute on compute-03 is up to date"),
)


def line(host: str, service: str, facility: int, severity: int, message: str, **body: Any) -> bytes:
    text = f"@cee: {json.dumps({'message': message, **body})}"
    return f"<{facility * 8 + severity}>1 - {host} {service} 4711 - - {text}".encode()


def story() -> Iterator[bytes]:
    """A live migration that fails, as its services tell it, and the hostile lines."""
    ids = {"request_id": REQUEST, "instance": MIGRATED, "migration": 42}
    yield line("controller-01", "nova-api", 16, 6, "live migration requested", event="migration.request.started", **ids)
    yield line(
        "controller-01",
        "nova-scheduler",
        18,
        6,
        "3 hosts pass all filters",
        event="migration.schedule.completed",
        **ids,
    )
    yield line("compute-02", "nova-compute", 17, 4, "disk allocation ratio is above 1.0", **ids)
    yield line(
        "compute-02", "nova-compute", 17, 3, "cannot migrate: destination compute-02 has no room\nfor 4096 MB",
        event="migration.dest_check.failed", traceback=TRACEBACK, status=500, error="no room", inode=INODE,
        **ids,
    )  # fmt: skip
    yield line("controller-01", "nova-conductor", 18, 2, "migration 42 failed and was undone", **ids)
    for text in HOSTILE:
        yield line("compute-03", "hostile", 19, 5, text, evil=text, **{"a<b>c": "<i>key</i>"})


def routine(number: int) -> bytes:
    """The line of that number of what goes on all day."""
    host, service, facility, message = _QUIET[number % len(_QUIET)]
    severity = 7 if number % 11 == 0 else 4 if number % 37 == 0 else 3 if number % 113 == 0 else 6
    return line(
        host, service, facility, severity, f"{message} #{number}", request_id=f"req-{number // 7}", took_ms=number % 97
    )
