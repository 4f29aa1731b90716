"""The life of items driven at random, beside a small model of what may become of them.

Each rule does one thing through a door or a verb and asks the model whether it may happen: what may not must be refused
and change nothing. After each step what is stored, what the application sees and its feed must be what the model says.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlmodel import Session

from db import clock
from db.clock import DAY, SECOND
from db.engine import Database
from db.tables import Verdict
from neuro_review import decisions, queue, releases, sources, workflows
from neuro_review.access import Actor
from neuro_review.decisions import Opinion
from neuro_review.errors import ConflictError, NeuroReviewError, NotAllowedError
from neuro_review.gate import feed, views
from neuro_review.queue import LEASE_LASTS, SKIP_LASTS
from neuro_review.sources import Caller
from tests.api.conftest import Shop
from tests.conftest import OPERATOR

STATUS = {"approve": "approved", "correct": "corrected", "reject": "rejected"}
NUMBERS = count(1)
AIM = st.integers(0, 3)
NOW_NOT = (ConflictError,)
NOT_THIS_ONE = (ConflictError, NotAllowedError)
LIVES = "SELECT d.id FROM decision d JOIN item i ON i.id = d.item_id WHERE i.workflow_id = :flow AND "
STANDS = "NOT EXISTS (SELECT 1 FROM retraction t WHERE t.decision_id = d.id)"
# Each query names what must not be there: promises 1, 2 and 6, as a stranger would read them from the tables.
NEVER = (
    f"{LIVES} {STANDS} AND (i.decision_id IS NULL OR i.decision_id <> d.id OR i.status <> d.status)",
    f"{LIVES} NOT {STANDS} AND EXISTS (SELECT 1 FROM release r WHERE r.decision_id = d.id)",
    f"{LIVES} NOT {STANDS} AND EXISTS (SELECT 1 FROM outbox o WHERE o.decision_id = d.id)",
    f"{LIVES} {STANDS} AND d.verdict = 'approve' AND d.text_hash <> i.output_hash",
    "SELECT i.id FROM item i WHERE i.workflow_id = :flow AND i.status = 'held' AND EXISTS"
    " (SELECT 1 FROM release r WHERE r.item_id = i.id)",
    "SELECT r.id FROM release r JOIN item i ON i.id = r.item_id LEFT JOIN decision d ON d.id = r.decision_id"
    f" AND d.releases AND {STANDS} AND d.by = 'human' AND d.text_hash = r.text_hash"
    " WHERE i.workflow_id = :flow AND d.id IS NULL",
    "SELECT o.seq FROM outbox o LEFT JOIN release r ON r.id = o.release_id WHERE o.workflow_id = :flow"
    " AND (o.event IN ('released', 'recalled')) <> (r.id IS NOT NULL)",
)
STORED = sa.text(
    "SELECT id, status, lease_by, lease_until, lease_n, escalated_at, leaves_at, released_at, recalled_at"
    " FROM item WHERE workflow_id = :flow"
)


@dataclass
class Life:
    """What the model knows of one item."""

    id: str
    name: str
    output: str
    status: str = "held"
    text: str | None = None
    """What would go out."""
    decider: int | None = None
    leaves_at: int | None = None
    released_at: int | None = None
    recalled: bool = False
    lease: tuple[int, int, int] | None = None
    """In whose hands, under which number, until when."""
    leases: int = 0
    escalated: bool = False
    passed: dict[int, int] = field(default_factory=dict)
    """Who skipped it, and when."""

    @property
    def left(self) -> bool:
        return self.status != "held" and self.leaves_at is None

    def held_by(self, person: Actor, lease_n: int, at: int) -> bool:
        return self.status == "held" and self.lease is not None and (
            self.lease[0] == person.person_id and self.lease[1] == lease_n and self.lease[2] >= at
        )  # fmt: skip

    def decide(self, verdict: str, text: str | None, person: Actor, at: int, grace: int) -> None:
        self.status, self.text, self.decider = STATUS[verdict], text, person.person_id
        self.lease, self.leaves_at = None, at + grace

    def leave(self, at: int) -> str:
        self.leaves_at = None
        if self.status in ("approved", "corrected"):
            self.released_at = at
            return "released"
        return self.status


@dataclass
class House:
    """What every life shares: one database of one engine, with people who work everywhere."""

    db: Database
    people: list[Actor]
    """Reviewers; the last owns everything."""
    http: Any
    stop_clock: Callable[[Callable[[], int]], None]
    tried: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """How often each thing was done, and how often refused: a run that does nothing proves nothing."""


class Lives(RuleBasedStateMachine):
    """One application and its workflow, from its first output on."""

    items: Bundle[Life] = Bundle("items")
    who = st.integers(0, 2)

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house, self.db, self.people = house, house.db, house.people
        self.owner = self.people[-1]
        self.at = clock.now()
        # The clock stands still, so that a moment is a moment for the model and for the house.
        house.stop_clock(lambda: self.at * 1000)
        self.lives: dict[str, Life] = {}
        self.told: list[set[tuple[str, str]]] = []
        """What the application is told, in order; what is told at one moment, in any order."""
        self.seen: list[tuple[str, str]] = []
        self.cursor: str | None = None

    @initialize(grace=st.sampled_from([0, 5 * SECOND]))
    def open(self, grace: int) -> None:
        number = next(NUMBERS)
        self.grace = grace
        with self.db.writing() as session:
            self.flow = workflows.add(session, OPERATOR, f"flow {number}", owner_id=self.owner.person_id)
            session.connection().execute(
                sa.text("UPDATE workflow SET grace_ms = :grace WHERE id = :id"),
                {"grace": grace // 1000, "id": self.flow.id},
            )
            self.shop = Shop(self.house.http, sources.add(session, self.owner, f"shop {number}", self.flow.id).key,
                             self.flow.name)  # fmt: skip
            self.stranger = Shop(self.house.http, sources.add(session, self.owner, f"other {number}", self.flow.id).key,
                                 self.flow.name)  # fmt: skip
            self.caller: Caller = sources.caller(session, self.shop.key)

    def aimed(self, life: Life, aim: int, fits: Callable[[Life], bool]) -> Life:
        """Return an item of which something can be done, mostly: else hardly anything ever would be."""
        return next((one for one in self.lives.values() if fits(one)), life) if aim and not fits(life) else life

    # --- what can be done ---------------------------------------------------------------------------------------------

    def tries(
        self, allowed: bool, verb: Callable[[Session], Any], refusals: tuple[type[NeuroReviewError], ...] = NOW_NOT
    ) -> Any:
        """Call a verb in a transaction; it must be done where it is allowed, and refused where it is not."""
        refused: NeuroReviewError | None = None
        done = None
        try:
            with self.db.writing() as session:
                done = verb(session)
        except refusals as error:
            refused = error
        assert (refused is None) == allowed, refused or "It was let through."
        self.house.tried[sys._getframe(1).f_code.co_name, allowed] += 1
        return done

    @rule(target=items, many=st.integers(1, 3), priority=st.sampled_from([0, 5, 9]))
    def submit(self, many: int, priority: int) -> Any:
        new = []
        for _ in range(many):
            number = next(NUMBERS)
            body = {"external_id": f"n-{number}", "priority": priority}
            item = self.shop.submit(f"Output {number}.", **body)
            assert (item["status"], item["output"], item["final"]) == ("held", None, False)
            new.append(Life(item["id"], item["external_id"], f"Output {number}."))
        self.lives |= {life.id: life for life in new}
        return multiple(*new)

    @rule(life=items, same=st.booleans())
    def submit_again(self, life: Life, same: bool) -> None:
        body = {"workflow": self.flow.name, "model": "larch", "external_id": life.name, "output": life.output}
        answer = self.shop.post("items", body if same else body | {"output": "Another."})
        assert answer.status_code == (200 if same else 409)
        if same:
            assert answer.json()["id"] == life.id

    @rule(who=who, most=st.integers(1, 3))
    def claim(self, who: int, most: int) -> None:
        person = self.people[who]
        with self.db.writing() as session:
            leases = queue.claim(session, person, [self.flow.id], most=most)
            stored = {row.id: row for row in session.connection().execute(STORED, {"flow": self.flow.id})}
        for life in self.lives.values():
            # Who let it run out is noted when it is handed on: the third of them escalates it.
            if stored[life.id].escalated_at is not None and not life.escalated:
                assert life.lease is not None and life.lease[2] < self.at
                life.escalated, life.lease = True, None
        assert len({lease.item_id for lease in leases}) == len(leases) <= most
        for lease in leases:
            life = self.lives[lease.item_id]
            assert self.is_free(life, person), life
            life.leases += 1
            life.lease = (person.person_id or 0, lease.lease_n, lease.until)
            assert lease.lease_n == life.leases
        if not leases:
            assert not any(self.is_free(life, person) for life in self.lives.values())

    def is_free(self, life: Life, person: Actor) -> bool:
        if life.status != "held" or (life.lease is not None and life.lease[2] >= self.at):
            return False
        if life.escalated and person is not self.owner:
            return False
        skipped = life.passed.get(person.person_id or 0)
        return skipped is None or skipped <= self.at - SKIP_LASTS

    @rule(
        life=items, who=who, verdict=st.sampled_from(list(Verdict)), stale=st.integers(0, 6), same=st.booleans(),
        aim=AIM,
    )  # fmt: skip
    def decide(self, life: Life, who: int, verdict: Verdict, stale: int, same: bool, aim: int) -> None:
        if aim and not any(one.lease is not None for one in self.lives.values()):
            self.claim(who, 2)
        life = self.aimed(life, aim, lambda one: one.lease is not None)
        person, lease_n = self.people[who], life.leases - (stale == 0)
        if life.lease is not None and stale > 1:  # else hardly anything would ever be decided
            person = next(one for one in self.people if one.person_id == life.lease[0])
        text = None if verdict is not Verdict.CORRECT else life.output if same else f"Better: {life.output}"
        opinion = Opinion(verdict, text, ["Tone"] if verdict is Verdict.REJECT else [])
        allowed = life.held_by(person, lease_n, self.at)
        done = self.tries(allowed, lambda session: decisions.decide(session, life.id, person, lease_n, opinion))
        if allowed:
            meant = "approve" if text == life.output else str(verdict)
            assert done.verdict == meant
            goes_out = {"approve": life.output, "correct": text, "reject": None}[meant]
            life.decide(meant, goes_out, person, self.at, self.grace)
            if self.grace == 0:
                self.told.append({(life.leave(self.at), life.id)})

    @rule(life=items, who=who, verdict=st.sampled_from([Verdict.APPROVE, Verdict.CORRECT]))
    def all_the_way(self, life: Life, who: int, verdict: Verdict) -> None:
        """Go the way that most items go, so that there is something to recall."""
        self.decide(life, who, verdict, stale=6, same=False, aim=1)
        self.wait(5)
        self.let_leave(64)

    @rule(life=items, who=who, own=st.integers(0, 3), aim=AIM)
    def undo(self, life: Life, who: int, own: int, aim: int) -> None:
        if aim and not any(one.leaves_at is not None and one.leaves_at > self.at for one in self.lives.values()):
            self.decide(life, who, Verdict.APPROVE, stale=6, same=False, aim=1)
        life = self.aimed(life, aim, lambda one: one.leaves_at is not None and one.leaves_at > self.at)
        person = self.people[who]
        if own and life.decider is not None:
            person = next(one for one in self.people if one.person_id == life.decider)
        # Legal exactly until it leaves, and only for who gave the verdict.
        allowed = life.leaves_at is not None and self.at < life.leaves_at and life.decider == person.person_id
        lease_n = self.tries(
            allowed,
            lambda session: decisions.undo(session, life.id, person),
            NOT_THIS_ONE,
        )
        if allowed:
            life.leases += 1
            assert lease_n == life.leases
            life.status, life.text, life.decider, life.leaves_at = "held", None, None, None
            life.lease = (person.person_id or 0, lease_n, self.at + LEASE_LASTS)

    @rule(most=st.sampled_from([1, 64]))
    def let_leave(self, most: int) -> None:
        due = sorted(
            (life for life in self.lives.values() if life.leaves_at is not None and life.leaves_at <= self.at),
            key=lambda life: life.leaves_at or 0,
        )
        with self.db.writing() as session:
            # The worker's own step; it looks at every workflow, and no other has anything to let go.
            left = releases.release_due(session, most=most)
            gone = {
                row.id for row in session.connection().execute(STORED, {"flow": self.flow.id})
                if row.status != "held" and row.leaves_at is None
            }  # fmt: skip
        now_gone = [life for life in due if life.id in gone]
        assert len(now_gone) == left == min(most, len(due))
        if now_gone:
            self.told.append({(life.leave(self.at), life.id) for life in now_gone})

    @rule(life=items, aim=AIM)
    def release_one(self, life: Life, aim: int) -> None:
        if aim > 1 and self.grace:
            self.decide(life, self.people.index(self.owner), Verdict.APPROVE, stale=6, same=False, aim=1)
            self.wait(self.grace // SECOND)
        life = self.aimed(life, aim, lambda one: one.text is not None and (one.leaves_at or self.at + 1) <= self.at)
        allowed = life.text is not None and life.leaves_at is not None and life.leaves_at <= self.at
        self.tries(allowed, lambda session: releases.release(session, life.id))
        if allowed:
            self.told.append({(life.leave(self.at), life.id)})

    @rule(life=items)
    def lapse(self, life: Life) -> None:
        allowed = life.status == "held"
        self.tries(allowed, lambda session: releases.lapse(session, life.id))
        if allowed:
            self.close(life, "lapsed")

    @rule(life=items, mine=st.integers(0, 3))
    def withdraw(self, life: Life, mine: int) -> None:
        if mine == 0:
            assert self.stranger.post(f"items/{life.id}/withdraw", None).status_code == 404
            return
        allowed = life.status == "held"
        answer = self.shop.post(f"items/{life.id}/withdraw", None)
        assert answer.status_code == (200 if allowed else 409)
        if allowed:
            self.close(life, "withdrawn")

    def close(self, life: Life, status: str) -> None:
        life.status, life.lease, life.leaves_at = status, None, None
        self.told.append({(status, life.id)})

    @rule(life=items, who=who, aim=AIM)
    def recall(self, life: Life, who: int, aim: int) -> None:
        life = self.aimed(life, aim, lambda one: one.released_at is not None and not one.recalled)
        person = self.people[who]
        out = life.released_at is not None and not life.recalled
        in_time = life.released_at is not None and self.at - life.released_at <= DAY
        allowed = out and (person is self.owner or (in_time and life.decider == person.person_id))
        opinion = Opinion(Verdict.REJECT, reasons=["Tone"])
        self.tries(
            allowed, lambda session: decisions.recall(session, life.id, person, reason="Wrong.", opinion=opinion),
            NOT_THIS_ONE,
        )  # fmt: skip
        if allowed:
            life.recalled = True
            self.told.append({("recalled", life.id)})

    @rule(life=items, who=who)
    def escalate(self, life: Life, who: int) -> None:
        allowed = life.status == "held"
        self.tries(allowed, lambda session: queue.escalate(session, life.id, self.people[who]))
        if allowed:
            life.escalated, life.lease = True, None

    @rule(life=items, aim=AIM)
    def put_back(self, life: Life, aim: int) -> None:
        if aim > 1 and not any(one.escalated and one.status == "held" for one in self.lives.values()):
            self.escalate(next((one for one in self.lives.values() if one.status == "held"), life), aim % 3)
        life = self.aimed(life, aim, lambda one: one.escalated and one.status == "held")
        allowed = life.status == "held" and life.escalated
        self.tries(allowed, lambda session: queue.put_back(session, life.id, self.owner))
        if allowed:
            life.escalated, life.passed = False, {}

    @rule(life=items, who=who, act=st.sampled_from(["skip", "give back", "renew"]), aim=AIM)
    def let_go_or_keep(self, life: Life, who: int, act: str, aim: int) -> None:
        life = self.aimed(life, aim, lambda one: one.lease is not None)
        person = self.people[who]
        if life.lease is not None and who != 0:
            person = next(one for one in self.people if one.person_id == life.lease[0])
        here, pairs = life.held_by(person, life.leases, self.at), [(life.id, life.leases)]
        if act == "renew":
            kept = self.tries(True, lambda session: queue.renew(session, person, pairs))
            assert kept == ([life.id] if here else [])
            if here:
                life.lease = (person.person_id or 0, life.leases, self.at + LEASE_LASTS)
        elif act == "give back":
            # Also one that ran out, as long as nobody else has it.
            self.tries(True, lambda session: queue.give_back(session, person, pairs))
            if life.lease is not None and life.lease[0] == person.person_id:
                life.lease = None
        else:
            self.tries(here, lambda session: queue.skip(session, life.id, person, life.leases))
            if here:
                life.lease, life.passed[person.person_id or 0] = None, self.at
                life.escalated = life.escalated or len(life.passed) >= 3

    @rule(seconds=st.sampled_from([1, 4, 5, 60, 119, 121, 24 * 3_600, 25 * 3_600]))
    def wait(self, seconds: int) -> None:
        self.at += seconds * SECOND

    @rule(most=st.integers(1, 3))
    def read_on(self, most: int) -> None:
        with self.db.reading() as session:
            told, self.cursor = feed.feed(session, self.caller, self.cursor, most)
        self.seen += [(str(one.event), one.item["id"]) for one in told]

    # --- what holds after every step ----------------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_that_must_not_be(self) -> None:
        with self.db.reading() as session:
            for query in NEVER:
                found = session.connection().execute(sa.text(query), {"flow": self.flow.id}).all()
                assert found == [], query

    @invariant()
    def the_tables_say_what_the_model_says(self) -> None:
        with self.db.reading() as session:
            stored = {row.id: row for row in session.connection().execute(STORED, {"flow": self.flow.id})}
        assert set(stored) == set(self.lives)
        for life in self.lives.values():
            row = stored[life.id]
            lease = (row.lease_by, row.lease_n, row.lease_until) if row.lease_by is not None else None
            assert (row.status, lease, row.lease_n, row.escalated_at is not None) == (
                life.status, life.lease, life.leases, life.escalated
            )  # fmt: skip
            assert (row.leaves_at, row.released_at, row.recalled_at is not None) == (
                life.leaves_at, life.released_at, life.recalled
            )  # fmt: skip

    @invariant()
    def the_application_sees_its_text_exactly_while_it_may_be_sent(self) -> None:
        with self.db.reading() as session:
            seen = views.views(session, self.caller, list(self.lives))
        for life in self.lives.values():
            self.check_seen(life, seen[life.id])

    def check_seen(self, life: Life, item: dict[str, Any]) -> None:
        may_be_sent = life.released_at is not None and not life.recalled
        assert item["output"] == (life.text if may_be_sent else None), life
        assert (item["status"], item["released"], item["final"]) == (life.status, may_be_sent, life.left), life
        if item["output"] is not None and life.status == "approved":
            assert item["output"].encode() == life.output.encode()

    @invariant()
    def the_feed_misses_nothing_and_says_nothing_twice(self) -> None:
        with self.db.reading() as session:
            told, _ = feed.feed(session, self.caller, None, feed.MOST_EVENTS)
        self.check_told([(str(one.event), one.item["id"]) for one in told])
        places = [tuple(map(int, one.cursor.split("-"))) for one in told]
        assert places == sorted(set(places))
        all_told = [(str(one.event), one.item["id"]) for one in told]
        assert self.seen == all_told[: len(self.seen)]

    def check_told(self, told: list[tuple[str, str]]) -> None:
        at = 0
        for group in self.told:
            assert set(told[at : at + len(group)]) == group
            at += len(group)
        assert at == len(told)

    def teardown(self) -> None:
        """Look once more, over HTTP, and read the feed to its end from where the reader stopped."""
        if not hasattr(self, "caller"):
            return
        for life in self.lives.values():
            self.check_seen(life, self.shop.get(f"items/{life.id}").json())
            assert self.stranger.get(f"items/{life.id}").status_code == 404
        ask = partial(self.shop.get, "releases", limit=2)
        page = ask(after=self.cursor or "").json()
        while page["events"]:
            self.seen += [(one["type"], one["item"]["id"]) for one in page["events"]]
            page = ask(after=page["next"]).json()
        self.check_told(self.seen)
        assert self.stranger.get("releases").json()["events"] == []
        # What is left in grace goes, so that the next life finds nothing of this one.
        self.at += DAY
        with self.db.writing() as session:
            while releases.release_due(session):
                pass
