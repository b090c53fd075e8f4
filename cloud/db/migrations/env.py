"""What Alembic runs: the migrations, within the transaction of the connection that schema.py hands over."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import TypeDecorator

import cloud.db.identity_models  # noqa: F401 - its tables belong to the same metadata
from cloud.db.models import Base


def rendered(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """In a draft our types are what they are stored as: a migration must not change with our code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    render_item=rendered,
)
context.run_migrations()
