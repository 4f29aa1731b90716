"""PostgreSQL's transaction ids, by which the audit log and the feed are read in order: they never fall back.

A dump restored on another server meets a server that counts lower: what is written then would come before what was
sealed or read long ago, and wait for years. So a number is added to a server's ids (`schema_info.xid_shift`);
it grows at the first start after such a move, and is written into the column's default, where it costs nothing.
"""

import sqlalchemy as sa

SHIFT = "(SELECT coalesce(max(xid_shift), 0) FROM schema_info)"
SETTLED = f"(SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {SHIFT})"
"""SQL: all transactions before this one have ended, so that nothing comes in behind who has read up to it."""
# Events and messages are written in the same transactions, so the log alone tells the highest that was given.
FELL_BACK = sa.text(
    f"SELECT coalesce(max(xid), -1) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + {SHIFT} FROM audit"
)
FURTHER = sa.text(
    "UPDATE schema_info SET xid_shift = (SELECT max(xid) FROM audit) + 1"
    " - pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
)
# The old code's table lacks the column until the revision that adds it has run.
HAS_SHIFT = sa.text(
    "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND table_name = 'schema_info' AND column_name = 'xid_shift'"
)


def own(shift: int) -> str:
    """Return the SQL of the running transaction's id in a database with this shift."""
    return f"(pg_current_xact_id()::text::bigint + {shift:d})"


def shift(connection: sa.Connection) -> int:
    """Return what is added to the ids of this server."""
    if not connection.execute(HAS_SHIFT).scalar_one():
        return 0
    return int(connection.execute(sa.text(f"SELECT {SHIFT}")).scalar_one())


def fell_back(connection: sa.Connection) -> bool:
    """Tell whether the log holds ids that this server has yet to give."""
    return bool(connection.execute(FELL_BACK).scalar_one())


def shift_further(connection: sa.Connection) -> None:
    """Make every id from now on higher than all there are; the caller keeps others from writing meanwhile."""
    connection.execute(FURTHER)
