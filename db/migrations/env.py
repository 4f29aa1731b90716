"""Alembic's way in: it is handed an open connection, whether by the start of the app or by the `alembic` command."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from db.engine import Database
from db.tables import Id, Table


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our types as plain SQLAlchemy: a migration must not import today's tables."""
    if kind != "type":
        return False
    if isinstance(item, Id):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.CHAR(32).with_variant(postgresql.UUID(as_uuid=False), 'postgresql')"
    if type(item).__module__.startswith("sqlmodel"):
        return "sa.String()"
    return False


def run() -> None:
    """Run the revisions on the connection of the caller; the caller commits."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        with Database.from_environment().engine.begin() as opened:
            configure(opened)
        return
    configure(connection)


def configure(connection: Any) -> None:
    """Set Alembic up on a connection and run."""
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        transaction_per_migration=False,
    )
    context.run_migrations()


run()
