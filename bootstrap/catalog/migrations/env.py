"""Run by alembic: the connection comes from `bootstrap.catalog.store`."""

from alembic import context

from bootstrap.catalog.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
with context.begin_transaction():
    context.run_migrations()
