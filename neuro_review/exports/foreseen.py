"""What a file for another tool will hold, said before it is made: its lines are made for a moment, and not kept."""

from collections import Counter
from dataclasses import dataclass, field

from db.clock import SECOND, now
from db.engine import Database, explained
from db.tables import Role
from neuro_review import workflows
from neuro_review.access import Actor
from neuro_review.cycles import few_looks
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.exports.formats import Format
from neuro_review.exports.parts import Cutter, here
from neuro_review.exports.rows import Filter, Question
from neuro_review.exports.selecting import Selection, of_page

LOOKED_FOR = SECOND
"""Some 30,000 reviews; what takes longer is counted when the file is made."""
MOST_HELD_OUT = 500
"""Held-out cases with which labels are compared here; to read more of them would take longer than the rest."""


@dataclass
class Foreseen:
    """What the file would hold at this moment, as far as that was looked through."""

    lines: int = 0
    reviews: int = 0
    """How many that match were looked at."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many of them are not in it, by why (`lines.MEANS`)."""
    is_whole: bool = True
    """All that match were looked at."""
    keeps_out: bool = True
    """What is held out is left out of it already; else too much is held out to be compared here."""

    @property
    def is_exact(self) -> bool:
        """Tell whether the file will hold just that, unless something changes."""
        return self.is_whole and self.keeps_out


def foresee(database: Database, by: Actor, workflow_id: int, form: Format, choice: Filter) -> Foreseen:
    """Return what a file of a workflow's labels in the format of another tool would hold.

    Raises:
        NotAllowedError: this person may not export it.
        NotFoundError: there is no such workflow.
        DatabaseUnusableError: the database is away or damaged.
    """
    by.require(Role.EXPORT, workflow_id)
    until = now() + LOOKED_FOR
    with explained(), database.reading() as session:
        flow = workflows.by_id(session, workflow_id)
        keeps_out = not form.trains or eval_sets.held_out_cases(session, workflow_id) <= MOST_HELD_OUT
    found, question = Foreseen(keeps_out=keeps_out), Question(flow.id, flow.name, choice, now())
    selection = Selection(database, question, form, keeps_out=keeps_out)
    cutter = Cutter(database, workflow_id)
    with few_looks():
        for number, (part, _) in enumerate(here(cutter, question, lambda page: selection.encode(of_page(page)))):
            if number and now() > until:
                found.is_whole = False
                break
            cutter.learn(part)
            found.lines += part.rows
            found.left_out.update(part.left_out)
            found.reviews += sum(part.verdicts.values()) + sum(part.left_out.values())
    return found
