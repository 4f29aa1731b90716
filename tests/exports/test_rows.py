"""Which reviews an export holds, and what it says of each."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from db.clock import MINUTE, SECOND, iso, new_id, now, parse_iso
from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, queue, releases
from neuro_review.exports.formats import TABLES, Format
from neuro_review.exports.rows import BY_INDEX, END, FROM, START, WHERE, Filter, page_query
from tests.conftest import Clock, Team
from tests.exports.stock import decide, erase, held, past, rows, set_grace, written

HOSTILE = "=1+1,\"quoted\"\r\nnext 'line' \u2028 ünï 🙂"


def test_every_format_gives_back_the_same_values(db: Database, team: Team, tmp_path: Path) -> None:
    past(
        db, team.support,
        [{"verdict": "correct", "correction": "'=2", "reasons": ["a;b", "=c"], "reviewer": "@ann", "decided_at": 5.25}],
        external_id="-x", output=HOSTILE, prompt=[{"role": "user", "content": "hi\n"}], context={"a": 1},
        metadata={"k": [1, "é\n"]}, cost_usd=0.000123, latency_ms=7, prompt_tokens=1, completion_tokens=2,
        trace_url="https://x.example", end_user="+e", prompt_version="v1", created_at=1_700_000_000,
    )  # fmt: skip
    past(db, team.support, [{"verdict": "reject"}], prompt="=plain\t", output=" ")
    held(db, team.support, output="from the gate")
    set_grace(db, team.support, 0)
    decide(db, team.support, team.bo, Verdict.APPROVE)

    lines, cells, typed = (rows(written(db, tmp_path, form)) for form in TABLES)

    assert lines == cells == typed
    first = lines[0]
    assert first["output"] == HOSTILE
    assert (first["final_text"], first["correction"], first["reasons"]) == ("'=2", "'=2", ["a;b", "=c"])
    assert first["prompt"] == [{"role": "user", "content": "hi\n"}]
    assert first["metadata"] == {"k": [1, "é\n"]}
    assert (first["cost_usd"], first["reviewed_at"]) == (0.000123, "1970-01-01T00:00:05.250000Z")
    assert (lines[1]["prompt"], lines[1]["cost_usd"], lines[1]["final_text"]) == ("=plain\t", None, None)
    assert (lines[2]["reviewer"], lines[2]["source"], lines[2]["final_text"]) == (
        team.bo.email,
        "shop",
        "from the gate",
    )
    assert lines[2]["released_at"] is not None


def test_a_verdict_in_grace_is_not_exported_and_after_it_is(
    db: Database, team: Team, tmp_path: Path, moved_clock: Clock
) -> None:
    held(db, team.support)
    decide(db, team.support, team.bo, Verdict.CORRECT, "Better.")

    assert written(db, tmp_path).rows == 0

    moved_clock.forward(6 * SECOND)
    (row,) = rows(written(db, tmp_path))
    assert (row["verdict"], row["final_text"], row["note"], row["is_item_label"]) == (
        "correct",
        "Better.",
        "seen",
        True,
    )


def test_a_verdict_that_was_undone_never_appears(db: Database, team: Team, tmp_path: Path, moved_clock: Clock) -> None:
    held(db, team.support)
    item_id = decide(db, team.support, team.bo, Verdict.REJECT)
    with db.writing() as session:
        lease_n = decisions.undo(session, item_id, team.bo)
    moved_clock.forward(MINUTE)

    assert written(db, tmp_path).rows == 0

    with db.writing() as session:
        assert queue.renew(session, team.bo, [(item_id, lease_n)]) == [item_id]
        decisions.decide(session, item_id, team.bo, lease_n, decisions.Opinion(Verdict.APPROVE))
    moved_clock.forward(MINUTE)
    (row,) = rows(written(db, tmp_path))
    assert (row["verdict"], row["is_item_label"], row["item_label"]) == ("approve", True, "approve")


def test_drafts_never_appear(db: Database, team: Team, tmp_path: Path) -> None:
    item_id = held(db, team.support)
    with db.writing() as session:
        queue.claim(session, team.bo, [team.support.id])
        decisions.save_draft(session, item_id, team.bo, "half a thought")

    assert b"half a thought" not in (written(db, tmp_path).file or Path()).read_bytes()


def label_rows(db: Database, folder: Path) -> list[tuple[str, str]]:
    return [(row["reviewer"], row["item_label"]) for row in rows(written(db, folder)) if row["is_item_label"]]


def test_the_label_comes_from_the_earliest_of_those_who_agree(db: Database, team: Team, tmp_path: Path) -> None:
    reviews = [{"verdict": "approve", "reviewer": name, "decided_at": at} for name, at in (("b", 20), ("a", 10))]
    past(db, team.support, reviews)

    assert written(db, tmp_path).rows == 2
    assert label_rows(db, tmp_path) == [("a", "approve")]


def test_where_reviewers_disagree_no_row_is_the_label_until_one_adjudicates(
    db: Database, team: Team, tmp_path: Path
) -> None:
    split = [{"verdict": "approve", "reviewer": "a"}, {"verdict": "reject", "reviewer": "b"}]
    past(db, team.support, split, external_id="open")
    assert label_rows(db, tmp_path) == []
    assert {row["item_label"] for row in rows(written(db, tmp_path))} == {"disputed"}

    settled = {"verdict": "reject", "reviewer": "judge", "adjudication": True, "decided_at": 1}
    past(db, team.support, [*split, settled], external_id="settled")

    assert label_rows(db, tmp_path) == [("judge", "reject")]
    assert [row["adjudication"] for row in rows(written(db, tmp_path))].count(True) == 1


def test_after_a_recall_the_label_comes_from_the_review_that_recalled(db: Database, team: Team, tmp_path: Path) -> None:
    set_grace(db, team.support, 0)
    held(db, team.support)
    item_id = decide(db, team.support, team.bo, Verdict.APPROVE)
    with db.writing() as session:
        opinion = decisions.Opinion(Verdict.REJECT, reasons=["Tone"])
        decisions.recall(session, item_id, team.olu, reason="wrong after all", opinion=opinion)

    found = rows(written(db, tmp_path))
    assert [(row["purpose"], row["is_item_label"]) for row in found] == [("gate", False), ("adjudication", True)]
    assert {(row["item_label"], row["recalled_at"] is None) for row in found} == {("reject", False)}


def test_an_item_that_was_withdrawn_after_an_undo_has_no_row(
    db: Database, team: Team, tmp_path: Path, moved_clock: Clock
) -> None:
    held(db, team.support)
    item_id = decide(db, team.support, team.bo, Verdict.APPROVE)
    with db.writing() as session:
        decisions.undo(session, item_id, team.bo)
        releases.lapse(session, item_id)
    moved_clock.forward(MINUTE)

    assert written(db, tmp_path).rows == 0


def test_erased_content_is_null(db: Database, team: Team, tmp_path: Path) -> None:
    item_id = past(
        db, team.support, [{"verdict": "correct", "correction": "C"}],
        prompt=[{"role": "user", "content": "p"}], context="c", metadata={"a": 1}, end_user="e",
    )  # fmt: skip
    erase(db, item_id)

    gone = ("prompt", "output", "final_text", "correction", "note", "context", "metadata", "end_user")
    for form in TABLES:
        (row,) = rows(written(db, tmp_path, form))
        assert [row[name] for name in gone] == [None] * len(gone)
        assert row["verdict"] == "correct"


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (Filter(model="m2"), ["2"]),
        (Filter(verdict=Verdict.REJECT), ["1"]),
        (Filter(reviewer="zoe"), ["0"]),
        (Filter(since=parse_iso("2026-01-02")), ["1", "2"]),
        (Filter(until=parse_iso("2026-01-02")), ["0"]),
        (Filter(since=parse_iso("2026-01-02"), until=parse_iso("2026-01-03")), ["1"]),
        (Filter(model="nobody"), []),
    ],
)  # fmt: skip
def test_a_filter_leaves_only_what_was_asked_for(
    db: Database, team: Team, tmp_path: Path, choice: Filter, found: list[str]
) -> None:
    for day, (model, verdict, who) in enumerate(
        [("m0", "approve", "zoe"), ("m1", "reject", "y"), ("m2", "approve", "y")]
    ):
        at = iso(parse_iso("2026-01-01") + day * 86_400_000_000)
        past(
            db, team.support, [{"verdict": verdict, "reviewer": who}], model=model, external_id=str(day), created_at=at
        )
    past(db, team.other, [{"verdict": "reject", "reviewer": "zoe"}], model="m2", external_id="other")

    assert [row["external_id"] for row in rows(written(db, tmp_path, choice=choice))] == found


def test_pages_join_without_a_gap_or_a_repeat(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuro_review.exports.parts.FIRST_PAGE", 1)
    monkeypatch.setattr("neuro_review.exports.parts.LARGEST_PAGE", 3)
    names = [str(n) for n in range(11)]
    for name in names:
        past(db, team.support, [{"verdict": "approve"}], external_id=name)
        past(db, team.other, [{"verdict": "approve"}], external_id=name)
    seen: list[tuple[int, int]] = []

    done = written(db, tmp_path, progress=lambda at, of: seen.append((at, of)))

    assert sorted(row["external_id"] for row in rows(done)) == sorted(names)
    assert seen[-1] == (11, 11)


@pytest.mark.parametrize("forks", [True, False])
def test_helper_processes_write_the_same_file(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: bool
) -> None:
    if forks and db.is_sqlite:
        pytest.skip("Helpers that read SQLite are never forked.")
    # A process that is started anew takes a second; what one line of text may be, any other may.
    forms = list(Format) if forks else [Format.JSONL, Format.CSV, Format.PARQUET, Format.TRL_DPO]
    monkeypatch.setattr("neuro_review.exports.parts._may_fork", lambda _: forks)
    monkeypatch.setattr("neuro_review.exports.parts.FIRST_PAGE", 2)
    monkeypatch.setattr("neuro_review.exports.parts.LARGEST_PAGE", 2)
    for n in range(9):
        past(db, team.support, [{"verdict": "approve"}], external_id=str(n), output=HOSTILE)
    alone = {form: written(db, tmp_path, form).sha256 for form in forms}

    monkeypatch.setattr("neuro_review.exports.run.helpers_for", lambda _: 2)

    assert {form: written(db, tmp_path, form).sha256 for form in forms} == alone


@pytest.mark.parametrize("helpers", [0, 2])
def test_long_reviews_after_short_ones_make_short_pages(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helpers: int
) -> None:
    from neuro_review.exports import formats, parts

    sizes: list[int] = []
    real = formats.encode
    monkeypatch.setattr(parts, "encode", lambda form, page: sizes.append(page.rows) or real(form, page))
    monkeypatch.setattr("neuro_review.exports.run.helpers_for", lambda _: helpers)
    names = [f"{n:02}" for n in range(60)]
    for name in names:
        output = "x" * (1_000_000 if name >= "20" else 10)
        past(db, team.support, [{"verdict": "approve"}], external_id=name, output=output)
    seen: list[tuple[int, int]] = []

    done = written(db, tmp_path, progress=lambda at, of: seen.append((at, of)))

    assert [row["external_id"] for row in rows(done)] == names
    assert seen[-1] == (60, 60)
    if not helpers:
        assert sum(sizes) == 60
        assert max(sizes) <= 20 + 12 and sizes[-1] <= 16


CHOICES = [Filter(), Filter(since=1, until=2, model="m", verdict=Verdict.REJECT, reviewer="r", held_out=True)]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_page_is_read_along_the_index_and_sorts_nothing(db: Database, team: Team, choice: Filter) -> None:
    bound = {"workflow": team.support.id, "as_of": now(), "after": START, "upto": new_id()}
    bound |= {name: getattr(choice, name) for name in WHERE if getattr(choice, name) is not None}
    explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
    with db.reading() as session:
        if not db.is_sqlite:
            session.connection().exec_driver_sql(BY_INDEX)
        found = session.connection().execute(sa.text(explain + page_query(choice, db.engine.dialect.name)), bound)
        plan = [str(row[-1]) for row in found]

    assert not [step for step in plan if "TEMP B-TREE" in step or "SCAN" in step or "Seq Scan" in step]
    assert not [step for step in plan if "Hash" in step or "Merge" in step or "Bitmap" in step]
    if db.is_sqlite:
        assert "ix_review_workflow (workflow_id=? AND id>? AND id<?)" in plan[0]
    assert END > START and FROM["review_id"] == "v.id"
