"""Who works on a migration, since when it is transferred, and when it is asked again where its instance is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("migrations", sa.Column("owner", sa.String(32), nullable=True))
    for name in ("transfer_began_at", "uncertain_since", "due_at"):
        op.add_column("migrations", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
