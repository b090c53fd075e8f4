"""Migrations of instances, and what the system of each instance calls itself."""

import sqlalchemy as sa
from alembic import op

from cloud.domain.hostname import hostname_of

revision = "0004"
down_revision = "0003"

_ROWS = 1000  # that are filled at a time


def upgrade() -> None:
    op.create_table(
        "migrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("instance_uuid", sa.String(36), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(255), nullable=True),
        sa.Column("source_compute", sa.String(255), nullable=False),
        sa.Column("source_node", sa.String(255), nullable=True),
        sa.Column("dest_compute", sa.String(255), nullable=True),
        sa.Column("dest_node", sa.String(255), nullable=True),
        sa.Column("dest_host", sa.String(255), nullable=True),
        sa.Column("old_flavor", sa.JSON(), nullable=False),
        sa.Column("new_flavor", sa.JSON(), nullable=False),
        sa.Column("old_vm_state", sa.String(32), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("step", sa.String(32), nullable=True),
        sa.Column("is_undoing", sa.Boolean(), nullable=False),
        sa.Column("is_handed_over", sa.Boolean(), nullable=False),
        sa.Column("is_abort_wanted", sa.Boolean(), nullable=False),
        sa.Column("is_force_complete_wanted", sa.Boolean(), nullable=False),
        sa.Column("destination", sa.JSON(), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("memory_total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("memory_processed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("memory_remaining_bytes", sa.BigInteger(), nullable=True),
        sa.Column("disk_total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("disk_processed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("disk_remaining_bytes", sa.BigInteger(), nullable=True),
        sa.Column("downtime_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migrations"),
        sa.UniqueConstraint("uuid", name="uq_migrations_uuid"),
    )
    op.create_index("ix_migrations_instance_uuid_id", "migrations", ["instance_uuid", "id"])
    op.create_index("ix_migrations_source_compute", "migrations", ["source_compute"])
    op.create_index("ix_migrations_dest_compute", "migrations", ["dest_compute"])
    op.create_index("ix_migrations_status_updated_at", "migrations", ["status", "updated_at"])

    op.add_column("instances", sa.Column("hostname", sa.String(255), nullable=False, server_default=""))
    _fill_hostnames()


def _fill_hostnames() -> None:
    connection = op.get_bind()
    names = sa.table("instances", *(sa.column(name) for name in ("id", "uuid", "display_name", "hostname")))
    found = sa.select(names.c.id, names.c.uuid, names.c.display_name).order_by(names.c.id).limit(_ROWS)
    filled = sa.update(names).where(names.c.id == sa.bindparam("row")).values(hostname=sa.bindparam("name"))
    last = 0
    while rows := connection.execute(found.where(names.c.id > last)).all():
        connection.execute(filled, [{"row": id_, "name": hostname_of(name, uuid)} for id_, uuid, name in rows])
        last = rows[-1].id
