"""What one instance has claimed of one host."""

from dataclasses import dataclass
from datetime import datetime

from cloud.domain.flavor import Resources


@dataclass(frozen=True, slots=True)
class Claim:
    """As the database has it; the instance may be gone. The time is aware and UTC."""

    id: int
    instance_uuid: str
    host: str
    resources: Resources
    created_at: datetime
