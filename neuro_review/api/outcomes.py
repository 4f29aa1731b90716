"""What an application reports of its own world: what became of a case whose answer was reviewed here."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import Session
from starlette.responses import Response

from neuro_review.api.answers import answer
from neuro_review.api.forms import parsed
from neuro_review.errors import InvalidError
from neuro_review.intake import Name, explain
from neuro_review.quality import outcomes
from neuro_review.quality.outcomes import LARGEST, Reported
from neuro_review.sources import Caller
from neuro_review.workflows.measured import LONGEST_NAME

if TYPE_CHECKING:
    from neuro_review.api.app import Gate

NO_NUL = r"^[^\u0000]*$"
EXAMPLE = {"external_id": "ticket-4711", "metric": "resolution_minutes", "value": 34.5}
SEEN = {"item": "01a21085ea7075509592bba0cc5e1f15", "metric": "resolution_minutes", "value": 34.5}
SCHEMA: dict[str, Any] = {
    "title": "Outcome", "type": "object", "additionalProperties": False, "required": ["metric", "value"],
    "oneOf": [{"required": ["item"]}, {"required": ["external_id"]}],
    "properties": {
        "metric": {
            "type": "string", "minLength": 1, "maxLength": LONGEST_NAME,
            "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$", "description": "What was counted, as the owner named it.",
        },
        "value": {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
        "item": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The id of the item."},
        "external_id": {
            "type": "string", "minLength": 1, "maxLength": 500, "pattern": NO_NUL,
            "description": "Or your own id of it.",
        },
    },
}  # fmt: skip


class Outcome(BaseModel):
    """What became of a case."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    metric: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    value: Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
    item: Name = ""
    external_id: Name = ""


class OutcomeSeen(BaseModel):
    """An outcome that is kept."""

    item: str
    metric: str
    value: float


def add(api: FastAPI, gate: "Gate", described: dict[str, Any]) -> None:
    """Add the route to the API."""

    @api.post("/v1/outcomes", **described)
    async def report(request: Request) -> Response:
        """Report what became of a case, like the minutes to its resolution. Reported again, the later value counts."""
        key = gate.key(request)
        body = await gate.bodies.read(request)
        try:
            given = _reported(parsed(body))
        finally:
            gate.bodies.done(body)

        def verb(session: Session, by: Caller) -> tuple[str, bool]:
            return outcomes.report(session, by, given)

        item_id, is_new = await gate.writing(key, verb)
        seen = {"item": item_id, "metric": given.metric.strip(), "value": given.value}
        return answer(seen, 201 if is_new else 200)


def _reported(said: Any) -> Reported:
    """Return what is reported.

    Raises:
        InvalidError: it has not the right form; the field is named.
    """
    if not isinstance(said, dict):
        raise InvalidError('Send a JSON object, like {"external_id": "4711", "metric": "minutes", "value": 34.5}.')
    try:
        given = Outcome.model_validate(said)
    except ValidationError as error:
        raise explain(error) from None
    return Reported(given.metric, given.value, given.item or None, given.external_id or None)
