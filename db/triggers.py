"""A guard, and how it is written as a trigger of each engine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """One rule: the statement on the table is refused where the condition on OLD and NEW holds."""

    table: str
    on: str
    name: str
    refuse: str
    says: str
    only_if: str = "TRUE"
    """A cheap condition on OLD and NEW that must hold first: PostgreSQL then calls no function for the other rows."""
    only_on: str = ""
    """The engine that needs it; both where empty."""
    locks: str = ""
    """The item that PostgreSQL locks before it looks, so that two transactions cannot each miss the other's row."""

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
    # A WHEN clause cannot ask another table, but where it need not, a row that passes costs no function call.
    when = guard.only_if if "SELECT" in guard.refuse else f"({guard.only_if}) AND ({guard.refuse})"
    return [
        postgres_function(guard.trigger, postgres_body(guard)),
        f"DROP TRIGGER IF EXISTS {guard.trigger} ON {guard.table}",
        f"CREATE TRIGGER {guard.trigger} BEFORE {guard.on} ON {guard.table} FOR EACH ROW WHEN ({when})"
        f" EXECUTE FUNCTION {guard.trigger}()",
    ]


def postgres_body(guard: Guard) -> str:
    """Return what the function of a guard does."""
    refusal = f"RAISE EXCEPTION USING MESSAGE = {quoted(guard.says)}, ERRCODE = 'integrity_constraint_violation';"
    passed = "OLD" if guard.on == "DELETE" else "NEW"
    if "SELECT" not in guard.refuse:
        return f"BEGIN {refusal} RETURN {passed}; END"
    lock = f"PERFORM 1 FROM item i WHERE i.id = {guard.locks} FOR UPDATE; " if guard.locks else ""
    return f"BEGIN {lock}IF ({guard.refuse}) THEN {refusal} END IF; RETURN {passed}; END"


def postgres_function(name: str, body: str) -> str:
    """Return the statement that makes a trigger's function."""
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"


def never_emptied(table: str) -> str:
    """Return what the function does that keeps a table from being emptied at once."""
    return (
        f"BEGIN RAISE EXCEPTION USING MESSAGE = 'The table {table} is never emptied.',"
        " ERRCODE = 'integrity_constraint_violation'; END"
    )
