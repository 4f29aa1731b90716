"""The stored words that a screen needs to name."""

from db.tables.words import Label, Role, Status, Verdict

__all__ = ["Label", "Role", "Status", "Verdict"]
