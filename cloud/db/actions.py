"""The table of what was asked of instances: who asked, and the steps it took. The ids come from the request context."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import check_values, cut
from cloud.db.engine import Database
from cloud.db.models import InstanceActionRow, InstanceEventRow
from cloud.domain.action import EventResult, InstanceAction, InstanceEvent
from cloud.errors import NotFoundError
from cloud.logs.emit.context import current_context

__all__ = ["ActionTable", "EventResult", "InstanceAction", "InstanceEvent"]

FAILED = "Error"
"""The message of an action that failed."""
MAX_DETAILS = 65_536
"""Characters of an event's details that are kept."""


class ActionTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    What happens outside of any request is not noted, for nobody could ask for it; nor is a step of an action that was
    not. A history is not worth failing for: those methods say whether there was something to write.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def start(self, instance_uuid: str, action: str) -> bool:
        """Note that the request asks this of the instance; delivered a second time it is no change."""
        context = current_context()
        if context.request_id is None:
            return False
        values = {
            "instance_uuid": instance_uuid,
            "request_id": context.request_id,
            "action": action,
            "user_id": context.user,
            "project_id": context.project,
            "started_at": self._now(),
        }
        check_values(InstanceActionRow, values)
        with self._database.transaction() as session:
            new = self._database.insert(InstanceActionRow).values(**values).on_conflict_do_nothing()
            return session.scalar(new.returning(InstanceActionRow.id)) is not None

    def finish(self, instance_uuid: str, request_id: str | None = None, message: str | None = None) -> bool:
        """Note that it came to its end, the first time; `message` is FAILED when it failed."""
        values = {"finished_at": self._now(), "message": None if message is None else cut(message)}
        of_it = update(InstanceActionRow).where(
            InstanceActionRow.instance_uuid == instance_uuid,
            InstanceActionRow.request_id == (request_id or current_context().request_id),
            InstanceActionRow.finished_at.is_(None),
        )
        with self._database.transaction() as session:
            return session.scalar(of_it.values(values).returning(InstanceActionRow.id)) is not None

    def start_event(
        self, instance_uuid: str, event: str, *, host: str | None = None, request_id: str | None = None
    ) -> bool:
        """Note that a step begins; one that is begun there and not ended goes on as the same."""
        values = {"event": event, "host": host}
        check_values(InstanceEventRow, values)
        with self._database.transaction() as session:
            action_id = _action_id(session, instance_uuid, request_id)
            if action_id is None:
                return False
            if _open_event(session, action_id, event, host) is None:
                row = insert(InstanceEventRow).values(action_id=action_id, started_at=self._now(), **values)
                session.execute(row)
            return True

    def finish_event(
        self,
        instance_uuid: str,
        event: str,
        *,
        result: EventResult,
        details: str | None = None,
        host: str | None = None,
        request_id: str | None = None,
    ) -> bool:
        """Note how the step ended that began last; of those on one host, if given."""
        values = {
            "finished_at": self._now(),
            "result": result,
            "details": None if details is None else cut(details, MAX_DETAILS),
        }
        with self._database.transaction() as session:
            action_id = _action_id(session, instance_uuid, request_id)
            event_id = None if action_id is None else _open_event(session, action_id, event, host)
            if event_id is None:
                return False
            session.execute(update(InstanceEventRow).where(InstanceEventRow.id == event_id).values(values))
            return True

    def list(self, instance_uuid: str, *, limit: int = 1000) -> tuple[InstanceAction, ...]:
        """What was asked of the instance, newest first, without the steps; also of one that is deleted."""
        of_it = select(InstanceActionRow).where(InstanceActionRow.instance_uuid == instance_uuid)
        newest = of_it.order_by(InstanceActionRow.id.desc()).limit(limit)
        with self._database.reading() as session:
            return tuple(_action(row, ()) for row in session.scalars(newest))

    def get(self, instance_uuid: str, request_id: str) -> InstanceAction:
        """One action with its steps; NotFoundError when that request asked nothing of the instance."""
        of_pair = InstanceActionRow.instance_uuid == instance_uuid, InstanceActionRow.request_id == request_id
        with self._database.reading() as session:
            row = session.scalars(select(InstanceActionRow).where(*of_pair)).one_or_none()
            if row is None:
                raise NotFoundError(f"cannot find action {request_id} of instance {instance_uuid}")
            events = select(InstanceEventRow).where(InstanceEventRow.action_id == row.id).order_by(InstanceEventRow.id)
            return _action(row, tuple(_event(event) for event in session.scalars(events)))


def _action_id(session: Session, instance_uuid: str, request_id: str | None) -> int | None:
    """The action's id, which is held until the transaction ends, so that no step begins twice."""
    of_pair = select(InstanceActionRow.id).where(
        InstanceActionRow.instance_uuid == instance_uuid,
        InstanceActionRow.request_id == (request_id or current_context().request_id),
    )
    return session.scalar(of_pair.with_for_update())


def _open_event(session: Session, action_id: int, event: str, host: str | None) -> int | None:
    """The newest one of that name that has not ended; with a host, there or nowhere in particular."""
    found = select(InstanceEventRow.id).where(
        InstanceEventRow.action_id == action_id,
        InstanceEventRow.event == event,
        InstanceEventRow.finished_at.is_(None),
    )
    if host is not None:
        found = found.where(or_(InstanceEventRow.host == host, InstanceEventRow.host.is_(None)))
    return session.scalar(found.order_by(InstanceEventRow.id.desc()).limit(1))


def _action(row: InstanceActionRow, events: tuple[InstanceEvent, ...]) -> InstanceAction:
    return InstanceAction(
        instance_uuid=row.instance_uuid,
        request_id=row.request_id,
        action=row.action,
        user_id=row.user_id,
        project_id=row.project_id,
        started_at=row.started_at,
        finished_at=row.finished_at,
        message=row.message,
        events=events,
    )


def _event(row: InstanceEventRow) -> InstanceEvent:
    return InstanceEvent(
        event=row.event,
        host=row.host,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=None if row.result is None else EventResult(row.result),
        details=row.details,
    )
