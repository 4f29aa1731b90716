"""That what an event says is what its row says."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from db.clock import is_id
from neuro_review.audit import Action
from neuro_review.content import text_hash
from neuro_review.verify.report import Report

Facts = dict[str, Any]
AT_ONCE = 250
"""Rows in memory at a time: each may carry texts of some megabytes."""


@dataclass(frozen=True)
class Check:
    """Which rows an action's events speak of, and how to compare them."""

    action: Action
    query: str
    key: str | None
    """The fact that holds the row's id; None where it is the stream itself."""
    complaint: Callable[[Any, Facts, Any], str | None]


def _review(event: Any, facts: Facts, row: Any) -> str | None:
    said = (
        event.stream, event.at, facts["verdict"], facts["text"], facts["reviewer"], facts["purpose"], facts["reasons"],
        facts["reviewed_at"], facts.get("person"), facts.get("shown_at"), facts.get("handling_ms"),
    )  # fmt: skip
    if said != row[1:12]:
        return "The verdict was edited: it is not what the reviewer said."
    if not _has_its_hash(row, row.text, facts["text"] if row.verdict == "correct" else ""):
        return "The correction was edited: its text does not have the hash it was given."
    if not _has_its_hash(row, row.note, facts.get("note", "")):
        return "The note was edited: its text does not have the hash it was given."
    return None


def _has_its_hash(row: Any, text: str | None, said: str) -> bool:
    """Tell whether a text is the one that was hashed; '' is the hash of none. What was erased contradicts nothing."""
    if text is None:
        return said == "" or bool(row.erased)
    return row.salt is None or text_hash(row.salt, text) == said


def _decision(event: Any, facts: Facts, row: Any) -> str | None:
    said = (
        event.stream, event.actor, facts["by"], facts["status"], facts["review"], facts["verdict"],
        facts["certificate"], facts["text"], facts["decided_at"], facts["final_at"],
        facts["status"] in ("approved", "corrected"),
    )  # fmt: skip
    return None if said == row[1:12] else "The decision was edited: it is not what was decided."


def _retraction(event: Any, facts: Facts, row: Any) -> str | None:
    fits = (event.stream, event.actor, event.at) == (row.item_id, f"person:{row.person_id}", row.at)
    return None if fits else "The undo was edited: it is not what was done."


def _left(event: Any, facts: Facts, row: Any) -> str | None:
    told = (facts["event"], facts["decision"], facts["release"], event.at)
    if told != (row.event, row.decision_id, row.release_id, row.created_at) or not row.to_its_source:
        return "The message was edited: it is not what the application was told."
    if facts["release"] is None:
        return None
    if row.text_hash is None:
        return "The release that this event speaks of was deleted."
    fits = (facts["decision"], facts["text"], event.at) == (row.under, row.text_hash, row.at)
    return None if fits else "The release was edited: it is not what was reviewed."


def _recall(event: Any, facts: Facts, row: Any) -> str | None:
    said = (facts["release"], facts["review"], event.actor, event.at)
    if said != (row.release_id, row.review_id, f"person:{row.person_id}", row.at):
        return "The recall was edited: it is not what was done."
    if not _has_its_hash(row, row.reason, facts["reason"]):
        return "The recall was edited: its reason does not have the hash it was given."
    if (row.told, row.told_at) != (facts["release"], event.at):
        return "The message of this recall was edited or deleted."
    return None


def _erasure(event: Any, facts: Facts, row: Any) -> str | None:
    # The reason stays for ever, so its hash need not be salted with what goes.
    said = (event.actor, event.at, facts["reason"])
    fits = said == (row.erased_by, row.at, text_hash(row.id, row.reason))
    return None if fits else "The erasure was edited: it is not what was done."


CHECKS = (
    Check(
        Action.ITEM_REVIEWED,
        "SELECT v.id, v.item_id, v.created_at, v.verdict, v.text_hash, v.reviewer, v.purpose, v.reasons, v.reviewed_at,"
        " v.person_id, v.shown_at, v.handling_ms, t.text, t.note, c.salt, e.item_id IS NOT NULL AS erased FROM review v"
        " LEFT JOIN review_content t ON t.review_id = v.id LEFT JOIN item_content c ON c.item_id = v.item_id"
        " LEFT JOIN erasure e ON e.item_id = v.item_id WHERE v.id",
        "review", _review,
    ),
    Check(
        Action.ITEM_DECIDED,
        "SELECT id, item_id, actor, by, status, review_id, verdict, certificate_id, text_hash, decided_at, final_at,"
        " releases FROM decision WHERE id",
        "decision", _decision,
    ),
    Check(
        Action.ITEM_UNDONE, "SELECT decision_id AS id, item_id, person_id, at FROM retraction WHERE decision_id",
        "decision", _retraction,
    ),
    Check(
        Action.ITEM_RELEASED,
        "SELECT o.item_id AS id, o.event, o.decision_id, o.release_id, o.created_at, o.source_id = i.source_id AND"
        " o.workflow_id = i.workflow_id AS to_its_source, r.decision_id AS under, r.text_hash, r.at FROM outbox o"
        " JOIN item i ON i.id = o.item_id LEFT JOIN release r ON r.id = o.release_id WHERE o.event <> 'recalled'"
        " AND o.item_id",
        None, _left,
    ),
    Check(
        Action.ITEM_RECALLED,
        "SELECT k.item_id AS id, k.release_id, k.review_id, k.person_id, k.reason, k.at, c.salt,"
        " e.item_id IS NOT NULL AS erased, o.release_id AS told, o.created_at AS told_at FROM recall k"
        " LEFT JOIN item_content c ON c.item_id = k.item_id LEFT JOIN erasure e ON e.item_id = k.item_id"
        " LEFT JOIN outbox o ON o.item_id = k.item_id AND o.event = 'recalled' WHERE k.item_id",
        None, _recall,
    ),
    Check(
        Action.ITEM_ERASED, "SELECT item_id AS id, reason, erased_by, at FROM erasure WHERE item_id", None, _erasure
    ),
)  # fmt: skip


def check_rows(connection: sa.Connection, events: dict[str, list[tuple[Any, Facts]]], report: Report) -> None:
    """Compare events, by their actions, with the rows they name."""
    for check in CHECKS:
        if check.action in events:
            _check(connection, events[check.action], check, report)


def _check(connection: sa.Connection, events: list[tuple[Any, Facts]], check: Check, report: Report) -> None:
    about: dict[str, list[tuple[Any, Facts]]] = defaultdict(list)
    for event, facts in events:
        about[event.stream if check.key is None else str(facts.get(check.key))].append((event, facts))
    seen = set()
    for row in fetch(connection, check.query, [row_id for row_id in about if is_id(row_id)]):
        row_id = row[0]
        seen.add(row_id)
        for event, facts in about[row_id]:
            if what := _complained(check.complaint, event, facts, row):
                report.add(event.stream, event.seq, event.at, what)
    for row_id in about.keys() - seen:
        for event, _ in about[row_id]:
            report.add(event.stream, event.seq, event.at, "What this event speaks of was deleted.")


def _complained(complaint: Callable[[Any, Facts, Any], str | None], event: Any, facts: Facts, row: Any) -> str | None:
    """Return what does not fit; an event that lacks a fact of its action does not either."""
    try:
        return complaint(event, facts, row)
    except KeyError:
        return "This event was edited: it lacks what its action says."


def fetch(connection: sa.Connection, query: str, ids: list[str]) -> Iterator[Any]:
    """Yield the rows of these ids, few at a time."""
    if not ids:
        return
    bound: Any = ids
    if connection.dialect.name == "postgresql":
        query += " = ANY(CAST(:ids AS uuid[]))"
    else:
        query, bound = query + " IN (SELECT value FROM json_each(:ids))", orjson.dumps(ids).decode()
    result = connection.execute(sa.text(query).execution_options(stream_results=True), {"ids": bound})
    for part in result.partitions(AT_ONCE):
        yield from part
