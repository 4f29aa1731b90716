"""What no training file may hold: the cases of the eval sets that are held out, and what says nearly the same."""

from db.engine import Database, explained
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.eval_sets.choosing import asked
from neuro_review.eval_sets.known import Known
from neuro_review.exports.lines import Left


class HeldOut:
    """The held-out cases of a workflow, of every frozen version."""

    def __init__(self, database: Database, workflow_id: int) -> None:
        self.items: set[str] = set()
        self._known = Known()
        texts: set[str] = set()
        with explained(), database.reading() as session:
            for row in eval_sets.held_out(session, workflow_id):
                self.items.add(row.item_id)
                text = asked(row.prompt, is_chat=row.prompt_is_chat) if row.prompt else None
                if text is not None and text not in texts:
                    texts.add(text)
                    self._known.add(text)

    def forbids(self, item_id: str, prompt: str, *, is_chat: bool) -> Left | None:
        """Return why a label may not be learnt from, or None where it may."""
        if item_id in self.items:
            return Left.HELD_OUT
        if self._known.nearest(asked(prompt, is_chat=is_chat)) is not None:
            return Left.NEAR_HELD_OUT
        return None
