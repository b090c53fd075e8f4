"""What the tables make of Python's values."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from cloud.db.engine import Database
from cloud.db.models import ServiceRow


def row(created_at: datetime) -> ServiceRow:
    return ServiceRow(
        host="compute-01",
        binary="nova-compute",
        topic="compute",
        availability_zone="nova",
        report_count=1,
        disabled=False,
        created_at=created_at,
        updated_at=created_at,
        is_up=False,
    )


def test_time_of_any_zone_comes_back_in_utc_to_the_microsecond(database: Database) -> None:
    with database.transaction() as session:
        session.add(row(datetime(2014, 10, 16, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))))
    with database.reading() as session:
        created_at = session.scalars(select(ServiceRow.created_at)).one()
    assert created_at == datetime(2014, 10, 16, 12, 0, 0, 123456, tzinfo=UTC)
    assert created_at.tzinfo is UTC


def test_time_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2014, 10, 16, 14, 0)  # noqa: DTZ001
    refusal = pytest.raises(StatementError, match="cannot store time 2014-10-16T14:00:00: it has no zone")
    with refusal, database.transaction() as session:
        session.add(row(naive))
