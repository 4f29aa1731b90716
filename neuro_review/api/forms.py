"""What an application sends, and what it is answered; the OpenAPI document is made from these."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from neuro_review.errors import InvalidError
from neuro_review.intake import MOST_MS, MOST_USD, Count, Millis, Name, Output, as_whole, explain

MOST_IN_A_BATCH = 1000
A_DURATION = {"anyOf": [{"type": "number", "minimum": 0, "maximum": MOST_MS}, {"type": "null"}]}
EXAMPLE: dict[str, Any] = {
    "workflow": "support", "model": "gpt-4o", "external_id": "ticket-4711",
    "prompt": [{"role": "user", "content": "May I return opened earphones?"}],
    "output": "Yes, within 30 days, as long as they are unused.", "cost_usd": 0.0042, "latency_ms": 812,
}  # fmt: skip


def _as_integer(value: Any) -> Any:
    """Let 12.0 be 12: JSON knows one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Tokens = Annotated[Count | None, BeforeValidator(_as_integer)]


class Handed(Output):
    """What an application hands in."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, strict=True, json_schema_extra={"example": EXAMPLE}
    )

    workflow: Name
    external_id: Name | None = Field(default=None, description="Your own id: the same one again is the same item.")
    cost_usd: Annotated[float | None, Field(ge=0, le=MOST_USD, allow_inf_nan=False)] = None
    latency_ms: Annotated[Millis | None, BeforeValidator(as_whole), WithJsonSchema(A_DURATION)] = None
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    priority: Annotated[int, Field(ge=0, le=9, strict=True), BeforeValidator(_as_integer)] = Field(
        default=5, description="0 to 9; 9 comes first."
    )


class Release(BaseModel):
    """Where a text may be sent: the id of that permission, used once, and the hash of the text that was reviewed."""

    id: str
    text_hash: str


class Item(BaseModel):
    """One output, as its application sees it."""

    id: str
    external_id: str
    workflow: str
    model: str
    status: Literal["held", "approved", "corrected", "rejected", "lapsed", "withdrawn", "recorded"]
    final: bool = Field(description="Whether it has left review: what became of it can no longer be undone.")
    verdict: Literal["approve", "correct", "reject"] | None
    released: bool = Field(description="Whether `output` may be sent.")
    output: str | None = Field(description="The text that may be sent; null until then, and where none may be.")
    fallback: str | None = Field(description="What the workflow's owner wants sent instead, where it was refused.")
    reasons: list[str]
    release: Release | None
    recalled: bool
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    due_at: str | None
    decided_at: str | None
    released_at: str | None


class KeySeen(BaseModel):
    """What a key can do."""

    source: str
    workflow: str
    can_submit: bool
    can_read: bool


class Canary(BaseModel):
    """A candidate that a share of the traffic goes to."""

    model: str
    parameters: dict[str, Any]
    share: float


class ModelInUse(BaseModel):
    """What applications are to call; null while nothing was named."""

    workflow: str
    version: int
    """Counts the changes."""
    model: str | None
    parameters: dict[str, Any]
    canary: Canary | None = None


class Said(BaseModel):
    """What went wrong, and what to do."""

    code: str
    message: str
    field: str | None = None


class Refusal(BaseModel):
    """An answer that is none."""

    error: Said


class Row(BaseModel):
    """What became of one row of a batch: the status it would have had by itself, and its item or its error."""

    status: int
    item: Item | None = None
    error: Said | None = None


class Told(BaseModel):
    """One thing that became of an item."""

    cursor: str
    type: Literal["released", "rejected", "lapsed", "withdrawn", "recalled"]
    item: Item


class Feed(BaseModel):
    """What became of items, in order, and where to go on."""

    events: list[Told]
    next: str | None


def parsed(body: bytes) -> Any:
    """Return what a body says.

    Raises:
        InvalidError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        what = "is empty" if not body.strip() else f"is no JSON: {error}"
        raise InvalidError(f"The body {what}. Send UTF-8 JSON.") from error


def handed(said: Any) -> Handed:
    """Return one submission.

    Raises:
        InvalidError: it has not the right form; the field is named.
    """
    if not isinstance(said, dict):
        raise InvalidError('Send a JSON object, like {"workflow": "support", "model": "m", "output": "…"}.')
    try:
        return Handed.model_validate(said)
    except ValidationError as error:
        raise explain(error) from None


def batch(said: Any) -> list[Any]:
    """Return the rows of a batch, unread.

    Raises:
        InvalidError: it is no list, or has too many rows.
    """
    if not isinstance(said, list):
        raise InvalidError("Send a JSON array of submissions.")
    if len(said) > MOST_IN_A_BATCH:
        raise InvalidError(f"A batch has at most {MOST_IN_A_BATCH:,} rows; this one has {len(said):,}. Send several.")
    return said
