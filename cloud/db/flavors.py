"""The table of flavors, and who may use those that are not public."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Select, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.models import FlavorAccessRow, FlavorRow
from cloud.domain.flavor import Flavor
from cloud.errors import ConflictError, FlavorNotFoundError, NotFoundError

DEFAULT_FLAVORS = (
    Flavor(id=0, flavorid="1", name="m1.tiny", memory_mb=512, vcpus=1, root_gb=1),
    Flavor(id=0, flavorid="2", name="m1.small", memory_mb=2048, vcpus=1, root_gb=20),
    Flavor(id=0, flavorid="3", name="m1.medium", memory_mb=4096, vcpus=2, root_gb=40),
    Flavor(id=0, flavorid="4", name="m1.large", memory_mb=8192, vcpus=4, root_gb=80),
    Flavor(id=0, flavorid="5", name="m1.xlarge", memory_mb=16384, vcpus=8, root_gb=160),
)
"""Those that every nova of 2014 began with."""

_LOCK = "flavors"


class FlavorTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    FlavorNotFoundError for a `flavorid` that is not there.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, new: Flavor) -> Flavor:
        """Enter it, whatever its `id`; ConflictError when its flavorid or its name is taken."""
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            taken = _taken(session, new)
            if taken is not None:
                raise ConflictError(f"cannot create flavor {new.name}: there is one with {taken}")
            return _insert(session, new)

    def seed(self) -> tuple[Flavor, ...]:
        """Enter those of DEFAULT_FLAVORS whose flavorid and name are free; what was entered."""
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            return tuple(_insert(session, flavor) for flavor in DEFAULT_FLAVORS if _taken(session, flavor) is None)

    def get(self, flavorid: str, project_id: str | None = None) -> Flavor:
        """One flavor; for a project only when it may use it, and without one whichever it is."""
        with self._database.reading() as session:
            row = session.scalars(_visible(project_id).where(FlavorRow.flavorid == flavorid)).one_or_none()
        if row is None:
            raise FlavorNotFoundError(f"cannot find flavor {flavorid}")
        return _flavor(row)

    def all(self, *, is_public: bool | None = None, project_id: str | None = None) -> tuple[Flavor, ...]:
        """The flavors, of one kind, or those that a project may use, if given; ordered by flavorid."""
        wanted = _visible(project_id)
        if is_public is not None:
            wanted = wanted.where(FlavorRow.is_public == is_public)
        with self._database.reading() as session:
            found = [_flavor(row) for row in session.scalars(wanted)]
        # Sorted here: the order of text in PostgreSQL depends on the locale that the database was made with.
        return tuple(sorted(found, key=lambda flavor: flavor.flavorid))

    def delete(self, flavorid: str) -> None:
        """Remove it, and who may use it; instances have their own copy."""
        with self._database.transaction() as session:
            gone = delete(FlavorRow).where(FlavorRow.flavorid == flavorid).returning(FlavorRow.id)
            if session.scalar(gone) is None:
                raise FlavorNotFoundError(f"cannot find flavor {flavorid}")

    def set_extra_specs(self, flavorid: str, specs: Mapping[str, str]) -> Mapping[str, str]:
        """Set keys beside those that are there; all of them then."""
        with self._database.transaction() as session:
            row = _held(session, flavorid)
            return _set_specs(session, row, row.extra_specs | dict(specs))

    def delete_extra_spec(self, flavorid: str, key: str) -> Mapping[str, str]:
        """Remove one key; NotFoundError when it is not there."""
        with self._database.transaction() as session:
            row = _held(session, flavorid)
            if key not in row.extra_specs:
                raise NotFoundError(f"cannot find extra spec {key} of flavor {flavorid}")
            return _set_specs(session, row, {name: value for name, value in row.extra_specs.items() if name != key})

    def access(self, flavorid: str) -> tuple[str, ...]:
        """The projects that were let use it, ordered by id."""
        with self._database.reading() as session:
            row = session.scalars(select(FlavorRow).where(FlavorRow.flavorid == flavorid)).one_or_none()
            if row is None:
                raise FlavorNotFoundError(f"cannot find flavor {flavorid}")
            return _access(session, row.id)

    def add_access(self, flavorid: str, project_id: str) -> tuple[str, ...]:
        """Let the project use it, also where all may; who may then. ConflictError when the project was let already."""
        values = {"project_id": project_id}
        check_values(FlavorAccessRow, values)
        with self._database.transaction() as session:
            row = _held(session, flavorid)
            new = self._database.insert(FlavorAccessRow).values(flavor_id=row.id, **values).on_conflict_do_nothing()
            if session.scalar(new.returning(FlavorAccessRow.project_id)) is None:
                raise ConflictError(f"cannot add project {project_id} to flavor {flavorid}: it may use it already")
            return _access(session, row.id)

    def remove_access(self, flavorid: str, project_id: str) -> tuple[str, ...]:
        """Let the project use it no more; who may then. NotFoundError when it may not."""
        with self._database.transaction() as session:
            row = _held(session, flavorid)
            of_pair = FlavorAccessRow.flavor_id == row.id, FlavorAccessRow.project_id == project_id
            gone = delete(FlavorAccessRow).where(*of_pair).returning(FlavorAccessRow.project_id)
            if session.scalar(gone) is None:
                raise NotFoundError(f"cannot remove project {project_id} from flavor {flavorid}: it is not in there")
            return _access(session, row.id)


def _visible(project_id: str | None) -> Select[FlavorRow]:
    if project_id is None:
        return select(FlavorRow)
    has_access = exists().where(FlavorAccessRow.flavor_id == FlavorRow.id, FlavorAccessRow.project_id == project_id)
    return select(FlavorRow).where(or_(FlavorRow.is_public, has_access))


def _held(session: Session, flavorid: str) -> FlavorRow:
    """The row, which nobody else changes until the transaction ends."""
    row = session.scalars(select(FlavorRow).where(FlavorRow.flavorid == flavorid).with_for_update()).one_or_none()
    if row is None:
        raise FlavorNotFoundError(f"cannot find flavor {flavorid}")
    return row


def _access(session: Session, flavor_id: int) -> tuple[str, ...]:
    projects = select(FlavorAccessRow.project_id).where(FlavorAccessRow.flavor_id == flavor_id)
    return tuple(sorted(session.scalars(projects)))


def _taken(session: Session, new: Flavor) -> str | None:
    """What of the flavor's names another one has; None when both are free."""
    same = select(FlavorRow).where(or_(FlavorRow.flavorid == new.flavorid, FlavorRow.name == new.name))
    for row in session.scalars(same.order_by(FlavorRow.id)):
        return f"id {new.flavorid}" if row.flavorid == new.flavorid else f"name {new.name}"
    return None


def _insert(session: Session, new: Flavor) -> Flavor:
    values = asdict(new) | {"extra_specs": dict(new.extra_specs)}
    del values["id"]
    check_values(FlavorRow, values)
    return _flavor(session.scalars(insert(FlavorRow).values(values).returning(FlavorRow)).one())


def _set_specs(session: Session, row: FlavorRow, specs: Mapping[str, str]) -> Mapping[str, str]:
    session.execute(update(FlavorRow).where(FlavorRow.id == row.id).values(extra_specs=dict(specs)))
    return specs


def _flavor(row: FlavorRow) -> Flavor:
    return Flavor(
        id=row.id,
        flavorid=row.flavorid,
        name=row.name,
        memory_mb=row.memory_mb,
        vcpus=row.vcpus,
        root_gb=row.root_gb,
        ephemeral_gb=row.ephemeral_gb,
        swap_mb=row.swap_mb,
        rxtx_factor=float(row.rxtx_factor),  # what SQLite returns of a new row is an int where there is no fraction
        is_public=row.is_public,
        extra_specs=row.extra_specs,
    )
