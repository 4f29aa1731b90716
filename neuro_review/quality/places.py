"""Which workflow somebody most likely wants to look at."""

import sqlalchemy as sa
from sqlmodel import Session

BUSY = sa.text(
    "SELECT workflow_id FROM rollup_source WHERE origin IN ('gate', 'history') GROUP BY workflow_id"
    " ORDER BY sum(n) DESC, workflow_id"
)


def busiest(session: Session) -> list[int]:
    """Return the workflows in which something came in, those with the most outputs first."""
    return list(session.connection().execute(BUSY).scalars())
