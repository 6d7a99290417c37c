"""What Alembic runs before the steps: it is given a connection that already holds the store's lock."""

from alembic import context

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"], version_table=_attributes["version_table"], prefix=_attributes["prefix"]
)
context.run_migrations()
