"""Why an instance came to be in error: entered alone, or with what has to be seen together with it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from cloud.db.bounds import check_values, cut
from cloud.db.models import InstanceFaultRow

MAX_DETAILS = 65_536
"""Characters of a fault's details that are kept."""


@dataclass(frozen=True, slots=True)
class NewFault:
    """The fields are those of InstanceFault; of message and details the beginning is kept."""

    code: int
    message: str
    details: str | None = None
    host: str | None = None


def enter_fault(session: Session, instance_uuid: str, new: NewFault, now: datetime) -> None:
    """BadRequestError for a host's name that is too long."""
    values = {
        "instance_uuid": instance_uuid,
        "code": new.code,
        "message": cut(new.message),
        "details": None if new.details is None else cut(new.details, MAX_DETAILS),
        "host": new.host,
        "created_at": now,
    }
    check_values(InstanceFaultRow, values)
    session.execute(insert(InstanceFaultRow).values(values))
