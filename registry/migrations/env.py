"""What alembic runs for each command: the steps over the connection it was handed."""

from alembic import context

from registry.migrations import VERSION_TABLE

given = context.config.attributes
if "connection" in given:
    context.configure(connection=given["connection"], version_table=VERSION_TABLE)
else:
    context.configure(
        dialect_name=given["dialect"], version_table=VERSION_TABLE, literal_binds=True
    )
context.run_migrations()
