"""Many rows into one table at the speed of the engine: multi-row VALUES on SQLite, COPY on PostgreSQL.

SQLAlchemy's own bulk insert spends more time on parameters than SQLite on the rows; measured, 12,000 rows/s against
25,000. Guards, checks and foreign keys hold here as everywhere.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlmodel import Session

ROWS_A_STATEMENT = 50
MOST_VARIABLES = 30_000  # SQLite takes 32,766


def insert_rows(session: Session, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows (tuples in the order of `columns`, names separated by spaces) in the caller's transaction."""
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table} ({', '.join(columns.split())}) FROM STDIN", rows)
        return
    step = min(ROWS_A_STATEMENT, MOST_VARIABLES // len(columns.split()))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = tuple(itertools.chain.from_iterable(part))
        connection.exec_driver_sql(_values_sql(table, columns, len(part)), values)


def _copy(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        # COPY goes past SQLAlchemy; what it raises must be the same as everywhere.
        raise sa.exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=raw.closed,
            dialect=connection.dialect,
        ) from error  # fmt: skip


@functools.lru_cache(maxsize=512)
def _values_sql(table: str, columns: str, rows: int) -> str:
    names = columns.split()
    row = "(" + ",".join("?" * len(names)) + ")"
    return f"INSERT INTO {table} ({','.join(names)}) VALUES {','.join([row] * rows)}"
