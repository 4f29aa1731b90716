"""A guard, and how it is written as a trigger of each engine."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

ADDED = "added"
"""What the new rows of a statement are called, where a guard looks at all of them at once."""
OWN_XID = "{own xid}"
"""Stands in a condition for the id of the running transaction (`db.xids`)."""


@dataclass(frozen=True)
class Guard:
    """One rule: the statement on the table is refused where the condition on OLD and NEW holds."""

    table: str
    on: str
    name: str
    refuse: str
    says: str
    only_if: str = "TRUE"
    """A cheap condition on OLD and NEW that must hold first: for the other rows PostgreSQL then asks no table."""
    only_on: str = ""
    """The engine that needs it; both where empty."""
    locks: str = ""
    """The row that PostgreSQL locks before it looks, so that two transactions cannot each miss the other's row."""
    locked: str = "item"
    """The table of that row."""
    at_once: bool = False
    """PostgreSQL looks at all rows of an INSERT together, once they are in: a call a row costs an import a tenth."""

    def is_for(self, engine: str) -> bool:
        """Tell whether this engine needs the guard."""
        return self.only_on in ("", engine)

    @property
    def trigger(self) -> str:
        """Return the name of the trigger."""
        return f"guard_{self.table}_{self.name}"


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sqlite_trigger(guard: Guard) -> list[str]:
    """Return the statements that put a guard in place on SQLite."""
    return [
        f"DROP TRIGGER IF EXISTS {guard.trigger}",
        f"CREATE TRIGGER {guard.trigger} BEFORE {guard.on} ON {guard.table} FOR EACH ROW"
        f" WHEN ({guard.only_if}) AND ({guard.refuse})"
        f" BEGIN SELECT RAISE(ABORT, {quoted(guard.says)}); END",
    ]


def postgres_trigger(guard: Guard) -> list[str]:
    """Return the statements that put a guard in place on PostgreSQL."""
    # No WHEN: PostgreSQL rewrites it in words of its own, so that nobody could tell whether it is still ours.
    when = f"BEFORE {guard.on} ON {guard.table} FOR EACH ROW"
    if guard.at_once:
        when = f"AFTER INSERT ON {guard.table} REFERENCING NEW TABLE AS {ADDED} FOR EACH STATEMENT"
    return [
        postgres_function(guard.trigger, postgres_body(guard)),
        f"DROP TRIGGER IF EXISTS {guard.trigger} ON {guard.table}",
        f"CREATE TRIGGER {guard.trigger} {when} EXECUTE FUNCTION {guard.trigger}()",
    ]


def postgres_facts(guard: Guard) -> tuple[str, str, int, str | None]:
    """Return what PostgreSQL notes of a guard: its table, what it does, when it fires, what its new rows are called."""
    when = (4, ADDED) if guard.at_once else (2 + {"INSERT": 1 + 4, "DELETE": 1 + 8, "UPDATE": 1 + 16}[guard.on], None)
    return guard.table, postgres_body(guard), *when


def postgres_body(guard: Guard) -> str:
    """Return what the function of a guard does."""
    refusal = f"RAISE EXCEPTION USING MESSAGE = {quoted(guard.says)}, ERRCODE = 'integrity_constraint_violation';"
    if guard.at_once:
        # The condition is written about NEW, so that is what the rows are called, and not the variable of this name.
        broken = f"SELECT 1 FROM {ADDED} AS new WHERE ({guard.only_if}) AND ({guard.refuse})"
        return f"#variable_conflict use_column\nBEGIN IF EXISTS ({broken}) THEN {refusal} END IF; RETURN NULL; END"
    passed = "OLD" if guard.on == "DELETE" else "NEW"
    lock = f"PERFORM 1 FROM {guard.locked} i WHERE i.id = {guard.locks} FOR UPDATE; " if guard.locks else ""
    look = f"{lock}IF ({guard.refuse}) THEN {refusal} END IF;"
    if guard.only_if != "TRUE":
        look = f"IF ({guard.only_if}) THEN {look} END IF;"
    return f"BEGIN {look} RETURN {passed}; END"


def postgres_function(name: str, body: str) -> str:
    """Return the statement that makes a trigger's function."""
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"


def never_emptied_facts(table: str) -> tuple[str, str, int, str | None]:
    """Return what PostgreSQL notes of what keeps a table from being emptied at once."""
    return table, never_emptied(table), 2 + 32, None


def never_emptied(table: str) -> str:
    """Return what the function does that keeps a table from being emptied at once."""
    return (
        f"BEGIN RAISE EXCEPTION USING MESSAGE = 'The table {table} is never emptied.',"
        " ERRCODE = 'integrity_constraint_violation'; END"
    )


def never_emptied_trigger(table: str) -> list[str]:
    """Return the statements that keep a table from being emptied at once."""
    name = f"guard_{table}_no_truncate"
    return [
        postgres_function(name, never_emptied(table)),
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    ]


SQLITE_PRESENT = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
# Only those that fire always and for every change of a row, and whose function asks our tables and no others.
POSTGRES_PRESENT = (
    "SELECT tgname, relname, prosrc, tgtype, tgnewtable FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgqual IS NULL"
    " AND tgattr = '' AND c.relnamespace = current_schema()::regnamespace"
    " AND p.proconfig @> ARRAY['search_path=' || quote_ident(current_schema()) || ', pg_temp']"
)


def present(connection: sa.Connection) -> dict[str, tuple[Any, ...]]:
    """Return the triggers that are in force, by name: table and words, on PostgreSQL also when they fire."""
    is_postgres = connection.dialect.name == "postgresql"
    rows = connection.exec_driver_sql(POSTGRES_PRESENT if is_postgres else SQLITE_PRESENT)
    return {name: tuple(facts) for name, *facts in rows}
