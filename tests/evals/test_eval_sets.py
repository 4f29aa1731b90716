"""Labels become cases: which ones, with where they came from, and never changed once frozen."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlmodel import Session

from db.clock import SECOND, parse_iso
from db.engine import Database
from db.tables import CaseKind, Verdict
from neuro_review.__main__ import main
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.eval_sets import choosing, making, rows
from neuro_review.eval_sets.choosing import Stratum, Wanted
from neuro_review.eval_sets.rows import Case, Version
from tests.conftest import OPERATOR, Clock, Team
from tests.evals.conftest import label, question
from tests.exports.stock import decide, held, past, set_grace
from tests.helpers import note_erasure

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]


def cases(db: Database, version: Version) -> list[Case]:
    with db.reading() as session:
        return list(rows.every_case(session, version.id))


def attempt(db: Database, statement: str, **bound: Any) -> None:
    with db.writing() as session:
        session.connection().execute(sa.text(statement), bound)


def test_a_case_says_what_was_asked_what_is_right_and_where_it_came_from(
    db: Database, record: Record, make: Make
) -> None:
    record([label(1), label(2, "correct"), label(3, "reject")])

    made = make()

    by_verdict = {one.verdict: one for one in cases(db, made)}
    assert {name: (one.kind, one.target, one.output) for name, one in by_verdict.items()} == {
        "approve": (CaseKind.TARGET, "answer 1", "answer 1"),
        "correct": (CaseKind.TARGET, "answer 2", "wrong 2"),
        "reject": (CaseKind.MUST_NOT, None, "rude 3 rude 3"),
    }
    rejected = by_verdict["reject"]
    assert (rejected.prompt, rejected.model, rejected.reviewer, rejected.reasons, rejected.rubric_version) == (
        question(3), "old", "ann", ["Tone"], 0,
    )  # fmt: skip
    with db.reading() as session:
        review = session.connection().execute(
            sa.text("SELECT item_id, verdict FROM review WHERE id = :id"), {"id": rejected.review_id}
        ).one()  # fmt: skip
    assert (review.item_id, review.verdict) == (rejected.item_id, "reject")
    assert (made.ref, made.cases, made.frozen_at is not None) == ("first@1", 3, True)


def test_a_verdict_that_can_still_be_undone_is_no_case_yet(
    db: Database, team: Team, make: Make, moved_clock: Clock
) -> None:
    held(db, team.support, prompt=question(1))
    decide(db, team.support, team.bo, Verdict.APPROVE)
    with pytest.raises(InvalidError, match="No label can become a case"):
        make()

    moved_clock.forward(6 * SECOND)

    assert make().cases == 1


def test_what_was_left_out_is_counted_by_why(db: Database, team: Team, record: Record, make: Make) -> None:
    near = question(1).upper() + " "
    record([label(1), label(2, prompt=near), label(3, prompt=None), label(4), label(5)])
    past(
        db, team.support, [{"verdict": "approve", "reviewer": "a"}, {"verdict": "reject", "reviewer": "b"}], prompt="?"
    )
    erased = past(db, team.support, [{"verdict": "approve"}], prompt="to be erased")
    with db.writing() as session:
        note_erasure(session, erased)
        session.connection().execute(
            sa.text("UPDATE item_content SET salt = NULL, prompt = NULL, output = NULL WHERE item_id = :id"),
            {"id": erased},
        )

    made = make(sample=2)

    left = Counter(made.left_out)
    assert made.cases == 2
    assert left["disputed"] == 1
    assert sum(left.values()) == 1 + 4
    everything = make()
    assert everything.cases == 3
    assert everything.left_out == {"disputed": 1, "erased": 1, "near_duplicate": 1, "no_prompt": 1}


def test_labels_are_chosen_by_what_is_known_of_them(db: Database, record: Record, make: Make) -> None:
    record([
        label(1), label(2, model="new"), label(3, "reject"), label(4, "reject", reasons=["Leaks data"]),
        label(5, created_at="2025-01-01T00:00:00Z"),
    ])  # fmt: skip

    def chosen(**more: Any) -> set[str]:
        return {one.prompt or "" for one in cases(db, make("by filter", **more))}

    assert chosen(models=("new",)) == {question(2)}
    assert chosen(verdicts=(Verdict.REJECT,)) == {question(3), question(4)}
    assert chosen(reason="Leaks data") == {question(4)}
    assert chosen(until=parse_iso("2025-06-01")) == {question(5)}
    assert chosen(since=parse_iso("2025-06-01"), models=("old",), verdicts=(Verdict.APPROVE,)) == {question(1)}


def test_more_cases_than_a_set_can_take_are_refused_with_what_to_do(
    url: str, db: Database, team: Team, record: Record, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    monkeypatch.setattr(choosing, "MOST_CASES", 3)
    record([label(n) for n in range(4)])

    with pytest.raises(InvalidError, match=r"^4 labels match; a set has at most 3 cases\. Draw a sample\.$"):
        make()
    with pytest.raises(InvalidError, match=r"^A sample has 1 to 3 cases\.$"):
        make(sample=4)
    ran = CliRunner().invoke(main, ["evalset", "create", "first", "--workflow", team.support.name])
    assert (ran.exit_code, "at most 3 cases. Draw a sample." in ran.stderr) == (1, True)

    with db.reading() as session:
        assert rows.listed(session, OPERATOR) == []
    assert make(sample=3).cases == 3


def test_only_the_panel_is_what_chance_chose(db: Database, team: Team, record: Record, make: Make) -> None:
    record([label(n) for n in range(60)])
    with db.reading() as session:
        drawn = session.connection().execute(sa.text("SELECT count(*) FROM item WHERE panel")).scalar_one()

    assert 0 < drawn < 60
    assert make(panel_only=True).cases == drawn


def test_the_same_seed_draws_the_same_cases_and_shares_are_equal(db: Database, record: Record, make: Make) -> None:
    record([label(n, "reject" if n % 10 == 0 else "approve") for n in range(60)])

    one, same, other = (make("drawn", sample=10, shares=Stratum.VERDICT, seed=seed) for seed in (7, 7, 8))

    assert Counter(case.verdict for case in cases(db, one)) == {"approve": 5, "reject": 5}
    assert one.content_hash == same.content_hash != other.content_hash
    with db.reading() as session:
        assert rows.difference(session, one.id, same.id).same == 10
    weights = {case.verdict: case.inclusion for case in cases(db, one)}
    assert weights == {"approve": pytest.approx(5 / 54), "reject": pytest.approx(5 / 6)}


def test_versions_are_numbered_and_say_what_differs(db: Database, team: Team, record: Record, make: Make) -> None:
    record([label(1), label(2)])
    first = make()
    record([label(3)])
    record([label(1, "reject", output="answer 1", adjudication=True)])

    second = make()

    assert (first.number, second.number) == (1, 2)
    with db.reading() as session:
        differs = rows.difference(session, first.id, second.id)
    assert (len(differs.added), len(differs.removed), len(differs.changed), differs.same) == (1, 0, 1, 1)


def test_a_draft_can_lose_cases_and_be_thrown_away(db: Database, record: Record, make: Make) -> None:
    record([label(1), label(2)])
    draft = make(freeze_it=False)

    with db.writing() as session:
        making.drop_case(session, cases(db, draft)[0].id, OPERATOR)
        making.freeze(session, draft.id, OPERATOR)
    with pytest.raises(ConflictError, match="frozen"):
        making.discard(db, draft.id, OPERATOR)
    making.discard(db, make(freeze_it=False).id, OPERATOR)

    with db.reading() as session:
        assert [(one.number, one.cases) for one in rows.listed(session, OPERATOR)] == [(1, 1)]


def before(nth: int, step: Callable[[], object], db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a step done before the nth writing transaction from here on."""
    writing, begun = db.writing, []

    def counted() -> AbstractContextManager[Session]:
        begun.append(1)
        if len(begun) == nth:
            step()
        return writing()

    monkeypatch.setattr(db, "writing", counted)


def breaks_off() -> None:
    raise KeyboardInterrupt


def test_a_draft_that_is_not_wholly_made_or_thrown_away_is_never_frozen(
    db: Database, record: Record, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(5)])
    monkeypatch.setattr(making, "CASES_AT_ONCE", 2)
    thrown_away = make(freeze_it=False)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        before(3, breaks_off, db, killed)
        make()
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        before(2, breaks_off, db, killed)
        making.discard(db, thrown_away.id, OPERATOR)

    with db.reading() as session:
        left = rows.listed(session, OPERATOR)
    assert [(one.number, one.cases, one.is_whole) for one in left] == [(2, 2, False), (1, 3, False)]
    assert "unfinished" not in left[0].asked
    for one in left:
        with pytest.raises(ConflictError, match="not whole"), db.writing() as session:
            making.freeze(session, one.id, OPERATOR)
        making.discard(db, one.id, OPERATOR)
    with db.reading() as session:
        assert rows.listed(session, OPERATOR) == []


def test_who_makes_a_set_that_another_throws_away_meanwhile_is_told(
    db: Database, record: Record, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(5)])
    monkeypatch.setattr(making, "CASES_AT_ONCE", 2)

    def throw_away() -> None:
        with db.reading() as session:
            (draft,) = rows.listed(session, OPERATOR)
        making.discard(db, draft.id, OPERATOR)

    before(3, throw_away, db, monkeypatch)

    with pytest.raises(ConflictError, match="thrown this draft away"):
        make()


def test_no_transaction_of_a_set_writes_more_than_256_rows(
    db: Database, record: Record, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(n) for n in range(300)])
    written: list[int] = []
    monkeypatch.setattr(db, "writing", counting(db, written))

    draft = make(freeze_it=False)
    making.discard(db, draft.id, OPERATOR)

    assert draft.cases == 300
    assert max(written) <= 256
    assert sum(written) >= 2 * (2 * 300 + 1)
    with db.reading() as session:
        assert rows.listed(session, OPERATOR) == []
        assert session.connection().exec_driver_sql("SELECT count(*) FROM eval_case_content").scalar() == 0


def counting(db: Database, written: list[int]) -> Callable[[], AbstractContextManager[Session]]:
    """Return the way into a writing transaction, which notes how many rows each one added or took away."""
    writing = db.writing
    tables = ("eval_set", "eval_version", "eval_case", "eval_case_content", "audit")

    def there(session: Session) -> list[int]:
        counts = (
            session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables
        )
        return list(counts)

    @contextmanager
    def counted() -> Iterator[Session]:
        with writing() as session:
            before = there(session)
            yield session
            written.append(sum(abs(a - b) for a, b in zip(before, there(session), strict=True)))

    return counted


def test_how_far_a_set_is_chosen_is_told(db: Database, team: Team, record: Record) -> None:
    record([label(n) for n in range(350)])
    looked: list[tuple[int, int]] = []
    drawn: list[tuple[int, int]] = []

    making.make(db, OPERATOR, "all", "support", Wanted(), progress=lambda done, of: looked.append((done, of)))
    making.make(db, OPERATOR, "few", "support", Wanted(sample=250), progress=lambda done, of: drawn.append((done, of)))

    assert looked == [(100, 350), (200, 350), (300, 350)]
    assert [of for _, of in drawn] == [250, 250]
    assert 90 < drawn[0][0] <= 100 < drawn[1][0] <= 200


FROZEN = (
    "UPDATE eval_case SET verdict = 'reject', kind = 'must_not' WHERE id = :case",
    "DELETE FROM eval_case WHERE id = :case",
    "UPDATE eval_case_content SET target = 'another' WHERE case_id = :case",
    "UPDATE eval_case_content SET target = NULL WHERE case_id = :case",
    "DELETE FROM eval_case_content WHERE case_id = :case",
    "UPDATE eval_version SET content_hash = 'another' WHERE id = :frozen",
    "UPDATE eval_version SET frozen_at = NULL, content_hash = NULL, cases = NULL WHERE id = :frozen",
    "DELETE FROM eval_version WHERE id = :frozen",
    "INSERT INTO eval_case (id, version_id, position, item_id, review_id, kind, model, verdict, reviewer, reasons,"
    " rubric_version, hash) SELECT '00000000000000000000000000000001', :frozen, 9, item_id, review_id, kind, model,"
    " verdict, reviewer, reasons, rubric_version, hash FROM eval_case WHERE version_id <> :frozen",
)


def test_a_frozen_version_cannot_be_changed_by_sql_either(db: Database, record: Record, make: Make) -> None:
    record([label(1), label(2, "correct")])
    make("draft", verdicts=(Verdict.CORRECT,), freeze_it=False)
    frozen = make(verdicts=(Verdict.APPROVE,))
    (case,) = cases(db, frozen)
    bound = {"frozen": frozen.id, "case": case.id}

    for statement in FROZEN:
        with pytest.raises(sa.exc.IntegrityError, match=r"frozen|never rewritten|erasure"):
            attempt(db, statement, **{name: value for name, value in bound.items() if f":{name}" in statement})


def test_a_case_cannot_say_what_no_review_says(db: Database, record: Record, make: Make) -> None:
    record([label(1)])
    make("whole")
    draft = make(freeze_it=False)
    with db.writing() as session:
        making.drop_case(session, cases(db, draft)[0].id, OPERATOR)

    with pytest.raises(sa.exc.IntegrityError, match="what a review says"):
        attempt(
            db, "INSERT INTO eval_case (id, version_id, position, item_id, review_id, kind, model, verdict, reviewer,"
            " reasons, rubric_version, hash) SELECT '00000000000000000000000000000001', :draft, 9, item_id, review_id,"
            " 'must_not', model, 'reject', reviewer, reasons, rubric_version, hash FROM eval_case", draft=draft.id,
        )  # fmt: skip
    with pytest.raises(sa.exc.IntegrityError, match="with the cases that it has"):
        attempt(
            db, "UPDATE eval_version SET frozen_at = 1, frozen_by = 'x', content_hash = 'h', cases = 5 WHERE id = :id",
            id=draft.id,
        )  # fmt: skip


def test_the_text_of_a_frozen_case_goes_with_the_erasure_of_its_item(db: Database, record: Record, make: Make) -> None:
    record([label(1)])
    made = make()
    (case,) = cases(db, made)
    with db.writing() as session:
        note_erasure(session, case.item_id)

    attempt(
        db, "UPDATE eval_case_content SET salt = NULL, prompt = NULL, context = NULL, output = NULL, target = NULL"
        " WHERE case_id = :id", id=case.id,
    )  # fmt: skip

    (erased,) = cases(db, made)
    assert (erased.prompt, erased.target, erased.hash) == (None, None, case.hash)


def test_only_an_owner_makes_a_set_and_a_name_belongs_to_one_workflow(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    with pytest.raises(NotAllowedError):
        make(by=team.bo)
    made = make(by=team.olu)

    assert made.made_by == team.olu.name
    with db.reading() as session:
        assert rows.listed(session, team.eve) == []
        with pytest.raises(NotAllowedError):
            rows.version(session, "first", team.eve)
    with pytest.raises(ConflictError, match="another workflow"):
        making.make(db, OPERATOR, "first", team.other.name, made_of())


def made_of() -> Any:
    return Wanted()


def test_what_is_held_out_is_given_to_whoever_writes_training_files(db: Database, record: Record, make: Make) -> None:
    record([label(1), label(2, "correct")])
    made = make(held_out=True)
    make("open to all")

    with db.reading() as session:
        out = list(rows.held_out(session, made.workflow_id))
    with db.writing() as session:
        making.hold_out(session, made.set_id, OPERATOR, False)
    with db.reading() as session:
        none = list(rows.held_out(session, made.workflow_id))

    assert {row.prompt for row in out} == {question(1), question(2)}
    assert {row.name for row in out} == {"first"}
    assert none == []


def test_a_verdict_that_was_undone_is_no_case(db: Database, team: Team, record: Record, make: Make) -> None:
    from neuro_review import decisions

    set_grace(db, team.support, 60_000)
    held(db, team.support, prompt=question(1))
    item_id = decide(db, team.support, team.bo, Verdict.APPROVE)
    with db.writing() as session:
        decisions.undo(session, item_id, team.bo)
    record([label(2)])

    assert [one.prompt for one in cases(db, make())] == [question(2)]


def test_instructions_that_all_prompts_share_make_no_two_cases_alike(
    record: Callable[[list[dict[str, Any]]], None], make: Callable[..., Version]
) -> None:
    shared = {"role": "system", "content": "You are the assistant of a shop that sells instruments. " * 20}
    asked = [[shared, {"role": "user", "content": question(n)}] for n in range(5)]
    record([label(n, prompt=prompt) for n, prompt in enumerate(asked)])
    record([label(5, prompt=asked[0])])

    made = make()

    assert (made.cases, made.left_out) == (5, {"near_duplicate": 1})


def test_the_command_says_what_became_no_case_and_which_versions_there_are(
    db: Database, record: Record, url: str, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    record([label(1), label(2), label(3, "reject")])

    def call(*words: str) -> str:
        return CliRunner().invoke(main, ["evalset", *words]).output

    made = call("create", "exam", "--workflow", "support", "--sample", "2", "--by", "verdict")
    assert made.startswith("exam@1: 2 cases of “support” (frozen, ")
    assert "  became no case: 1 not sampled\n" in made
    record([label(4, prompt=None)])
    assert "  became no case: 1 no prompt\n" in call("create", "exam", "--workflow", "support")
    shown = call("show", "exam@2", "--against", "exam@1")
    assert "  verdicts: 2 approve, 1 reject\n" in shown
    assert "  since exam@1: 1 added, 0 removed, 0 changed, 2 same\n" in shown
    assert "  asked for: sample 2, shares verdict" in call("show", "exam@1")
    assert call("show", "exam@7") == "The eval set “exam” has no version 7. The newest are: exam@2, exam@1.\n"
    with db.reading() as session, pytest.raises(NotFoundError, match="There is no eval set “exam@7”"):
        rows.version(session, "exam@7", team.eve)
