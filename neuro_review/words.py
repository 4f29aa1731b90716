"""The stored words that a screen needs to name."""

from db.tables.words import Role, Status, Verdict

__all__ = ["Role", "Status", "Verdict"]
