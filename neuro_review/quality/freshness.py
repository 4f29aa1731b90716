"""A number that changes with everything that moves a chart, so that what was counted can be kept until then."""

import sqlalchemy as sa
from sqlmodel import Session

NEWEST = sa.text("SELECT max(position) FROM audit")


def newest(session: Session) -> int:
    """Return the number of the latest event: every submit, verdict, undoing, release and change of terms is one."""
    return session.connection().execute(NEWEST).scalar() or 0
