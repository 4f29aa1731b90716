"""The words that are stored: each column of kinds takes its values from here."""

from enum import StrEnum


class Origin(StrEnum):
    """Where an item came from; fixed for ever, because only `gate` can ever be released."""

    GATE = "gate"
    HISTORY = "history"
    GOLD = "gold"
    CANDIDATE = "candidate"
    SAMPLE = "sample"


class Status(StrEnum):
    """What became of an item."""

    HELD = "held"  # -> approved, corrected, rejected (a decision), lapsed (a deadline), withdrawn (its source)
    APPROVED = "approved"  # -> held (undone while it has not left)
    CORRECTED = "corrected"  # -> held (undone while it has not left)
    REJECTED = "rejected"  # -> held (undone while it has not left)
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    RECORDED = "recorded"  # history: never queued, decided or released


class Verdict(StrEnum):
    """What a reviewer says of an output."""

    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"


class Purpose(StrEnum):
    """Why a review was made."""

    GATE = "gate"
    SECOND = "second"
    GOLD = "gold"
    HISTORY = "history"
    CANDIDATE = "candidate"
    ADJUDICATION = "adjudication"


class DecidedBy(StrEnum):
    """Who decided what became of an item."""

    HUMAN = "human"
    POLICY = "policy"
    SOURCE = "source"


class Event(StrEnum):
    """What the application is told."""

    RELEASED = "released"
    REJECTED = "rejected"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    RECALLED = "recalled"


class Role(StrEnum):
    """What a person may do; an admin may do all, an owner what a reviewer may."""

    REVIEWER = "reviewer"
    OWNER = "owner"
    ADMIN = "admin"
    EXPORT = "export"


class LinkFor(StrEnum):
    """Why somebody got a link with which a password is chosen."""

    INVITE = "invite"
    RESET = "reset"


class Label(StrEnum):
    """What an item's reviews say together."""

    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"
    DISPUTED = "disputed"


class PassOver(StrEnum):
    """How a reviewer let an item go without a verdict."""

    SKIP = "skip"
    LOST = "lost"


class PausedFor(StrEnum):
    """Why an endpoint is told nothing at present."""

    ASKED = "asked"
    GONE = "gone"  # it answered 410: nobody is there any more


class JobKind(StrEnum):
    """What takes long."""

    IMPORT = "import"
    EXPORT = "export"
    EVAL = "eval"


class JobState(StrEnum):
    """How far long work is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class CaseKind(StrEnum):
    """What a case asks of an answer: to be like a good one, or unlike one that was rejected."""

    TARGET = "target"
    MUST_NOT = "must_not"


class RunOutcome(StrEnum):
    """How a run of candidates ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    FAILED = "failed"


class ScoredBy(StrEnum):
    """Who scored an answer."""

    CODE = "code"
    JUDGE = "judge"


class GateOutcome(StrEnum):
    """What the gate says of a candidate."""

    PASS = "pass"
    BLOCK = "block"
    INCONCLUSIVE = "inconclusive"


VERDICT_STATUS = {
    Verdict.APPROVE: Status.APPROVED,
    Verdict.CORRECT: Status.CORRECTED,
    Verdict.REJECT: Status.REJECTED,
}
