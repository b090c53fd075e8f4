"""The tables. What changes here needs a migration: a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, MetaData, String, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cloud.domain.service import MAX_TEXT_LENGTH


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, in UTC when read. SQLite, which has no zones, stores it without; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"cannot store time {value.isoformat()}: it has no zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - theirs
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The root of all tables; constraints have names, by which a migration finds them on either database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class ServiceRow(Base):
    """One program on one host, from its first report on."""

    __tablename__ = "services"
    __table_args__ = (UniqueConstraint("host", "binary"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    binary: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    topic: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    availability_zone: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    report_count: Mapped[int]
    disabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(String(MAX_TEXT_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of the last report
    is_up: Mapped[bool]  # the state that was last announced
