"""What every table shares: the registry, the names of constraints, and the few column types."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

# Unnamed constraints are lost when SQLite rebuilds a table; each has a name from the first day.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel, registry=registry(metadata=sa.MetaData(naming_convention=NAMES))):
    """A table of the house: in a registry of its own, so that a reload of the code can define it again."""


class Id(sa.types.TypeDecorator[str]):
    """An id: 32 hexadecimal digits in Python and SQLite, a native `uuid` in PostgreSQL."""

    impl = sa.CHAR(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column type of this engine."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=False))
        return dialect.type_descriptor(sa.CHAR(32))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return the id in its one form."""
        return value.replace("-", "") if value is not None else None


def key(target: str | None = None, *, primary: bool = False, null: bool = False) -> Any:
    """Return a field that holds an id, of this row or of another (`table.column`)."""
    if null:
        return Field(default=None, sa_type=Id, foreign_key=target, nullable=True)
    return Field(sa_type=Id, foreign_key=target, primary_key=primary)


def micros(*, null: bool = False) -> Any:
    """Return a field for an instant or a sum of money: a whole number of millionths."""
    if null:
        return Field(default=None, sa_type=sa.BigInteger, nullable=True)
    return Field(sa_type=sa.BigInteger)


def serial() -> Any:
    """Return a primary key that counts up: 64 bits on PostgreSQL, the rowid on SQLite."""
    return Field(
        default=None,
        sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        nullable=False,
    )


def one_of(column: str, words: Iterable[str]) -> sa.CheckConstraint:
    """Return a named check that a column holds one of these words; a native enum could not be migrated."""
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def check(name: str, rule: str) -> sa.CheckConstraint:
    """Return a named check."""
    return sa.CheckConstraint(rule, name=name)
