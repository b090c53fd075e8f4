"""Where compute hosts have their instances' disks: equal for those that share it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("compute_nodes", sa.Column("storage_id", sa.String(255), nullable=True))
