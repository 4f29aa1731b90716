"""From reviews to what another tool reads: which of them it can use; how many are left out, by why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from db.clock import iso
from db.engine import Database, explained
from db.tables import Label as LabelOf
from db.tables import Origin, Verdict
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.exports.formats import Format
from neuro_review.exports.held_out import HeldOut
from neuro_review.exports.lines import Label, Left, Line, lines, messages
from neuro_review.exports.rows import Page, Question

Row = dict[str, Any]
TRAFFIC = frozenset({Origin.GATE, Origin.HISTORY, Origin.SAMPLE})
ABOUT = ("item_id", "review_id", "external_id", "model", "verdict", "reviewer", "rubric_version", "prompt_version")
CASES_AT_ONCE = 20


@dataclass
class Encoded:
    """A page as bytes, and what is in it."""

    data: bytes = b""
    rows: int = 0
    """How many lines it has."""
    verdicts: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


class Selection:
    """Makes lines of one format out of rows."""

    def __init__(self, database: Database, question: Question, form: Format, *, keeps_out: bool = True) -> None:
        self.question, self.form = question, form
        self.held_out = HeldOut(database, question.workflow_id) if form.trains and keeps_out else None

    def encode(self, rows: Iterable[Row]) -> Encoded:
        """Return rows as lines; what cannot be one is counted."""
        done, written = Encoded(), []
        for row in rows:
            made = self._lines(row)
            if isinstance(made, Left):
                done.left_out[str(made)] += 1
                continue
            written += [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in made]
            done.verdicts[row["verdict"]] += 1
            done.models[row["model"]] += 1
        done.data, done.rows = _on_lines(b"".join(written)), len(written)
        return done

    def _lines(self, row: Row) -> list[Line] | Left:
        why = _no_label(row)
        if why is not None:
            return why
        asked = messages(row["prompt"], is_chat=row["prompt_is_chat"])
        if isinstance(asked, Left):
            return asked
        made = lines(self.form, self._label(row, asked))
        if self.held_out is not None and not isinstance(made, Left):
            forbidden = self.held_out.forbids(row["item_id"], row["prompt"], is_chat=row["prompt_is_chat"])
            return forbidden or made
        return made

    def _label(self, row: Row, asked: list[dict[str, str]]) -> Label:
        about = {"workflow": self.question.workflow} | {name: row[name] for name in ABOUT if row[name] is not None}
        about |= {"reasons": orjson.loads(row["reasons"])}
        if row["created_at"] is not None:
            about["created_at"] = iso(row["created_at"])
        if row["context"] is not None:
            about["context"] = row["context"]
        return Label(
            row["id"], asked, row["output"], row["final_text"], row["verdict"],
            self.question.eval_set or self.question.workflow, about,
        )  # fmt: skip


def _on_lines(data: bytes) -> bytes:
    """Return JSON lines in which nothing but a line feed can be taken for the end of a line, as some readers would."""
    for character in ("\x85", "\u2028", "\u2029"):
        data = data.replace(character.encode(), f"\\u{ord(character):04x}".encode())
    return data


def _no_label(row: Row) -> Left | None:
    """Return why a review is no label with texts, or None where it is one."""
    if row["item_label"] is None:
        return Left.OPEN
    if row["item_label"] == LabelOf.DISPUTED:
        return Left.DISPUTED
    if not row["is_item_label"]:
        return Left.OTHER_REVIEW
    if row["origin"] not in TRAFFIC:
        return Left.NO_TRAFFIC
    if row["output"] is None or (row["verdict"] != Verdict.REJECT and row["final_text"] is None):
        return Left.ERASED
    return None


def of_page(page: Page) -> Iterator[Row]:
    """Yield the rows of a page of reviews; a label is known by its item, of which it is the only one."""
    names = list(page.columns)
    for values in zip(*(page.columns[name] for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        yield row | {"id": row["item_id"]}


def of_cases(database: Database, version_id: str) -> Iterator[list[Row]]:
    """Yield the cases of a version of an eval set, some at a time, as rows."""
    after = 0
    while True:
        with explained(), database.reading() as session:
            cases = eval_sets.cases(session, version_id, after=after, most=CASES_AT_ONCE)
        if not cases:
            return
        yield [_of_case(case) for case in cases]
        after = cases[-1].position


def _of_case(case: eval_sets.Case) -> Row:
    return {
        "id": case.id, "item_id": case.item_id, "review_id": case.review_id, "external_id": None, "model": case.model,
        "verdict": case.verdict, "item_label": case.verdict, "is_item_label": True, "origin": Origin.GATE,
        "reviewer": case.reviewer, "reasons": orjson.dumps(case.reasons), "rubric_version": case.rubric_version,
        "prompt_version": None, "prompt": case.prompt, "prompt_is_chat": case.prompt_is_chat,
        "context": case.context, "output": case.output, "final_text": case.target, "created_at": None,
    }  # fmt: skip
