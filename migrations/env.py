"""Runs the migrations on the connection it is handed, or (`flask db …`) on one to the app's database."""

from alembic import context
from flask import current_app

from governance.storage.sqlite.files import migrations
from governance.storage.tables import metadata


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=False,
        compare_server_default=True,
    )
    context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    settings = current_app.extensions["governance"].settings
    with migrations.connect(settings.database_path, settings.busy_timeout) as own:
        run(own)
