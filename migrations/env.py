"""Runs the migrations on the connection that `governance/storage/sqlite/files/migrations.py` hands over."""

from alembic import context

from governance.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,
    compare_server_default=True,
)
context.run_migrations()
