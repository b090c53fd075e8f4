"""An image to test with."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cloud.domain.image import Image

ID = "70a599e0-31e7-49b7-b260-868f441e862b"
OTHER_ID = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
NOW = datetime(2014, 6, 1, 12, 0, 0, tzinfo=UTC)


def image(**changes: Any) -> Image:
    """A queued qcow2 image of project-a, but for `changes`."""
    sample = Image(
        id=ID,
        name="cirros",
        owner="project-a",
        is_public=False,
        status="queued",
        size=None,
        checksum=None,
        disk_format="qcow2",
        container_format="bare",
        min_disk_gb=1,
        min_ram_mb=64,
        properties={"os": "linux"},
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(sample, **changes)
