"""The life of an item: what may be done to it in which state, and that nothing else can."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from db.clock import DAY, HOUR, SECOND
from db.engine import Database
from db.tables import Role, Verdict
from neuro_review import access, decisions, queue, releases, verify, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, InvalidError, LeaseLostError, NotAllowedError, NotFoundError
from neuro_review.lifecycle import Verb
from tests.conftest import OPERATOR, Clock, Team
from tests.engines import Postgres
from tests.helpers import SOURCE, claim_one, make_item, note_erasure

APPROVE = Opinion(Verdict.APPROVE)
REJECT = Opinion(Verdict.REJECT, reasons=["Tone"])


def correct(text: str = "A better output.") -> Opinion:
    return Opinion(Verdict.CORRECT, text)


def set_grace(db: Database, workflow: workflows.Workflow, millis: int) -> None:
    with db.writing() as session:
        session.connection().execute(
            sa.text("UPDATE workflow SET grace_ms = :grace WHERE id = :id"), {"grace": millis, "id": workflow.id}
        )


def row(session: Session, item_id: str) -> Any:
    return session.connection().execute(sa.text("SELECT * FROM item WHERE id = :id"), {"id": item_id}).one()


def held_by(db: Database, actor: Actor, workflow: workflows.Workflow, **facts: Any) -> queue.Lease:
    """Put one item in place and give it to a reviewer; nothing else may wait."""
    with db.writing() as session:
        make_item(session, workflow.id, **facts)
        return claim_one(session, actor, workflow)


def decided(db: Database, actor: Actor, workflow: workflows.Workflow, opinion: Opinion, **facts: Any) -> str:
    lease = held_by(db, actor, workflow, **facts)
    with db.writing() as session:
        decisions.decide(session, lease.item_id, actor, lease.lease_n, opinion)
    return lease.item_id


def is_a_sentence(text: str) -> bool:
    return text.lstrip("“")[0].isupper() and text[-1] == "." and "Error" not in text


# --- every state and every verb -------------------------------------------------------------------------------------

HELD = {Verb.ASSIGN, Verb.ESCALATE, Verb.PRIORITISE, Verb.LAPSE, Verb.WITHDRAW}
IN_HANDS = {Verb.RENEW, Verb.GIVE_BACK, Verb.SKIP, Verb.APPROVE, Verb.CORRECT, Verb.REJECT}
LEGAL: dict[str, set[Verb]] = {
    "waiting": HELD | {Verb.CLAIM},
    "in the reviewer's hands": HELD | IN_HANDS,
    "in another's hands": HELD,
    "with a lease that ran out": HELD | {Verb.CLAIM, Verb.GIVE_BACK},
    "escalated": HELD | {Verb.CLAIM, Verb.PUT_BACK},  # Bo owns the workflow
    "approved, in grace": {Verb.UNDO},
    "corrected, in grace": {Verb.UNDO},
    "rejected, in grace": {Verb.UNDO},
    "approved, grace over": {Verb.RELEASE},
    "corrected, grace over": {Verb.RELEASE},
    "rejected, grace over": set(),
    "released": {Verb.RECALL},
    "recalled": set(),
    "rejected and told": set(),
    "lapsed": set(),
    "withdrawn": set(),
    "a label of the past": set(),
    "an approved sample, in grace": {Verb.UNDO},
    "an approved sample, grace over": set(),
}
QUIET = {Verb.CLAIM, Verb.RENEW, Verb.GIVE_BACK}  # these leave alone what they may not have, without a word


class Stage:
    """One item in every state, made once for each engine; what a test does to one is rolled back."""

    def __init__(self, db: Database) -> None:
        self.db = db
        with db.writing() as session:
            self.flow = workflows.add(session, OPERATOR, "support")
            self.bo, self.cy = (
                access.actor(
                    session,
                    access.add_person(
                        session, OPERATOR, name, f"{name}@example.com", Role.OWNER, password_hash=None,
                        workflow_id=self.flow.id,
                    ),
                )
                for name in ("bo", "cy")
            )  # fmt: skip
            self.source = workflows.source_id(session, SOURCE)
        self.items: dict[str, tuple[str, int]] = {}
        for grace, states in (
            (86_400_000, ["approved, in grace", "corrected, in grace", "rejected, in grace",
                          "an approved sample, in grace"]),
            (1, ["approved, grace over", "corrected, grace over", "rejected, grace over",
                 "an approved sample, grace over"]),
            (0, ["released", "recalled", "rejected and told"]),
        ):  # fmt: skip
            set_grace(db, self.flow, grace)
            for state in states:
                self._decide(state)
        self._rest()
        time.sleep(0.005)

    def _decide(self, state: str) -> None:
        opinion = REJECT if "rejected" in state else correct() if "corrected" in state else APPROVE
        item_id = decided(self.db, self.bo, self.flow, opinion, origin="sample" if "sample" in state else "gate")
        self.items[state] = (item_id, 1)
        if state == "recalled":
            with self.db.writing() as session:
                decisions.recall(session, item_id, self.bo, reason="Wrong.", opinion=REJECT)

    def _rest(self) -> None:
        for state, actor in (("in the reviewer's hands", self.bo), ("in another's hands", self.cy)):
            lease = held_by(self.db, actor, self.flow)
            self.items[state] = (lease.item_id, lease.lease_n)
        late = held_by(self.db, self.bo, self.flow)
        self.items["with a lease that ran out"] = (late.item_id, late.lease_n)
        with self.db.writing() as session:
            session.connection().execute(
                sa.text("UPDATE item SET lease_until = 1 WHERE id = :id"), {"id": late.item_id}
            )
            for state in ("escalated", "lapsed", "withdrawn", "waiting"):
                self.items[state] = (make_item(session, self.flow.id), 0)
            queue.escalate(session, self.items["escalated"][0], self.bo)
            releases.lapse(session, self.items["lapsed"][0])
            releases.withdraw(session, self.items["withdrawn"][0], self.source)
            self.items["a label of the past"] = (make_item(session, self.flow.id, origin="history"), 0)

    def act(self, session: Session, verb: Verb, item_id: str, lease_n: int) -> bool:
        """Do one thing to one item, as Bo; returns False where the verb quietly leaves it alone."""
        lease = [(item_id, lease_n)]
        before = row(session, item_id)
        doing: dict[Verb, Callable[[], Any]] = {
            Verb.CLAIM: lambda: queue.claim(session, self.bo, [self.flow.id], most=50),
            Verb.RENEW: lambda: queue.renew(session, self.bo, lease),
            Verb.GIVE_BACK: lambda: queue.give_back(session, self.bo, lease),
            Verb.SKIP: lambda: queue.skip(session, item_id, self.bo, lease_n),
            Verb.ASSIGN: lambda: queue.assign(session, item_id, self.bo, person_id=self.cy.person_id),
            Verb.ESCALATE: lambda: queue.escalate(session, item_id, self.bo),
            Verb.PUT_BACK: lambda: queue.put_back(session, item_id, self.bo),
            Verb.PRIORITISE: lambda: queue.prioritise(session, item_id, self.bo, 9),
            Verb.APPROVE: lambda: decisions.decide(session, item_id, self.bo, lease_n, APPROVE),
            Verb.CORRECT: lambda: decisions.decide(session, item_id, self.bo, lease_n, correct()),
            Verb.REJECT: lambda: decisions.decide(session, item_id, self.bo, lease_n, REJECT),
            Verb.LAPSE: lambda: releases.lapse(session, item_id),
            Verb.WITHDRAW: lambda: releases.withdraw(session, item_id, self.source),
            Verb.UNDO: lambda: decisions.undo(session, item_id, self.bo),
            Verb.RELEASE: lambda: releases.release(session, item_id),
            Verb.RECALL: lambda: decisions.recall(session, item_id, self.bo, reason="Wrong.", opinion=REJECT),
        }
        doing[verb]()
        return bool(row(session, item_id) != before)


@pytest.fixture(scope="module")
def stages(request: pytest.FixtureRequest) -> Iterator[dict[str, Stage]]:
    yield (made := {})
    for stage in made.values():
        stage.db.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, stages: dict[str, Stage], tmp_path_factory: Any) -> Stage:
    if request.param not in stages:
        if request.param == "sqlite":
            path: Path = tmp_path_factory.mktemp("stage") / "test.db"
            path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
            url = f"sqlite:///{path}"
        else:
            server: Postgres = request.getfixturevalue("postgres")
            url = server.url(server.create())
        stages[request.param] = Stage(Database(url))
    return stages[request.param]


class RollBack(Exception):
    """Ends a test's transaction without a trace."""


def counts(session: Session) -> list[int]:
    tables = ("review", "decision", "retraction", "release", "recall", "outbox", "audit", "item_pass")
    return [session.connection().exec_driver_sql(f"SELECT count(*) FROM {one}").scalar_one() for one in tables]


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("state", list(LEGAL))
def test_each_verb_is_legal_in_some_states_and_refused_in_all_others(stage: Stage, state: str, verb: Verb) -> None:
    item_id, lease_n = stage.items[state]

    with pytest.raises(RollBack), stage.db.writing() as session:
        before = (row(session, item_id), counts(session))
        if verb in LEGAL[state]:
            assert stage.act(session, verb, item_id, lease_n)
        elif verb in QUIET:
            assert not stage.act(session, verb, item_id, lease_n)
        else:
            with pytest.raises(ConflictError) as told:
                stage.act(session, verb, item_id, lease_n)
            assert is_a_sentence(str(told.value))
            assert (row(session, item_id), counts(session)) == before
        raise RollBack


# --- the journey ----------------------------------------------------------------------------------------------------


def test_the_whole_journey_of_an_item(db: Database, team: Team, moved_clock: Clock) -> None:
    lease = held_by(db, team.bo, team.support)
    item_id = lease.item_id

    with db.writing() as session:
        decisions.decide(session, item_id, team.bo, lease.lease_n, APPROVE)
    with db.writing() as session:
        lease_n = decisions.undo(session, item_id, team.bo)
        queue.give_back(session, team.bo, [(item_id, lease_n)])
    with db.writing() as session:
        again = claim_one(session, team.cy, team.support)
        decisions.decide(session, item_id, team.cy, again.lease_n, correct("What Cy wrote."))
        assert releases.release_due(session) == 0
    moved_clock.forward(6 * SECOND)
    with db.writing() as session:
        assert releases.release_due(session) == 1
        assert releases.released_text(session, item_id) == "What Cy wrote."
    with db.writing() as session:
        decisions.recall(session, item_id, team.cy, reason="Wrong after all.", opinion=REJECT)

    with db.reading() as session:
        assert events_told(session) == ["released", "recalled"]
        assert row(session, item_id).label == "reject"
    assert verify.verify(db).broken == []


def events_told(session: Session) -> list[str]:
    return [one.event for one in session.connection().execute(sa.text("SELECT event FROM outbox ORDER BY seq"))]


def test_without_grace_a_verdict_leaves_at_once(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)

    item_id = decided(db, team.bo, team.support, APPROVE)

    with db.reading() as session:
        assert releases.released_text(session, item_id) == "The output."
        assert events_told(session) == ["released"]


def test_without_grace_nothing_can_be_undone(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, REJECT)

    with pytest.raises(ConflictError, match="left already"), db.writing() as session:
        decisions.undo(session, item_id, team.bo)


def test_a_verdict_can_be_undone_until_its_grace_ends(db: Database, team: Team, moved_clock: Clock) -> None:
    item_id = decided(db, team.bo, team.support, APPROVE)
    moved_clock.forward(6 * SECOND)

    with pytest.raises(ConflictError, match="time to undo has ended"), db.writing() as session:
        decisions.undo(session, item_id, team.bo)


def test_an_undone_item_is_in_the_hands_of_who_undid_it(db: Database, team: Team) -> None:
    item_id = decided(db, team.bo, team.support, APPROVE)

    with db.writing() as session:
        lease_n = decisions.undo(session, item_id, team.bo)
        decisions.decide(session, item_id, team.bo, lease_n, REJECT)

    with db.reading() as session:
        assert row(session, item_id).status == "rejected"


def test_nobody_undoes_the_verdict_of_another(db: Database, team: Team) -> None:
    item_id = decided(db, team.bo, team.support, APPROVE)

    with pytest.raises(NotAllowedError, match="Only who gave a verdict"), db.writing() as session:
        decisions.undo(session, item_id, team.olu)


def test_who_lost_the_role_undoes_and_recalls_nothing(db: Database, team: Team) -> None:
    waiting = decided(db, team.bo, team.support, APPROVE)
    set_grace(db, team.support, 0)
    sent = decided(db, team.bo, team.support, APPROVE)
    nobody = Actor(team.bo.name, team.bo.email, team.bo.person_id)

    with pytest.raises(NotAllowedError), db.writing() as session:
        decisions.undo(session, waiting, nobody)
    with pytest.raises(NotAllowedError), db.writing() as session:
        decisions.recall(session, sent, nobody, reason="Wrong.", opinion=REJECT)


def test_a_rejected_item_leaves_as_a_message_and_never_as_a_text(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, REJECT)

    with db.reading() as session:
        assert events_told(session) == ["rejected"]
        with pytest.raises(NotFoundError):
            releases.released_text(session, item_id)


def test_an_approved_sample_leaves_nowhere(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    decided(db, team.bo, team.support, APPROVE, origin="sample")

    with db.writing() as session:
        assert releases.release_due(session) == 0
        assert events_told(session) == []


def test_a_release_is_written_once_though_two_workers_try(db: Database, team: Team, moved_clock: Clock) -> None:
    item_id = decided(db, team.bo, team.support, APPROVE)
    moved_clock.forward(6 * SECOND)

    with db.writing() as session:
        releases.release(session, item_id)
    with pytest.raises(ConflictError, match="released already"), db.writing() as session:
        releases.release(session, item_id)


# --- verdicts -------------------------------------------------------------------------------------------------------


def test_the_same_click_sent_twice_is_one_verdict(db: Database, team: Team) -> None:
    lease = held_by(db, team.bo, team.support)
    click = Opinion(Verdict.APPROVE, client_id="a click")

    with db.writing() as session:
        first = decisions.decide(session, lease.item_id, team.bo, lease.lease_n, click)
    with db.writing() as session:
        second = decisions.decide(session, lease.item_id, team.bo, lease.lease_n, click)

    assert first == second
    with db.reading() as session:
        assert counts(session)[:2] == [1, 1]


@pytest.mark.parametrize("thief", ["bo", "cy"])
def test_a_click_id_of_another_item_or_person_is_refused(db: Database, team: Team, thief: str) -> None:
    actor: Actor = getattr(team, thief)
    click = Opinion(Verdict.APPROVE, client_id="a click")
    decided(db, team.bo, team.support, click)
    lease = held_by(db, actor, team.support)

    with pytest.raises(InvalidError, match="another item"), db.writing() as session:
        decisions.decide(session, lease.item_id, actor, lease.lease_n, click)


def test_a_correction_that_changes_nothing_is_an_approval_and_says_so(db: Database, team: Team) -> None:
    lease = held_by(db, team.bo, team.support, output="As it is.")

    with db.writing() as session:
        made = decisions.decide(session, lease.item_id, team.bo, lease.lease_n, correct("As it is."))

    assert made.verdict is Verdict.APPROVE
    with db.reading() as session:
        assert row(session, lease.item_id).status == "approved"


@pytest.mark.parametrize(
    ("opinion", "says"),
    [
        pytest.param(correct(""), "needs a text", id="an empty correction"),
        pytest.param(correct(" \n\t"), "needs a text", id="a correction of spaces"),
        pytest.param(Opinion(Verdict.CORRECT), "needs a text", id="a correction without a text"),
        pytest.param(correct("a\0b"), "NUL", id="a correction with a NUL"),
        pytest.param(correct("\ud800"), "surrogate", id="a correction with half a character"),
        pytest.param(Opinion(Verdict.REJECT), "needs a reason", id="a rejection without a reason"),
        pytest.param(Opinion(Verdict.REJECT, reasons=["Mood"]), "“Mood” is not a reason", id="an unknown reason"),
        pytest.param(Opinion(Verdict.APPROVE, reasons=["Mood"]), "“Mood” is not a reason", id="an approval with one"),
    ],
)
def test_a_verdict_is_refused_that_is(db: Database, team: Team, opinion: Opinion, says: str) -> None:
    lease = held_by(db, team.bo, team.support)

    with pytest.raises(InvalidError, match=says) as told, db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, opinion)

    assert is_a_sentence(str(told.value))
    with db.reading() as session:
        assert counts(session)[:2] == [0, 0]


def test_a_reason_that_was_retired_is_refused(db: Database, team: Team) -> None:
    lease = held_by(db, team.bo, team.support)
    with db.writing() as session:
        session.connection().exec_driver_sql("UPDATE reason SET retired_at = 1 WHERE name = 'Tone'")

    with pytest.raises(InvalidError, match="Tone"), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, REJECT)


def test_a_late_verdict_is_refused_and_says_that_the_text_is_kept(db: Database, team: Team, moved_clock: Clock) -> None:
    lease = held_by(db, team.bo, team.support)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)

    with pytest.raises(LeaseLostError, match=r"ran out\. Your verdict was not stored"), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, APPROVE)


def test_a_verdict_on_an_item_that_went_on_to_another_is_refused(db: Database, team: Team, moved_clock: Clock) -> None:
    lease = held_by(db, team.bo, team.support)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)
    with db.writing() as session:
        claim_one(session, team.cy, team.support)

    with pytest.raises(LeaseLostError, match="Somebody else has this item"), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, APPROVE)


def test_a_verdict_on_what_another_has_decided_meanwhile_says_so_and_keeps_the_text(
    db: Database, team: Team, moved_clock: Clock
) -> None:
    late = held_by(db, team.bo, team.support)
    moved_clock.forward(queue.LEASE_LASTS + SECOND)
    with db.writing() as session:
        lease = claim_one(session, team.cy, team.support)
        decisions.decide(session, lease.item_id, team.cy, lease.lease_n, APPROVE)

    with pytest.raises(LeaseLostError, match=r"approved meanwhile\. Your verdict was"), db.writing() as session:
        decisions.decide(session, late.item_id, team.bo, late.lease_n, REJECT)


@pytest.mark.parametrize("close", ["lapse", "withdraw"])
def test_a_deadline_or_a_withdrawal_that_came_first_wins(db: Database, team: Team, close: str) -> None:
    lease = held_by(db, team.bo, team.support)
    with db.writing() as session:
        if close == "lapse":
            releases.lapse(session, lease.item_id)
        else:
            releases.withdraw(session, lease.item_id, workflows.source_id(session, SOURCE))

    with pytest.raises(LeaseLostError, match=r"meanwhile\. Your verdict was not stored"), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, APPROVE)


def test_a_verdict_under_an_older_lease_of_ones_own_is_refused(db: Database, team: Team) -> None:
    lease = held_by(db, team.bo, team.support)
    with db.writing() as session:
        queue.give_back(session, team.bo, [(lease.item_id, lease.lease_n)])
        claim_one(session, team.bo, team.support)

    with pytest.raises(LeaseLostError), db.writing() as session:
        decisions.decide(session, lease.item_id, team.bo, lease.lease_n, APPROVE)


@pytest.mark.parametrize("who", ["eve", "operator"])
def test_nobody_decides_without_the_role(db: Database, team: Team, who: str) -> None:
    actor = OPERATOR if who == "operator" else team.eve
    lease = held_by(db, team.bo, team.support)

    with pytest.raises(NotAllowedError), db.writing() as session:
        decisions.decide(session, lease.item_id, actor, lease.lease_n, APPROVE)
    with pytest.raises(NotAllowedError), db.writing() as session:
        queue.claim(session, actor, [team.support.id])


def test_a_role_that_was_taken_away_ends_at_once(db: Database, team: Team) -> None:
    lease = held_by(db, team.bo, team.support)
    with db.writing() as session:
        session.connection().execute(sa.text("DELETE FROM role_grant WHERE person_id = :id"), {"id": team.bo.person_id})
        now_nobody = access.actor(session, team.bo.person_id or 0)

    with pytest.raises(NotAllowedError), db.writing() as session:
        decisions.decide(session, lease.item_id, now_nobody, lease.lease_n, APPROVE)


# --- recall ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "later", "passes"),
    [("bo", HOUR, True), ("bo", DAY + HOUR, False), ("cy", HOUR, False), ("olu", DAY + HOUR, True),
     ("ada", DAY, True), ("eve", HOUR, False)],
)  # fmt: skip
def test_the_decider_recalls_within_a_day_and_an_owner_always(
    db: Database, team: Team, moved_clock: Clock, who: str, later: int, passes: bool
) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, APPROVE)
    moved_clock.forward(later)

    def recall() -> None:
        with db.writing() as session:
            decisions.recall(session, item_id, getattr(team, who), reason="Wrong.", opinion=REJECT)

    if passes:
        recall()
        with db.reading() as session:
            assert events_told(session) == ["released", "recalled"]
    else:
        with pytest.raises(NotAllowedError, match="within 24 hours"):
            recall()


def test_a_recall_needs_a_reason(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, APPROVE)

    with pytest.raises(InvalidError, match="needs a reason"), db.writing() as session:
        decisions.recall(session, item_id, team.bo, reason=" ", opinion=REJECT)


def test_the_text_of_a_recalled_release_is_not_handed_out(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, APPROVE)
    with db.writing() as session:
        decisions.recall(session, item_id, team.bo, reason="Wrong.", opinion=REJECT)

    with pytest.raises(ConflictError, match="recalled"), db.reading() as session:
        releases.released_text(session, item_id)


# --- what goes out --------------------------------------------------------------------------------------------------

NASTY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60) | (
    st.sampled_from(
        ["\r\n", "e\u0301", "\u00e9", "\u202eabc", "\ufeffx", " x ", "\u2028", "a\tb\r", "\U0001f469\u200d\U0001f4bb",
         "'; DROP TABLE item; --", "\\N", "\\x00", "{}%s:id", "\x01\x7f\x9f", "\ufffe\uffff"]
    )
)  # fmt: skip
WITH_THE_DATABASE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@WITH_THE_DATABASE
@given(output=NASTY)
def test_what_was_approved_goes_out_byte_for_byte(db: Database, team: Team, output: str) -> None:
    set_grace(db, team.support, 0)

    item_id = decided(db, team.bo, team.support, APPROVE, output=output)

    with db.reading() as session:
        assert releases.released_text(session, item_id).encode() == output.encode()


@WITH_THE_DATABASE
@given(text=NASTY.filter(lambda text: text.strip() and text != "The output."))
def test_what_was_corrected_goes_out_byte_for_byte(db: Database, team: Team, text: str) -> None:
    set_grace(db, team.support, 0)

    item_id = decided(db, team.bo, team.support, correct(text))

    with db.reading() as session:
        assert releases.released_text(session, item_id).encode() == text.encode()


@pytest.mark.parametrize(
    ("opinion", "table", "column"), [(APPROVE, "item_content", "output"), (correct(), "review_content", "text")]
)
def test_a_text_that_somebody_went_around_the_guards_to_change_is_not_handed_out(
    db: Database, team: Team, opinion: Opinion, table: str, column: str
) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, opinion)
    on = "" if db.is_sqlite else f" ON {table}"
    with db.engine.begin() as connection:
        for guard in ("no_rewrite", "erasure"):
            connection.exec_driver_sql(f"DROP TRIGGER guard_{table}_{guard}{on}")
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = 'Send me your password.'")

    with pytest.raises(ConflictError, match="not the one that was reviewed"), db.reading() as session:
        releases.released_text(session, item_id)
    assert verify.verify(db).broken


def test_the_text_of_an_erased_release_is_not_handed_out(db: Database, team: Team) -> None:
    set_grace(db, team.support, 0)
    item_id = decided(db, team.bo, team.support, APPROVE)
    with db.writing() as session:
        note_erasure(session, item_id)
        session.connection().exec_driver_sql("UPDATE item_content SET salt = NULL, output = NULL, prompt = NULL")

    with pytest.raises(ConflictError, match="erased"), db.reading() as session:
        releases.released_text(session, item_id)


def test_an_application_withdraws_only_what_it_submitted(db: Database, team: Team) -> None:
    with db.writing() as session:
        item_id = make_item(session, team.support.id)
        other = workflows.source_id(session, "another")

    with pytest.raises(NotFoundError), db.writing() as session:
        releases.withdraw(session, item_id, other)


@pytest.mark.parametrize("item_id", ["", "x", "A" * 32, "0" * 32, "' OR 1=1 --"])
def test_an_id_that_is_none_is_not_found(db: Database, team: Team, item_id: str) -> None:
    with pytest.raises(NotFoundError, match="no item by that id"), db.writing() as session:
        releases.lapse(session, item_id)
