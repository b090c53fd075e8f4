"""The table of services: reports in, and who is up, enabled, and has just changed, out."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import MAX_INTEGER
from cloud.db.engine import Database
from cloud.db.models import ServiceRow
from cloud.domain.service import MAX_TEXT_LENGTH, Service, ServiceReport
from cloud.errors import ServiceNotFoundError


class ServiceTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime], down_after_s: float) -> None:
        self._database = database
        self._now = now
        self._down_after = timedelta(seconds=down_after_s)

    def report(self, report: ServiceReport) -> None:
        """Note that the service is alive; its first report enters it, enabled."""
        seen = {"topic": report.topic, "availability_zone": report.availability_zone, "updated_at": self._now()}
        count_up = {**seen, "report_count": ServiceRow.report_count + 1}
        with self._database.transaction() as session:
            # The upsert alone would do, but PostgreSQL takes a new id for it each time, and they would run out.
            if _update(session, report.host, report.binary, count_up) is not None:
                return
            first = self._database.insert(ServiceRow).values(
                host=report.host,
                binary=report.binary,
                created_at=seen["updated_at"],
                report_count=1,
                disabled=False,
                is_up=False,
                **seen,
            )
            session.execute(first.on_conflict_do_update(index_elements=["host", "binary"], set_=count_up))

    def all(self, *, host: str | None = None, binary: str | None = None) -> tuple[Service, ...]:
        """The services, of one host or one binary if given, ordered by binary, then host."""
        wanted = select(ServiceRow)
        if host is not None:
            wanted = wanted.where(ServiceRow.host == host)
        if binary is not None:
            wanted = wanted.where(ServiceRow.binary == binary)
        up_since = self._up_since()
        with self._database.reading() as session:
            found = [_service(row, up_since) for row in session.scalars(wanted)]
        # Sorted here: the order of text in PostgreSQL depends on the locale that the database was made with.
        return tuple(sorted(found, key=lambda service: (service.binary, service.host)))

    def enable(self, host: str, binary: str) -> Service:
        """Let the scheduler use it again; ServiceNotFoundError when it has never reported."""
        return self._set_disabled(host, binary, disabled=False, reason=None)

    def disable(self, host: str, binary: str, reason: str | None) -> Service:
        """Keep the scheduler from using it; a second time changes the reason.

        ServiceNotFoundError when it has never reported, ValueError for a reason beyond 255 printable characters.
        """
        if reason is not None and not (len(reason) <= MAX_TEXT_LENGTH and reason.isprintable()):
            raise ValueError(f"a reason is at most {MAX_TEXT_LENGTH} printable characters")
        return self._set_disabled(host, binary, disabled=True, reason=reason)

    def force_down(self, host: str, binary: str, *, is_forced: bool) -> Service:
        """Take it for down, or again for what its reports say; ServiceNotFoundError when it has never reported."""
        return self._change(host, binary, {"forced_down": is_forced})

    def delete(self, service_id: int) -> None:
        """Forget it; one that still runs comes back, enabled, with its next report. ServiceNotFoundError."""
        with self._database.transaction() as session:
            # A number beyond the column's would be an error of SQLite's driver.
            gone = delete(ServiceRow).where(ServiceRow.id == service_id).returning(ServiceRow.id)
            if not 0 < service_id <= MAX_INTEGER or session.scalar(gone) is None:
                raise ServiceNotFoundError(f"cannot find service {service_id}")

    def announce(self, *, says_down: bool = True) -> tuple[Service, ...]:
        """The services that went up or down since the last call, ordered by id; of several callers one gets each.

        Without `says_down` those that went down are left to a later call.
        """
        up_since = self._up_since()
        is_up = and_(ServiceRow.updated_at >= up_since, ~ServiceRow.forced_down)
        announced = []
        with self._database.transaction() as session:
            # By id: two who lock the same rows in different order would wait for each other.
            changed = select(ServiceRow.id, ServiceRow.is_up).where(ServiceRow.is_up != is_up).order_by(ServiceRow.id)
            if not says_down:
                changed = changed.where(is_up)
            for service_id, was_up in session.execute(changed).all():
                # Both conditions again: another may have announced it meanwhile, or the service reported.
                one = update(ServiceRow).where(
                    ServiceRow.id == service_id, ServiceRow.is_up == was_up, ServiceRow.is_up != is_up
                )
                row = session.scalars(one.values(is_up=not was_up).returning(ServiceRow)).one_or_none()
                if row is not None:
                    announced.append(_service(row, up_since))
        return tuple(announced)

    def _set_disabled(self, host: str, binary: str, *, disabled: bool, reason: str | None) -> Service:
        return self._change(host, binary, {"disabled": disabled, "disabled_reason": reason})

    def _change(self, host: str, binary: str, values: dict[str, object]) -> Service:
        with self._database.transaction() as session:
            row = _update(session, host, binary, values)
            if row is None:
                raise ServiceNotFoundError(f"cannot find service {binary} on {host}")
            return _service(row, self._up_since())

    def _up_since(self) -> datetime:
        return self._now() - self._down_after


def _update(session: Session, host: str, binary: str, values: dict[str, object]) -> ServiceRow | None:
    of_pair = update(ServiceRow).where(ServiceRow.host == host, ServiceRow.binary == binary)
    return session.scalars(of_pair.values(values).returning(ServiceRow)).one_or_none()


def _service(row: ServiceRow, up_since: datetime) -> Service:
    return Service(
        id=row.id,
        host=row.host,
        binary=row.binary,
        topic=row.topic,
        availability_zone=row.availability_zone,
        is_enabled=not row.disabled,
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        report_count=row.report_count,
        is_up=row.updated_at >= up_since and not row.forced_down,
        is_forced_down=row.forced_down,
    )
