"""What an export finds: reviews of the past, and verdicts of the gate, put in place by the verbs that make them."""

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import sqlalchemy as sa

from db.clock import iso, parse_iso
from db.engine import Database
from db.tables import Origin, Verdict
from neuro_review import decisions, history, intake, queue, workflows
from neuro_review.access import Actor
from neuro_review.exports.cells import unescape_cell
from neuro_review.exports.columns import COLUMNS, Kind
from neuro_review.exports.formats import Format
from neuro_review.exports.run import Written, write
from neuro_review.workflows import Workflow
from tests.conftest import OPERATOR
from tests.helpers import note_erasure


def past(db: Database, workflow: Workflow, reviews: list[dict[str, Any]], **item: Any) -> str:
    """Record an item with reviews of the past and return its id."""
    with db.writing() as session:
        door = intake.Door(workflow, workflows.source_id(session, "import"), "operator:tests", Origin.HISTORY)
        one = intake.prepare(door, intake.Submission(**{"model": "m", "output": "The output."} | item))
        batch = [(one, history.PastReview(**review)) for review in reviews]
        assert {outcome for outcome, _ in history.store(session, door, batch)} == {intake.Outcome.STORED}
        return one.item_id


def held(db: Database, workflow: Workflow, **item: Any) -> str:
    """Submit an item and return its id."""
    with db.writing() as session:
        door = intake.Door(workflow, workflows.source_id(session, "shop"), "source:1")
        one = intake.prepare(door, intake.Submission(**{"model": "m", "output": "The output."} | item))
        intake.store(session, door, [one])
        return one.item_id


def decide(db: Database, workflow: Workflow, by: Actor, verdict: Verdict, text: str | None = None) -> str:
    """Give a verdict on what waits the longest and return the item's id."""
    reasons = ["Tone"] if verdict is Verdict.REJECT else []
    with db.writing() as session:
        (lease,) = queue.claim(session, by, [workflow.id], most=1)
        opinion = decisions.Opinion(verdict, text, reasons, note="seen")
        decisions.decide(session, lease.item_id, by, lease.lease_n, opinion)
        return lease.item_id


def erase(db: Database, item_id: str) -> None:
    """Take away what an item and its reviews say, beside the row that allows it."""
    with db.writing() as session:
        note_erasure(session, item_id)
        run = session.connection().execute
        empty = "salt = NULL, prompt = NULL, output = NULL, context = NULL, metadata = NULL"
        run(sa.text(f"UPDATE item_content SET {empty} WHERE item_id = :id"), {"id": item_id})
        run(sa.text("UPDATE review_content SET text = NULL, note = NULL"))
        run(sa.text("UPDATE item SET end_user = NULL WHERE id = :id"), {"id": item_id})


def set_grace(db: Database, workflow: Workflow, ms: int) -> None:
    with db.writing() as session:
        session.connection().execute(
            sa.text("UPDATE workflow SET grace_ms = :ms WHERE id = :id"), {"ms": ms, "id": workflow.id}
        )


def written(db: Database, folder: Path, form: Format = Format.JSONL, by: Actor = OPERATOR, **more: Any) -> Written:
    return write(db, by, "support", form, folder / f"out.{form}", **more)


def rows(done: Written) -> list[dict[str, Any]]:
    """Read a file back as a reader would, into the values of the JSONL form."""
    assert done.file is not None
    if done.format is Format.JSONL:
        return [orjson.loads(line) for line in done.file.read_bytes().split(b"\n")[:-1]]
    if done.format is Format.PARQUET:
        return [_row({k: _from_arrow(k, v) for k, v in row.items()}) for row in pq.read_table(done.file).to_pylist()]
    return [_row(row) for row in _csv_rows(done.file.read_bytes())]


def _from_arrow(name: str, value: Any) -> Any:
    if value is not None and KIND[name] is Kind.TIME:
        return parse_back(value)
    return value


def parse_back(value: Any) -> str:
    return iso(parse_iso(value.isoformat()))


def _csv_rows(data: bytes) -> list[dict[str, Any]]:
    text = data.decode()
    quoted_empty = "\0"  # the csv module cannot tell an empty text from null; mark the quoted one
    lines = csv.reader(io.StringIO(text.replace(',"",', f',"{quoted_empty}",'), newline=""))
    header = next(lines)
    return [{k: _from_csv(k, v) for k, v in zip(header, line, strict=True)} for line in lines]


def _from_csv(name: str, cell: str) -> Any:
    kind = KIND[name]
    if cell == "":
        return None
    if kind is Kind.INTEGER:
        return int(cell)
    if kind is Kind.NUMBER:
        return float(cell)
    if kind is Kind.FLAG:
        return {"true": True, "false": False}[cell]
    text = unescape_cell(cell.replace("\0", ""))
    return orjson.loads(text) if kind is Kind.LIST else text


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Make of JSON texts what JSONL has natively."""
    if row["prompt_is_chat"] and row["prompt"] is not None:
        row["prompt"] = orjson.loads(row["prompt"])
    if row["metadata"] is not None:
        row["metadata"] = orjson.loads(row["metadata"])
    return row


KIND = {column.name: column.kind for column in COLUMNS}
