"""The OpenAPI 3.1 document: what FastAPI knows of the routes, what we read by ourselves, and an example of each."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from neuro_review.api import answers, forms, outcomes
from neuro_review.api.waiting import LONGEST
from neuro_review.gate import feed

ABOUT = (
    "Hand in what a model wrote; get back what may be sent. Every call shows the key of an application; an owner of"
    " the workflow makes it on Sources. Send an `external_id`: then sending again after a broken line is harmless."
)
ID = "01a21085ea7075509592bba0cc5e1f15"
CURSOR = "7-12"
BY_ID = {"name": "id", "in": "path", "required": True, "example": ID,
         "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}  # fmt: skip
BY_NAME = {"name": "name", "in": "path", "required": True, "example": "support",
           "schema": {"type": "string", "minLength": 1, "maxLength": 100}}  # fmt: skip
WAIT = {
    "name": "wait", "in": "query", "required": False, "example": 0,
    "description": "Seconds to wait until the item is `final`.",
    "schema": {"type": "number", "minimum": 0, "maximum": LONGEST, "default": 0},
}  # fmt: skip
AFTER = {
    "name": "after", "in": "query", "required": False, "example": CURSOR,
    "description": "The `next` of the answer before; without it, or empty: from the beginning.",
    "schema": {"type": "string", "pattern": feed.CURSOR},
}  # fmt: skip
LIMIT = {
    "name": "limit", "in": "query", "required": False, "example": 100,
    "schema": {"type": "integer", "minimum": 1, "maximum": feed.MOST_EVENTS, "default": 100},
}  # fmt: skip
ONE = {"schema": {"$ref": "#/components/schemas/Handed"}, "example": forms.EXAMPLE}
MANY = {
    # A row that cannot be used is answered by itself, so that nothing here is refused for what one row is.
    "schema": {"type": "array", "maxItems": forms.MOST_IN_A_BATCH, "items": {}, "description": "Rows as for one item."},
    "example": [forms.EXAMPLE, forms.EXAMPLE | {"external_id": "ticket-4712", "output": "No."}],
}
HELD: dict[str, Any] = {
    "id": ID, "external_id": "ticket-4711", "workflow": "support", "model": "gpt-4o", "status": "held", "final": False,
    "verdict": None, "released": False, "output": None, "fallback": None, "reasons": [], "release": None,
    "recalled": False, "created_at": "2026-03-31T12:00:00.000000Z", "due_at": None, "decided_at": None,
    "released_at": None,
}  # fmt: skip
CORRECTED: dict[str, Any] = HELD | {
    "status": "corrected", "final": True, "verdict": "correct", "released": True, "reasons": ["Tone"],
    "output": "Yes, within 30 days, as long as they are unused and in their box.",
    "release": {"id": "01a21085f1c47d21b0d5a3f0f9be3c11", "text_hash": "9f" * 32},
    "decided_at": "2026-03-31T12:01:20.000000Z", "released_at": "2026-03-31T12:01:25.000000Z",
}  # fmt: skip
WITHDRAWN = HELD | {"status": "withdrawn", "final": True, "decided_at": "2026-03-31T12:00:09.000000Z"}
A_KEY = {"source": "shop", "workflow": "support", "can_submit": True, "can_read": True}
IN_USE = {
    "workflow": "support", "version": 3, "model": "openai/gpt-4o", "parameters": {"temperature": 0}, "canary": None,
}  # fmt: skip
ROWS = [
    {"status": 201, "item": HELD},
    {"status": 422, "error": {"code": "invalid", "message": "output is missing.", "field": "output"}},
]
EVENTS = {"events": [{"cursor": "7-13", "type": "released", "item": CORRECTED}], "next": "7-13"}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}}}
# By status: the code, what it means, and the words of an example.
REFUSALS: dict[int, tuple[str, str, str]] = {
    401: ("unknown_key", "No key, or one that is unknown or revoked",
          "This key is unknown or was revoked. Ask an owner of the workflow for a new one."),
    403: ("not_allowed", "The key may not do that",
          "This key is for the workflow “support”. Name that one, or use the key of another."),
    404: ("not_found", "No such item of this application",
          "There is no item by that id that this application submitted."),
    408: ("too_slow", "The body did not come in time", "The body did not come within 30 seconds. Send it again."),
    409: ("conflict", "The item has moved on, or there is another by this external_id",
          "An item with this external_id came in with other content. Give this one another."),
    413: ("too_large", "Too large; the message says how much is taken",
          "The request has more than 4,194,304 bytes. Send fewer or shorter outputs at once."),
    415: ("not_json", "Not JSON, or compressed", "Send `Content-Type: application/json`."),
    422: ("invalid", "It cannot be used as it is; `field` says what", "output is missing."),
    429: ("too_often", "Too often; `Retry-After` says how long to wait",
          "This key asks too often. Wait as long as `Retry-After` says, or send outputs in batches."),
    503: ("unavailable", "The database does not answer, or too much comes in; send it again after `Retry-After`",
          answers.AWAY),
}  # fmt: skip
ALWAYS = (401, 429, 503)
NO_NUL = {"type": "string", "pattern": r"^[^\u0000]*$"}


@dataclass(frozen=True)
class Call:
    """A call as the document describes it: what is sent is read by ourselves, which takes a quarter of the time."""

    name: str
    answers: dict[int, tuple[Any, Any]]
    """By status, the form of the answer and an example of it."""
    refuses: tuple[int, ...] = ()
    """With what it may be refused, beside what every call may be refused with."""
    body: dict[str, Any] | None = None
    parameters: tuple[dict[str, Any], ...] = ()

    def route(self) -> dict[str, Any]:
        """Return what FastAPI is told of it."""
        responses: dict[int | str, dict[str, Any]] = {
            status: {"model": form, "description": "Done"} for status, (form, _) in self.answers.items()
        }
        for status in sorted({*ALWAYS, *self.refuses}):
            responses[status] = {"model": forms.Refusal, "description": REFUSALS[status][1]}
            if status in (429, 503):
                responses[status]["headers"] = RETRY_AFTER
        extra: dict[str, Any] = {"security": [{"key": []}]}
        if self.parameters:
            extra["parameters"] = list(self.parameters)
        if self.body:
            extra["requestBody"] = {"required": True, "content": {"application/json": self.body}}
        return {
            "operation_id": self.name, "responses": responses, "openapi_extra": extra, "response_model": None,
            "status_code": min(self.answers),
        }  # fmt: skip

    def example(self, status: int) -> Any:
        """Return an example of an answer."""
        if status in self.answers:
            return self.answers[status][1]
        code, _, message = REFUSALS[status]
        return {"error": {"code": code, "message": message} | ({"field": "output"} if status == 422 else {})}


HANDING_IN = (403, 408, 409, 413, 415, 422)
CREATE = Call("create", {201: (forms.Item, HELD), 200: (forms.Item, HELD)}, HANDING_IN, ONE)
CREATE_BATCH = Call("create_batch", {200: (list[forms.Row], ROWS)}, HANDING_IN, MANY)
WITHDRAW = Call("withdraw", {200: (forms.Item, WITHDRAWN)}, (403, 404, 409), parameters=(BY_ID,))
KEY = Call("key", {200: (forms.KeySeen, A_KEY)})
WORKFLOW = Call("workflow", {200: (forms.ModelInUse, IN_USE)}, (403, 404), parameters=(BY_NAME,))
READ = Call("read", {200: (forms.Item, CORRECTED)}, (403, 404, 422), parameters=(BY_ID, WAIT))
RELEASES = Call("releases", {200: (forms.Feed, EVENTS)}, (403, 422), parameters=(AFTER, LIMIT))
REPORT = Call(
    "report", {201: (outcomes.OutcomeSeen, outcomes.SEEN), 200: (outcomes.OutcomeSeen, outcomes.SEEN)},
    (403, 404, 408, 413, 415, 422), {"schema": outcomes.SCHEMA, "example": outcomes.EXAMPLE},
)  # fmt: skip
CALLS = {call.name: call for call in (CREATE, CREATE_BATCH, WITHDRAW, KEY, WORKFLOW, READ, RELEASES, REPORT)}


def document(api: FastAPI) -> dict[str, Any]:
    """Return the document of these routes."""
    if api.openapi_schema is None:
        made = get_openapi(
            title=api.title, version=api.version, openapi_version="3.1.0", routes=api.routes, description=ABOUT,
            servers=[{"url": "/api"}],
        )  # fmt: skip
        form = forms.Handed.model_json_schema(ref_template="#/components/schemas/{model}")
        for field in form["properties"].values():
            _without_nul(field)
        parts = made["components"]
        parts["schemas"] |= form.pop("$defs", {}) | {"Handed": form}
        for described in (call for calls in made["paths"].values() for call in calls.values()):
            for status, said in described["responses"].items():
                # Put in here, because FastAPI leaves out every null of an example.
                said["content"]["application/json"]["example"] = CALLS[described["operationId"]].example(int(status))
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "A source's key"}}
        api.openapi_schema = made
    return api.openapi_schema


def _without_nul(field: dict[str, Any]) -> None:
    """Say of the texts of a field that they hold no NUL, which neither database stores."""
    if "type" not in field and "anyOf" not in field:  # anything at all
        field["anyOf"] = [{"type": "string"}, {"type": ["object", "array", "number", "boolean", "null"]}]
    for one in (field, *field.get("anyOf", ())):
        if one.get("type") == "string":
            one.update(NO_NUL)
