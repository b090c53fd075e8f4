"""What Alembic runs: the migrations, within the transaction of the connection that schema.py hands over."""

from alembic import context

from cloud.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
