"""The tables. What changes here needs a migration: a test compares the two."""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
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


class StoredText(TypeDecorator[str]):
    """A text; what PostgreSQL cannot store of Unicode (NUL and single surrogates) becomes U+FFFD on either database.

    That holds for what is looked up as well: it finds what was stored under the same words, and is never an error.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - theirs
        return None if value is None else _NOT_STORED.sub("\ufffd", value)


class LongText(StoredText):
    """One of any length."""

    impl = Text
    cache_ok = True


_NOT_STORED = re.compile("[\x00\ud800-\udfff]")


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
    host: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    binary: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    topic: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    availability_zone: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    report_count: Mapped[int]
    disabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of the last report
    is_up: Mapped[bool]  # the state that was last announced
    forced_down: Mapped[bool] = mapped_column(default=False, server_default=false())


class FlavorRow(Base):
    """A flavor; one that is deleted is gone, its instances have their own copy."""

    __tablename__ = "flavors"
    __table_args__ = (UniqueConstraint("flavorid"), UniqueConstraint("name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    flavorid: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    name: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int]
    swap_mb: Mapped[int]
    rxtx_factor: Mapped[float]
    is_public: Mapped[bool]
    extra_specs: Mapped[dict[str, str]] = mapped_column(JSON)


class FlavorAccessRow(Base):
    """A project that may use a flavor which is not public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[int] = mapped_column(ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH), primary_key=True)


_ALIVE: dict[str, Any] = {name: text("deleted_at IS NULL") for name in ("sqlite_where", "postgresql_where")}


class InstanceRow(Base):
    """An instance, also one that is deleted."""

    __tablename__ = "instances"
    __table_args__ = (
        UniqueConstraint("uuid"),
        # Of those that are there: the deleted ones, which become many more, are not in the way of any list.
        Index(None, "project_id", "created_at", "id", **_ALIVE),
        Index(None, "created_at", "id", **_ALIVE),
        Index(None, "host", **_ALIVE),
        # For the lists that have deleted ones in them.
        Index(None, "project_id", "updated_at"),
        Index(None, "updated_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(StoredText(36))
    project_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    user_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    display_name: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    hostname: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH), server_default=text("''"))
    flavor: Mapped[dict[str, Any]] = mapped_column(JSON)
    flavorid: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int]
    image_id: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    host: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    node: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    availability_zone: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    vm_state: Mapped[str] = mapped_column(StoredText(32))
    task_state: Mapped[str | None] = mapped_column(StoredText(32))
    power_state: Mapped[int]
    progress: Mapped[int]
    key_name: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    key_data: Mapped[str | None] = mapped_column(LongText)
    user_data: Mapped[str | None] = mapped_column(LongText)
    has_config_drive: Mapped[bool]
    instance_metadata: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    system_metadata: Mapped[dict[str, str]] = mapped_column(JSON)
    access_ip_v4: Mapped[str | None] = mapped_column(StoredText(39))
    access_ip_v6: Mapped[str | None] = mapped_column(StoredText(39))
    reservation_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    launch_index: Mapped[int]
    locked_by: Mapped[str | None] = mapped_column(StoredText(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    launched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    terminated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class InstanceFaultRow(Base):
    """Why an instance came to be in error; the newest is shown."""

    __tablename__ = "instance_faults"
    __table_args__ = (Index(None, "instance_uuid", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(StoredText(36))
    code: Mapped[int]
    message: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    details: Mapped[str | None] = mapped_column(LongText)
    host: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InstanceActionRow(Base):
    """What somebody asked of an instance."""

    __tablename__ = "instance_actions"
    __table_args__ = (UniqueConstraint("instance_uuid", "request_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(StoredText(36))
    request_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    action: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    user_id: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    project_id: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    message: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))


class InstanceEventRow(Base):
    """A step of such an action."""

    __tablename__ = "instance_action_events"
    __table_args__ = (Index(None, "action_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    action_id: Mapped[int] = mapped_column(ForeignKey("instance_actions.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    host: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[str | None] = mapped_column(StoredText(16))  # Success or Error
    details: Mapped[str | None] = mapped_column(LongText)


class ComputeNodeRow(Base):
    """What a compute host last said of itself. What is claimed of it is the sum of its claims."""

    __tablename__ = "compute_nodes"
    __table_args__ = (UniqueConstraint("host"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    node: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    disk_gb: Mapped[int]
    free_disk_gb: Mapped[int]
    hypervisor_type: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    hypervisor_version: Mapped[int]
    cpu_info: Mapped[dict[str, Any]] = mapped_column(JSON)
    host_ip: Mapped[str] = mapped_column(StoredText(39))
    running_vms: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    storage_id: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))


class ClaimRow(Base):
    """What one instance takes of one host, from before it is built there until it is gone."""

    __tablename__ = "claims"
    __table_args__ = (UniqueConstraint("instance_uuid", "host"), Index(None, "host"))

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(StoredText(36))
    host: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    disk_gb: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MigrationRow(Base):
    """A move of an instance; it outlives the instance."""

    __tablename__ = "migrations"
    __table_args__ = (
        UniqueConstraint("uuid"),
        Index(None, "instance_uuid", "id"),
        Index(None, "source_compute"),
        Index(None, "dest_compute"),
        Index(None, "status", "updated_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(StoredText(36))
    instance_uuid: Mapped[str] = mapped_column(StoredText(36))
    type: Mapped[str] = mapped_column(StoredText(32))
    status: Mapped[str] = mapped_column(StoredText(32))
    request_id: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    source_compute: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    source_node: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    dest_compute: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    dest_node: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    dest_host: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    old_flavor: Mapped[dict[str, Any]] = mapped_column(JSON)
    new_flavor: Mapped[dict[str, Any]] = mapped_column(JSON)
    old_vm_state: Mapped[str] = mapped_column(StoredText(32))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    step: Mapped[str | None] = mapped_column(StoredText(32))
    is_undoing: Mapped[bool]
    is_handed_over: Mapped[bool]
    is_abort_wanted: Mapped[bool]
    is_force_complete_wanted: Mapped[bool]
    destination: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    progress: Mapped[int]
    memory_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_processed_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_remaining_bytes: Mapped[int | None] = mapped_column(BigInteger)
    disk_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    disk_processed_bytes: Mapped[int | None] = mapped_column(BigInteger)
    disk_remaining_bytes: Mapped[int | None] = mapped_column(BigInteger)
    downtime_ms: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    owner: Mapped[str | None] = mapped_column(StoredText(32))
    transfer_began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    uncertain_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FixedIpRow(Base):
    """An address that an instance has."""

    __tablename__ = "fixed_ips"
    __table_args__ = (
        UniqueConstraint("address"),
        UniqueConstraint("number"),
        UniqueConstraint("mac"),
        UniqueConstraint("instance_uuid", "network"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(StoredText(39))
    number: Mapped[int] = mapped_column(BigInteger)  # the address as a number, by which the lowest free one is found
    mac: Mapped[str] = mapped_column(StoredText(17))
    network: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    instance_uuid: Mapped[str] = mapped_column(StoredText(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KeypairRow(Base):
    """A user's public key."""

    __tablename__ = "keypairs"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    name: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    type: Mapped[str] = mapped_column(StoredText(16))  # ssh or x509
    fingerprint: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    public_key: Mapped[str] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class QuotaRow(Base):
    """A project's own limit of a resource; where there is none, nova.conf's holds."""

    __tablename__ = "quotas"

    project_id: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH), primary_key=True)
    resource: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH), primary_key=True)
    hard_limit: Mapped[int]  # -1: none


class AggregateRow(Base):
    """Hosts that belong together."""

    __tablename__ = "aggregates"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    availability_zone: Mapped[str | None] = mapped_column(StoredText(MAX_TEXT_LENGTH))
    aggregate_metadata: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AggregateHostRow(Base):
    """One host of an aggregate."""

    __tablename__ = "aggregate_hosts"

    aggregate_id: Mapped[int] = mapped_column(ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(StoredText(MAX_TEXT_LENGTH), primary_key=True)
