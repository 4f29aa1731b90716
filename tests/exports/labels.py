"""Labels of every kind, for exports that other tools read: what is written of each is known."""

from pathlib import Path
from typing import Any

import orjson

from db.engine import Database
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.exports.formats import Format
from neuro_review.exports.run import Written, write
from tests.conftest import OPERATOR, Team
from tests.exports.stock import past

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When do you open on Sundays?"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Do you "}, {"type": "text", "text": "ship abroad?"}]}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]
TOOL = [{"role": "user", "content": "Weather?"}, {"role": "tool", "content": "Rain.", "tool_call_id": "1"}]
HOSTILE = '=1+1 "quoted"\n\u2028\u2029\x85\x7f <b>ünï</b> 🙂 \\n'


def labels(db: Database, team: Team) -> None:
    """Record six usable labels (two corrections, a rejection) and eight that some format cannot use."""
    by = {"reviewer": "ann", "decided_at": "2026-01-02T00:00:00Z"}
    yes, no = {"verdict": "approve", **by}, {"verdict": "reject", "reasons": ["Tone"], **by}

    def one(name: str, review: dict[str, Any], **item: Any) -> None:
        past(db, team.support, [review], external_id=name, model="larch", **item)

    one("capital", yes, prompt="What is the capital of France?", output="Paris")
    one("chat", {"verdict": "correct", "correction": "Sundays we are closed.", **by}, prompt=CHAT, output="At nine.")
    one("parts", yes, prompt=PARTS, output="Yes, to all of Europe and to Norway.")
    one("hostile", {"verdict": "correct", "correction": HOSTILE, **by}, prompt="Say something odd", output="Why?")
    one("rude", no, prompt="Who are you?", output="None of your business.")
    kind = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Gift cards?"}]
    one("developer", yes, prompt=kind, output="We do not.")
    one("unasked", yes, output="Nobody asked.")
    one("image", yes, prompt=IMAGE, output="A cat.")
    one("tool", yes, prompt=TOOL, output="Rain.")
    one("template", yes, prompt="Fill in {{ name }}", output="Dear {{ name }}")
    past(
        db, team.support, [yes | {"reviewer": "a"}, no | {"reviewer": "b"}], external_id="split", prompt="Disputed?",
        output="Yes.",
    )  # fmt: skip
    past(
        db, team.support, [yes | {"reviewer": "a"}, yes | {"reviewer": "b"}], external_id="twice", prompt="Both agree?",
        output="Both.", model="larch",
    )  # fmt: skip


def hold_out(db: Database, name: str = "exam", held_out: bool = True, **wanted: Any) -> str:
    """Freeze all labels of the moment, or some, into a set that is held out."""
    return making.make(db, OPERATOR, name, "support", Wanted(**wanted), held_out=held_out).ref


def exported(db: Database, folder: Path, form: Format, **more: Any) -> tuple[Written, list[dict[str, Any]]]:
    """Write an export and return it with its lines."""
    done = write(db, OPERATOR, "support", form, folder / f"{form}.jsonl", **more)
    assert done.file is not None
    return done, [orjson.loads(line) for line in done.file.read_bytes().split(b"\n")[:-1]]
