"""The way in: an output is submitted, checked, and held.

In two steps, so that nothing slow happens inside a writing transaction: `prepare` checks, salts and hashes one
submission; `store` looks for what is there already and inserts the rest, many at once.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, Literal, NamedTuple

import orjson
import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import DAY, new_id, now, parse_iso
from db.tables import Origin, Status
from neuro_review import rollups
from neuro_review.audit import Action, first_event, record_first
from neuro_review.coin import panel_coin
from neuro_review.content import MOST_TOKENS, as_json, check_text, new_salt, parts_hash, prompt_hash, text_hash
from neuro_review.errors import InvalidError, TooLargeError
from neuro_review.queue import queue_at
from neuro_review.rollups.counting import Facts, Said
from neuro_review.settings import settings
from neuro_review.workflows import Workflow

# No output has more, for the same reason as with tokens.
MOST_USD, MOST_MS = 1e6, 1 << 53
LATEST = 253_402_300_799_999_999  # the end of the year 9999, the last that ISO 8601 writes with four digits


def _as_id(value: Any) -> Any:
    """Let a number be an id: files often count their rows."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_whole(value: Any) -> Any:
    """Round a fraction of a millisecond away; a float that is no number, or negative, stays and is refused."""
    return round(value) if isinstance(value, float) and math.isfinite(value) and value >= 0 else value


def _as_instant(value: Any) -> Any:
    """Read a date and time: ISO 8601, or seconds since 1970."""
    if isinstance(value, str):
        return parse_iso(value)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return int(value * 1_000_000)
    except OverflowError as error:
        raise ValueError("A number of seconds beyond every calendar.") from error
    return value


Instant = Annotated[int, BeforeValidator(_as_instant), Field(ge=0, le=LATEST)]
Count = Annotated[int, Field(ge=0, le=MOST_TOKENS, strict=True)]
Millis = Annotated[int, Field(ge=0, le=MOST_MS, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class Message(BaseModel):
    """One message of a chat; what else it carries (tool calls, names) is kept."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: Any = None


class Output(BaseModel):
    """What a model wrote, and what is known of it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    model: Name
    output: Annotated[str, Field(min_length=1)]
    # The first message that is none is enough: to name each of two million takes seconds, and gigabytes.
    prompt: str | Annotated[list[Message], Field(fail_fast=True)] | None = None
    external_id: Annotated[Name | None, BeforeValidator(_as_id)] = None
    context: Any = None
    metadata: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    cost_usd: Annotated[float | None, Field(ge=0, le=MOST_USD, allow_inf_nan=False)] = None
    latency_ms: Annotated[Millis | None, BeforeValidator(as_whole)] = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    priority: Annotated[int, Field(ge=0, le=9, strict=True)] = 5
    prompt_version: Name | None = None
    trace_url: Annotated[str | None, Field(max_length=2000)] = None
    end_user: Name | None = None

    @property
    def written_at(self) -> int | None:
        """When the model wrote it, where that is known to be another time than now."""
        return None


class Submission(Output):
    """One of many outputs that come in together, some of them written long ago."""

    created_at: Instant | None = None

    @property
    def written_at(self) -> int | None:
        """When the model wrote it."""
        return self.created_at


WHOLE, NUMBER, FLAG = "must be a whole number, like 12.", "must be a number, like 0.0042.", "must be true or false."
BY_KIND = {
    "missing": "is missing.",
    "string_too_short": "is empty.",
    "string_too_long": "has more than {max_length} characters. Shorten it.",
    "too_long": "has more than {max_length} entries. Leave some out.",
    "string_unicode": "holds half of a surrogate pair, which is no character. Send valid Unicode.",
    "string_type": "must be a text; write JSON as text.",
    "dict_type": 'must be a JSON object, like {{"team": "returns"}}.',
    "list_type": 'must be a list, like ["Tone"].',
    "int_type": WHOLE, "int_parsing": WHOLE, "int_from_float": WHOLE,
    "float_type": NUMBER, "float_parsing": NUMBER, "finite_number": NUMBER,
    "bool_type": FLAG, "bool_parsing": FLAG,
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
}  # fmt: skip
"""What is wrong with a field, by what pydantic calls it."""
A_DATE = "is not a date between 1970 and 9999. Write it like 2026-03-31T12:00:00Z."
BY_FIELD = {
    "created_at": A_DATE, "decided_at": A_DATE,
    "verdict": "is none of those there are. Say approve, correct or reject.",
    "reasons": 'must be a list of texts, like ["Tone"], or one text with semicolons between them.',
    "prompt": "must be a text, or a list of chat messages that each have a role.",
}  # fmt: skip
"""Fields that can be written in several ways, so that the first way that failed says too little."""
ABOUT_ANY = {"string_too_short", "string_too_long", "too_long", "string_unicode"}


def explain(error: ValidationError) -> InvalidError:
    """Return what is wrong with a submission as one sentence that names the field, and never what it held."""
    first = error.errors(include_input=False, include_url=False)[0]
    kind, place = first["type"], first["loc"]
    field = next((part for part in place if isinstance(part, str)), "row")
    if kind == "extra_forbidden":
        return InvalidError(f"There is no field {field}. Put what else you know into metadata.", field)
    if field in BY_FIELD and kind not in ABOUT_ANY and not (kind == "missing" and len(place) == 1):
        return InvalidError(f"{field} {BY_FIELD[field]}", field)
    if kind in BY_KIND:
        return InvalidError(f"{field} {BY_KIND[kind].format(**first.get('ctx', {}))}", field)
    message = str(first["msg"]).removeprefix("Value error, ")
    return InvalidError(f"{field} cannot be used: {message[:1].lower()}{message[1:]}.", field)


def check_past(field: str, instant: int | None, at: int) -> None:
    """Let an instant pass that lies in the past; a day's grace for clocks and time zones that are wrong.

    Raises:
        InvalidError: it lies in the future.
    """
    if instant is not None and instant > at + DAY:
        raise InvalidError(f"{field} lies in the future. Give the time when it happened, or leave it out.", field)


@dataclass(frozen=True)
class Door:
    """Through which door submissions come: into which workflow, from which source, on whose word."""

    workflow: Workflow
    source_id: int
    actor: str
    origin: Origin = Origin.GATE

    @property
    def status(self) -> Status:
        """Return the status an item is born with here."""
        return Status.RECORDED if self.origin is Origin.HISTORY else Status.HELD

    @property
    def action(self) -> Action:
        """Return the first event of an item that comes in here."""
        return Action.ITEM_RECORDED if self.origin is Origin.HISTORY else Action.ITEM_SUBMITTED


ITEM_COLUMNS = (
    "id workflow_id source_id external_id origin model created_at output_hash content_hash prompt_version prompt_hash"
    " parameters trace_url end_user cost_micro latency_ms prompt_tokens completion_tokens panel_u panel_rate panel"
    " routed_at stratum inclusion rubric_version status priority queue_band queue_at due_at lease_until lease_n label"
    " audit_seq"
)
FIXED = (
    "external_id", "model", "created_at", "prompt_version", "prompt_hash", "parameters", "trace_url", "cost_micro",
    "latency_ms", "prompt_tokens", "completion_tokens", "panel_u", "panel_rate", "panel", "rubric_version",
)  # fmt: skip
"""What nothing ever changes of an item, beside what its first event names: that event carries a hash of it."""
BORN_WITH = ("end_user", "priority", "routed_at", "stratum", "inclusion")
"""What an item is born with and can lose or change, each with an event that says so: in the same hash."""
COUNTED = (
    "workflow_id origin model created_at stratum inclusion panel status cost_micro latency_ms prompt_tokens"
    " completion_tokens source_id prompt_version end_user"
)
"""What the counts need to know of a new item, in the order of their `Facts`."""
_born, _counted = (
    itemgetter(*map(ITEM_COLUMNS.split().index, names)) for names in (FIXED + BORN_WITH, COUNTED.split())
)
CONTENT_COLUMNS = "item_id salt prompt prompt_is_chat output context metadata"


class Prepared(NamedTuple):
    """A submission, ready to be stored; a plain tuple, because an import sends it from process to process."""

    item_id: str
    external_id: str
    parts: list[str | None]
    """What tells a repeated submit from a changed one."""
    salt: str
    output_hash: str
    item: tuple[Any, ...]
    """In the order of ITEM_COLUMNS, without the last two."""
    content: tuple[Any, ...]
    event: tuple[Any, ...]


def prepare(
    door: Door, given: Output, *, name_of: Callable[[list[str | None]], str] | None = None, at: int | None = None
) -> Prepared:
    """Check, salt and hash one submission.

    Args:
        door: where it comes in.
        given: the submission, of the right form.
        name_of: names by its parts what brings no external id of its own; without it, it is named by its item's id.
        at: when it came in.

    Raises:
        InvalidError: a text cannot be stored, or the output is of the future; the field is named.
        TooLargeError: the output or the whole is over the limit.
    """
    item_id, salt, at = new_id(), new_salt(), now() if at is None else at
    check_past("created_at", given.written_at, at)
    prompt, context, metadata = _written(given)
    raw = check_text(given.output, "output", settings().max_output_bytes)
    _check_texts(given, prompt, context, len(raw))
    parts = [given.model, prompt, given.output, context, metadata, given.prompt_version]
    name = given.external_id or (item_id if name_of is None else name_of(parts))
    output_hash, content_hash = text_hash(salt, raw), parts_hash(salt, parts)
    created_at = at if given.written_at is None else given.written_at
    flow, u = door.workflow, panel_coin(item_id)
    panel = u < flow.panel_rate
    item = (
        item_id, flow.id, door.source_id, name, str(door.origin), given.model, created_at, output_hash, content_hash,
        given.prompt_version, prompt_hash(prompt), as_json(given.parameters) if given.parameters else None,
        given.trace_url, given.end_user, None if given.cost_usd is None else round(given.cost_usd * 1e6),
        given.latency_ms, given.prompt_tokens, given.completion_tokens, u, flow.panel_rate, panel,
        # With neither risk order nor autonomy, routing is part of the submit: everything is seen.
        at, "all", 1.0, flow.rubric_version, str(door.status), given.priority, 0 if panel else 1,
        queue_at(min(created_at, at), given.priority), None if flow.sla_ms is None else at + flow.sla_ms * 1000, 0, 0,
    )  # fmt: skip
    return Prepared(
        item_id, name, parts, salt, output_hash, item,
        (item_id, salt, prompt, isinstance(given.prompt, list), given.output, context, metadata),
        first_event(item_id, at, door.actor, str(door.action), _submitted(door, salt, item)),
    )  # fmt: skip


def _written(given: Output) -> tuple[str | None, str | None, str | None]:
    """Return prompt, context and metadata as they are stored: a text as it is, all else as JSON."""
    prompt = as_json([m.model_dump() for m in given.prompt]) if isinstance(given.prompt, list) else given.prompt
    context = given.context if given.context is None or isinstance(given.context, str) else as_json(given.context)
    return prompt, context, as_json(given.metadata) if given.metadata is not None else None


def _submitted(door: Door, salt: str, item: tuple[Any, ...]) -> str:
    """Return the body of an item's first event: canonical JSON, put together by hand because it is on the fast path."""
    output_hash, content_hash = item[7:9]
    born = parts_hash(salt, _born(item))
    return (
        f'{{"born":"{born}","content":"{content_hash}","origin":"{door.origin}","output":"{output_hash}",'
        f'"source":{door.source_id},"workflow":{door.workflow.id}}}'
    )


def _check_texts(given: Output, prompt: str | None, context: str | None, output_bytes: int) -> None:
    texts = {
        "model": given.model, "external_id": given.external_id, "prompt": prompt, "context": context,
        "prompt_version": given.prompt_version, "trace_url": given.trace_url, "end_user": given.end_user,
    }  # fmt: skip
    total = output_bytes
    for field, text in texts.items():
        if text is not None:
            total += len(check_text(text, field))
    limit = settings().max_body_bytes
    if total > limit:
        raise TooLargeError(f"The row has {total:,} bytes; at most {limit:,} are taken (NEURO_REVIEW_MAX_BODY_BYTES).")


class Outcome(StrEnum):
    """What became of one submission."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one submission, and the item it is about."""

    outcome: Outcome
    item_id: str
    why: str = ""
    """A sentence where it is a conflict."""


OTHER_CONTENT = "An item with this external_id came in with other content. Give this one another."
A_LABEL = "The item with this external_id is a label of the past. Give this one another, or a verdict."
NO_LABEL = "The item with this external_id came in without a verdict. Give this one another, or leave its verdict out."


@dataclass(frozen=True, slots=True)
class Known:
    """An item that is there already."""

    item_id: str
    origin: str
    content_hash: str
    salt: str | None
    output_hash: str
    audit_seq: int

    def says_the_same(self, parts: list[str | None]) -> bool:
        """Tell whether a submission has the content of this item; where that was erased, nothing contradicts it."""
        return self.salt is None or parts_hash(self.salt, parts) == self.content_hash


_KNOWN = (
    "SELECT i.external_id, i.id, i.origin, i.content_hash, c.salt, i.output_hash, i.audit_seq FROM item i"
    " JOIN item_content c ON c.item_id = i.id WHERE i.workflow_id = :workflow AND i.source_id = :source"
    " AND i.external_id "
)
KNOWN = {
    "sqlite": sa.text(_KNOWN + "IN (SELECT value FROM json_each(:names))"),
    "postgresql": sa.text(_KNOWN + "= ANY(:names)"),
}


def known(session: Session, door: Door, names: Sequence[str]) -> dict[str, Known]:
    """Return the items of this door that are there already, by external id."""
    connection = session.connection()
    dialect: Literal["sqlite", "postgresql"] = connection.dialect.name  # type: ignore[assignment]
    listed: Any = orjson.dumps(list(names)).decode() if dialect == "sqlite" else list(names)
    bound = {"workflow": door.workflow.id, "source": door.source_id, "names": listed}
    return {row[0]: Known(*row[1:]) for row in connection.execute(KNOWN[dialect], bound)} if names else {}


def against_origin(before: Known, door: Door) -> str:
    """Return why a row cannot be about an item that came in through another kind of door; nothing where it can."""
    if before.origin == door.origin:
        return ""
    return A_LABEL if before.origin == Origin.HISTORY else NO_LABEL


def store(session: Session, door: Door, batch: Sequence[Prepared]) -> list[Stored]:
    """Hold each submission of a batch that is not there yet; returns what became of each, in order.

    The same external id with the same content is the same item, with other content a conflict; without one it is new.
    """
    there = known(session, door, [one.external_id for one in batch if one.external_id != one.item_id])
    fresh: dict[str, Prepared] = {}
    outcomes = []
    for one in batch:
        before = there.get(one.external_id)
        twin = fresh.get(one.external_id)
        if before is not None:
            against = against_origin(before, door) or ("" if before.says_the_same(one.parts) else OTHER_CONTENT)
            outcomes.append(Stored(Outcome.CONFLICT if against else Outcome.DUPLICATE, before.item_id, against))
        elif twin is not None:
            against = "" if twin.parts == one.parts else OTHER_CONTENT
            outcomes.append(Stored(Outcome.CONFLICT if against else Outcome.DUPLICATE, twin.item_id, against))
        else:
            fresh[one.external_id] = one
            outcomes.append(Stored(Outcome.STORED, one.item_id))
    new = list(fresh.values())
    insert_rows(session, "item", ITEM_COLUMNS, [(*one.item, None, 1) for one in new])
    insert_rows(session, "item_content", CONTENT_COLUMNS, [one.content for one in new])
    record_first(session, [one.event for one in new])
    rollups.born(session, [counted(one) for one in new])
    return outcomes


def counted(one: Prepared, label: str | None = None, said: Sequence[Said] = ()) -> Facts:
    """Return what the counts need to know of a new item; of a label of the past, with what was said of it."""
    return Facts._make((*_counted(one.item), label, None, None, said))


def content_name(parts: list[str | None], count: int) -> str:
    """Return a name for a row that brings none: the hash of its content, and how often that came before in the file."""
    return f"{hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]}-{count}"
