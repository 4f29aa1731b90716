"""The kinds of rule that several tables share, each as the guards that keep it."""

from db.triggers import OWN_XID, Guard


def not_replaced(table: str, same: str, what: str) -> Guard:
    """Return the guard against `INSERT OR REPLACE`; the rowid is -1 where the statement leaves it to SQLite."""
    return Guard(
        table, "INSERT", "no_replace",
        f"{same} OR (NEW.rowid <> -1 AND EXISTS (SELECT 1 FROM {table} o WHERE o.rowid = NEW.rowid))",
        f"{what} is there already and is never replaced.", only_on="sqlite",
    )  # fmt: skip


def not_renumbered(table: str, what: str) -> Guard:
    """Return the guard against `UPDATE OR REPLACE` of a rowid, which deletes the row that had it."""
    return Guard(table, "UPDATE", "no_renumber", "NEW.rowid <> OLD.rowid", f"{what} keeps its row.", only_on="sqlite")


def append_only(table: str, unique: str, what: str) -> list[Guard]:
    """Return the guards of a table whose rows are only ever added."""
    same = " AND ".join(f"o.{column} = NEW.{column}" for column in unique.split())
    return [
        Guard(table, "UPDATE", "no_update", "TRUE", f"{what} is never rewritten."),
        Guard(table, "DELETE", "no_delete", "TRUE", f"{what} is never deleted."),
        not_replaced(table, f"EXISTS (SELECT 1 FROM {table} o WHERE {same})", what),
    ]


def numbered(table: str, number: str, what: str) -> list[Guard]:
    """Return the guards of a table that is read in its order: a chosen number could slip in behind its readers."""
    return [
        Guard(
            table, "INSERT", "in_order",
            f"NEW.xid <> 0 OR (NEW.{number} <> -1 AND NEW.{number} <= (SELECT max(o.{number}) FROM {table} o))",
            f"{what} comes after those before it.", only_on="sqlite",
        ),
        Guard(
            table, "INSERT", "in_order", f"NEW.xid <> {OWN_XID}",
            f"{what} belongs to the transaction that writes it.", only_on="postgresql", at_once=True,
        ),
    ]  # fmt: skip


def fixed(table: str, columns: str) -> str:
    """Return the condition that one of these columns was changed."""
    return " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in columns.split())


def erasable(table: str, owner: str, columns: str, what: str, item: str) -> list[Guard]:
    """Return the guards of a content table: a text may only become NULL, and only beside an erasure.

    `owner` is the key of the table, `item` says whose erasure it takes.
    """
    same = " AND ".join(f"o.{column} = NEW.{column}" for column in owner.split())
    kept = " OR ".join(
        f"(NEW.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})" for column in columns.split()
    )
    erased = f"EXISTS (SELECT 1 FROM erasure e WHERE e.item_id = {item})"
    return [
        Guard(
            table, "UPDATE", "no_rewrite", f"{fixed(table, owner)} OR {kept}",
            f"{what} is never rewritten.",
        ),
        Guard(table, "UPDATE", "erasure", f"NOT {erased}", f"{what} goes only with an erasure that says why."),
        Guard(table, "DELETE", "no_delete", "TRUE", f"{what} is never deleted."),
        not_renumbered(table, what),
        not_replaced(table, f"EXISTS (SELECT 1 FROM {table} o WHERE {same})", what),
    ]  # fmt: skip
