"""The guards put in place, and what the database has of them: all of ours, and nobody else's.

A trigger, a rule or a row policy of somebody else on our tables can change a row after our guards have looked at it, or
hide one; so it is a finding like a guard that is missing.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from db import xids
from db.guards import GUARDS, NEVER_EMPTIED
from db.tables import Table
from db.triggers import (
    OWN_XID,
    Guard,
    never_emptied_facts,
    never_emptied_trigger,
    postgres_facts,
    postgres_trigger,
    present,
    sqlite_trigger,
)


def install(connection: sa.Connection) -> None:
    """Put every guard in place, in the transaction of the caller."""
    is_postgres = connection.dialect.name == "postgresql"
    render = postgres_trigger if is_postgres else sqlite_trigger
    for guard in _mine(connection):
        for statement in render(guard):
            connection.exec_driver_sql(statement)
    if is_postgres:
        _postgres_extras(connection)


def missing(connection: sa.Connection) -> list[str]:
    """Return the names of the guards that should be in the database and are missing, switched off or rewritten."""
    expected: dict[str, tuple[Any, ...]]
    if connection.dialect.name == "postgresql":
        expected = {guard.trigger: postgres_facts(guard) for guard in _mine(connection)}
        for table in NEVER_EMPTIED:
            expected[_no_truncate(table)] = never_emptied_facts(table)
    else:
        expected = {guard.trigger: (guard.table, sqlite_trigger(guard)[1]) for guard in _mine(connection)}
    there = present(connection)
    return sorted(name for name, guard in expected.items() if there.get(name) != guard)


# What is not ours: of SQLite only triggers can be; PostgreSQL can also rewrite a statement, hide rows or look away.
SQLITE_OTHERS = "SELECT tbl_name AS its_table, 'trigger', name FROM sqlite_master WHERE type = 'trigger'"
POSTGRES_OTHERS = (
    "SELECT c.relname AS its_table, x.kind, x.name FROM pg_class c JOIN ("
    " SELECT tgrelid AS of, 'trigger' AS kind, tgname::text AS name FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
    " SELECT tgrelid, 'switched-off foreign key', tgname::text FROM pg_trigger WHERE tgisinternal AND tgenabled = 'D'"
    " UNION ALL SELECT ev_class, 'rule', rulename::text FROM pg_rewrite WHERE rulename <> '_RETURN'"
    " UNION ALL SELECT polrelid, 'row policy', polname::text FROM pg_policy"
    ") x ON x.of = c.oid WHERE c.relnamespace = current_schema()::regnamespace"
)


def strangers(connection: sa.Connection) -> list[str]:
    """Return what of somebody else works on our tables, each as `trigger NAME on TABLE`."""
    is_postgres = connection.dialect.name == "postgresql"
    ours = {guard.trigger for guard in _mine(connection)} | {_no_truncate(table) for table in NEVER_EMPTIED}
    found = connection.exec_driver_sql(POSTGRES_OTHERS if is_postgres else SQLITE_OTHERS)
    return sorted(
        f"{kind} {name} on {table}" for table, kind, name in found
        if table in Table.metadata.tables and not (kind == "trigger" and name in ours)
    )  # fmt: skip


def follow(connection: sa.Connection) -> bool:
    """Shift the transaction ids where this server counts lower than the one the database came from."""
    if connection.dialect.name != "postgresql" or not xids.fell_back(connection):
        return False
    # Nobody may write in between: a number below one that is sealed already would be left out for ever.
    connection.exec_driver_sql("LOCK TABLE audit, outbox IN SHARE ROW EXCLUSIVE MODE")
    if not xids.fell_back(connection):
        return False
    xids.shift_further(connection)
    install(connection)
    return True


def _mine(connection: sa.Connection) -> list[Guard]:
    """Return the guards of this engine, with the transaction ids of this database."""
    engine = connection.dialect.name
    own = xids.own(xids.shift(connection)) if engine == "postgresql" else ""
    return [replace(one, refuse=one.refuse.replace(OWN_XID, own)) for one in GUARDS if one.is_for(engine)]


def _no_truncate(table: str) -> str:
    return f"guard_{table}_no_truncate"


def _postgres_extras(connection: sa.Connection) -> None:
    for table in NEVER_EMPTIED:
        for statement in never_emptied_trigger(table):
            connection.exec_driver_sql(statement)
    # Or a temporary table by the name of one of ours could answer in its place.
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    for name in [guard.trigger for guard in _mine(connection)] + [_no_truncate(table) for table in NEVER_EMPTIED]:
        connection.exec_driver_sql(f"ALTER FUNCTION {name}() SET search_path = {schema}, pg_temp")
    # So that a reader of either table never runs past a transaction that is still open.
    own = xids.own(xids.shift(connection))
    for table in ("audit", "outbox"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN xid SET DEFAULT {own}")
    # The queue churns; vacuum it long before a fifth of it is dead.
    for table in ("item", "outbox"):
        connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01)")
