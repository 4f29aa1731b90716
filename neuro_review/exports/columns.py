"""The columns of an export, in order: one list for the writers, the manifest and anybody who asks what one holds."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds; each format writes each kind in its own way."""

    ID = "id"
    NAME = "name"  # a text of few different values: a model, a reviewer
    TEXT = "text"
    PROMPT = "text or chat messages"
    JSON = "JSON"
    LIST = "list of texts"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "true or false"
    TIME = "time, UTC"


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, and the sentence that the manifest says about it."""

    name: str
    kind: Kind
    means: str


A_ROW = (
    "A row is one review: what one reviewer said of one output. An item with several reviews has several rows;"
    " is_item_label is true on the one that its label comes from. A verdict that can still be undone, or was undone,"
    " is not here; drafts never are."
)

COLUMNS = (
    Column("review_id", Kind.ID, "The review; the same in every export, so that rows can be told apart and merged."),
    Column("item_id", Kind.ID, "The item, that is the output under review."),
    Column("external_id", Kind.TEXT, "The application's own name for the item, unique per workflow and source."),
    Column("workflow", Kind.NAME, "The workflow of the item."),
    Column("source", Kind.NAME, "The application that submitted the item; `import` for files."),
    Column("origin", Kind.NAME, "Where the item came from: gate, history, gold, candidate or sample."),
    Column("model", Kind.NAME, "The model that wrote the output."),
    Column("prompt_version", Kind.NAME, "The version of the prompt, as the application named it."),
    Column("status", Kind.NAME, "What became of the item; recorded for labels of the past."),
    Column("verdict", Kind.NAME, "What this reviewer said: approve, correct or reject."),
    Column("item_label", Kind.NAME, "What the item's reviews say together: a verdict, or disputed; null while open."),
    Column("is_item_label", Kind.FLAG, "Whether the item's label comes from this very row; one row an item at most."),
    Column("reviewer", Kind.NAME, "Who gave the verdict: an e-mail address, or the name in the imported file."),
    Column("purpose", Kind.NAME, "Why the review was made: gate, second, gold, history, candidate or adjudication."),
    Column("adjudication", Kind.FLAG, "Whether this review settles what others disagreed on."),
    Column("reasons", Kind.LIST, "The reasons the reviewer gave, from the workflow's list."),
    Column("prompt", Kind.PROMPT, "What the model was asked; where prompt_is_chat, the chat messages."),
    Column("prompt_is_chat", Kind.FLAG, "Whether the prompt is a list of chat messages."),
    Column("output", Kind.TEXT, "What the model wrote, as submitted; null once erased."),
    Column("final_text", Kind.TEXT, "The text this verdict lets out: output, or correction; null where there is none."),
    Column("correction", Kind.TEXT, "The whole corrected text; null unless the verdict is correct."),
    Column("note", Kind.TEXT, "What the reviewer noted."),
    Column("context", Kind.TEXT, "What the application sent along for the reviewer; JSON where it was no text."),
    Column("metadata", Kind.JSON, "What else the application sent along."),
    Column("rubric_version", Kind.INTEGER, "The rubric that the reviewer went by; 0 while none was written."),
    Column("cost_usd", Kind.NUMBER, "What the model call cost, in US dollars; null is unknown, not zero."),
    Column("latency_ms", Kind.INTEGER, "How long the model took, in milliseconds."),
    Column("prompt_tokens", Kind.INTEGER, "Tokens of the prompt."),
    Column("completion_tokens", Kind.INTEGER, "Tokens of the output."),
    Column("end_user", Kind.TEXT, "The application's name for whom the output was made."),
    Column("trace_url", Kind.TEXT, "Where the application shows the call."),
    Column("created_at", Kind.TIME, "When the item was submitted; for history, when it was made or first labelled."),
    Column("shown_at", Kind.TIME, "When the item was shown to the reviewer."),
    Column("handling_ms", Kind.INTEGER, "How long the reviewer had it on screen, in milliseconds, uncapped."),
    Column("reviewed_at", Kind.TIME, "When the verdict was given."),
    Column("released_at", Kind.TIME, "When the item went out."),
    Column("recalled_at", Kind.TIME, "When it was taken back after that."),
    Column("panel", Kind.FLAG, "Whether the item is of the audit panel: a random share, reviewed whatever its risk."),
    Column("stratum", Kind.NAME, "The group in which the item was routed."),
    Column("inclusion_probability", Kind.NUMBER, "How likely a person was to see the item; weigh rows by its inverse."),
)
NAMES = tuple(column.name for column in COLUMNS)
