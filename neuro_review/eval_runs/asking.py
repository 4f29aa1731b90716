"""A run is asked for: which frozen version, which candidates, how they are scored, and how much it may cost."""

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from db.bulk import insert_rows
from db.clock import new_id, now
from db.tables import Role
from neuro_review import scorers, workflows
from neuro_review.access import Actor
from neuro_review.audit import Action, record
from neuro_review.content import as_json, check_text
from neuro_review.errors import ConflictError, InvalidError, NotFoundError
from neuro_review.eval_runs.judging import judge_hash
from neuro_review.eval_sets import rows as sets
from neuro_review.llm import Way
from neuro_review.settings import settings

RECORDED = "recorded"
"""The candidate that stands for the outputs that were reviewed: no call, and what a judge is held against."""
MOST_CANDIDATES = 20
AT_ONCE = 16
MOST_DOLLARS = 1_000_000_000
MOST_PRICE = 1_000_000
"""Dollars for a million tokens."""
GOES_ON = "This run goes on already, or is still stopping. Look at it again in a moment."
NO_BUDGET = "The price of {} is not known, so no budget can be kept. Give its price, or leave the budget out."
NO_SUM = f"A budget is 0 to {MOST_DOLLARS:,} dollars."
PARAMETERS = frozenset({
    "system", "temperature", "top_p", "top_k", "min_p", "n", "max_tokens", "max_completion_tokens", "stop", "seed",
    "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "response_format", "reasoning_effort",
    "reasoning", "thinking", "verbosity", "tools", "tool_choice", "parallel_tool_calls", "logprobs", "top_logprobs",
    "service_tier", "user", "modalities", "prediction", "safety_settings", "web_search_options", "extra_body",
})  # fmt: skip
"""What may be said of how a model is called: what LiteLLM would take for an address or a key is none of it."""


@dataclass(frozen=True)
class Asked:
    """What is tried, and how."""

    candidates: tuple[Way, ...]
    scorers: tuple[str, ...] = scorers.DEFAULT
    judge: Way | None = None
    repeats: int = 1
    budget_micro: int | None = None
    """Millionths of a dollar; None is no limit."""
    at_once: int = AT_ONCE


def way(
    model: str, *, endpoint: str | None = None, api_base: str | None = None, key_variable: str | None = None,
    parameters: dict[str, Any] | None = None, price: tuple[float, float] | None = None,
) -> Way:  # fmt: skip
    """Return a model and how it is reached: by itself, at an address, or at an endpoint that the operator has named.

    Raises:
        InvalidError: the name cannot be used, the address is none, or holds a password; no endpoint has this name; a
            parameter is none of a model, such as an address or a key; or a price is none.
    """
    model = model.strip()
    check_text(model, "model", 500)
    if not model or "://" in model:
        raise InvalidError("Name a model as LiteLLM does, like openai/gpt-4o.", "model")
    check_parameters(parameters or {})
    if price is not None and not all(0 <= one <= MOST_PRICE for one in price):
        raise InvalidError(f"A price is 0 to {MOST_PRICE:,} dollars for a million tokens.", "price")
    if endpoint is not None:
        known = settings().endpoints
        if endpoint not in known:
            raise InvalidError(f"There is no endpoint “{endpoint}” in NEURO_REVIEW_ENDPOINTS.", "endpoint")
        api_base, key_variable = known[endpoint].url, known[endpoint].key_variable
    if api_base is not None:
        parts = urlsplit(api_base)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise InvalidError(
                "The address of a model is like https://host/v1, without a password. Name the variable that holds the"
                " key instead.", "api_base",
            )  # fmt: skip
    return Way(model, api_base, key_variable, parameters or {}, price)


def unset_key(endpoint: str) -> str | None:
    """Return the variable that is to hold the key of an endpoint and is not set in this process, or None."""
    named = settings().endpoints.get(endpoint)
    variable = named.key_variable if named else None
    return variable if variable and not os.environ.get(variable) else None


def check_parameters(parameters: dict[str, Any]) -> None:
    """Let only parameters of a model pass.

    Raises:
        InvalidError: one of them could be an address or a key.
    """
    for name in parameters:
        if name not in PARAMETERS:
            raise InvalidError(
                f"“{name[:60]}” is no parameter of a model. Keys come from the environment of the server and addresses"
                " from NEURO_REVIEW_ENDPOINTS; what only your own server understands goes into extra_body.",
                "parameters",
            )  # fmt: skip


INSERT = sa.text(
    "INSERT INTO eval_run (id, version_id, workflow_id, scorers, judge, judge_hash, rubric_version, repeats,"
    " budget_micro, at_once, asked_by, created_at, lease_n, lease_until) VALUES (:id, :version, :workflow, :scorers,"
    " :judge, :judge_hash, :rubric_version, :repeats, :budget, :at_once, :by, :at, 0, 0)"
)


def ask(session: Session, by: Actor, version_ref: str, asked: Asked, *, run_id: str | None = None) -> str:
    """Ask for a run and return its id; asking twice under one id is asking once.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such version.
        ConflictError: the version is a draft.
        InvalidError: a scorer or a number cannot be used.
    """
    version = sets.version(session, version_ref, by)
    by.require(Role.OWNER, version.workflow_id)
    if version.frozen_at is None:
        raise ConflictError(f"{version.ref} is a draft. Freeze it first: evalset freeze {version.ref}.")
    check(asked)
    run_id = run_id or new_id()
    if session.connection().execute(sa.text("SELECT 1 FROM eval_run WHERE id = :id"), {"id": run_id}).first():
        return run_id
    flow, at = workflows.by_id(session, version.workflow_id), now()
    hashed = judge_hash(asked.judge, workflows.rubric(session, flow.id)) if asked.judge else None
    session.connection().execute(INSERT, {
        "id": run_id, "version": version.id, "workflow": flow.id, "scorers": as_json(list(asked.scorers)),
        "judge": as_json(_reached(asked.judge) | {"model": asked.judge.model, "parameters": asked.judge.parameters})
        if asked.judge else None,
        "judge_hash": hashed, "rubric_version": flow.rubric_version, "repeats": asked.repeats,
        "budget": asked.budget_micro, "at_once": asked.at_once, "by": by.audit_name, "at": at,
    })  # fmt: skip
    rows = [
        (run_id, place, one.model, as_json(_reached(one)), as_json(one.parameters))
        for place, one in enumerate(asked.candidates)
    ]
    insert_rows(session, "eval_candidate", "run_id position model reached parameters", rows)
    facts = {
        "set": version.set_id, "version": version.number, "hash": version.content_hash, "workflow": flow.id,
        "models": [one.model for one in asked.candidates], "scorers": list(asked.scorers), "judge": hashed,
        "repeats": asked.repeats, "budget_micro": asked.budget_micro,
    }  # fmt: skip
    record(session, f"evalrun/{run_id}", by.audit_name, Action.EVALRUN_ASKED, facts, at)
    return run_id


def check(asked: Asked) -> None:
    """Let only pass what a run can be asked for with.

    Raises:
        InvalidError: a scorer or a number cannot be used, or there are too many candidates.
    """
    models = [one.model for one in asked.candidates]
    if not 1 <= len(models) <= MOST_CANDIDATES or len(set(models)) < len(models):
        raise InvalidError(f"A run has 1 to {MOST_CANDIDATES} candidates, each named once.", "model")
    for spec in asked.scorers:
        if spec != scorers.JUDGE:
            scorers.parse(spec)
    if not asked.scorers or len(set(asked.scorers)) < len(asked.scorers):
        raise InvalidError("Name at least one scorer, each once.", "scorer")
    if (scorers.JUDGE in asked.scorers) != (asked.judge is not None):
        raise InvalidError("The scorer judge and the model that judges go together. Name both, or none.", "judge")
    for name, value, most in (("repeats", asked.repeats, 100), ("at_once", asked.at_once, 1000)):
        if not 1 <= value <= most:
            raise InvalidError(f"{name} is 1 to {most:,}.", name)
    _check_budget(asked.budget_micro)


def micro(dollars: float | None) -> int | None:
    """Return a budget as it is kept; None is no limit.

    Raises:
        InvalidError: it is negative, or no number that can be kept.
    """
    if dollars is None:
        return None
    if not 0 <= dollars <= MOST_DOLLARS:
        raise InvalidError(NO_SUM, "budget")
    return round(dollars * 1_000_000)


def _check_budget(budget_micro: int | None) -> None:
    if budget_micro is not None and not 0 <= budget_micro <= MOST_DOLLARS * 1_000_000:
        raise InvalidError(NO_SUM, "budget")


def _reached(one: Way | None) -> dict[str, Any]:
    if one is None:
        return {}
    facts = {"api_base": one.api_base, "key_variable": one.key_variable, "price": one.price}
    return {name: value for name, value in facts.items() if value is not None}


def read_way(model: str, reached: dict[str, Any], parameters: dict[str, Any]) -> Way:
    """Return what was stored of a model and how it is reached."""
    price = reached.get("price")
    return Way(model, reached.get("api_base"), reached.get("key_variable"), parameters, tuple(price) if price else None)


def judge_of(stored: str | None) -> Way | None:
    """Return the judge of a run as it was stored."""
    if stored is None:
        return None
    facts = orjson.loads(stored)
    return read_way(facts["model"], facts, facts["parameters"])


WORKED_ON = sa.text("SELECT 1 FROM eval_run WHERE id = :id AND ended_at IS NULL AND lease_until > :at")
CANCEL = sa.text(
    "UPDATE eval_run SET cancelled_at = :at WHERE id = :id AND ended_at IS NULL AND cancelled_at IS NULL RETURNING id"
)
REOPEN = sa.text(
    "UPDATE eval_run SET ended_at = NULL, outcome = NULL, cancelled_at = NULL,"
    " budget_micro = COALESCE(:budget, budget_micro) WHERE id = :id"
    " AND (ended_at IS NOT NULL OR cancelled_at IS NOT NULL) RETURNING id"
)


def cancel(session: Session, run_id: str, by: Actor) -> bool:
    """Stop a run: no call begins any more, what is under way is stored; False where it has ended or is stopping."""
    _mine(session, run_id, by)
    if session.connection().execute(CANCEL, {"id": run_id, "at": now()}).first() is None:
        return False
    record(session, f"evalrun/{run_id}", by.audit_name, Action.EVALRUN_CANCELLED, {})
    return True


def reopen(session: Session, run_id: str, by: Actor, *, budget_micro: int | None = None) -> int:
    """Let a run that has ended go on: with what is not stored, and what failed; perhaps with another budget.

    Returns the workflow that it belongs to.

    Raises:
        NotAllowedError: not an owner of the workflow.
        NotFoundError: there is no such run.
        InvalidError: the budget is no sum that can be kept.
        ConflictError: a process works on it at this moment.
    """
    workflow_id = _mine(session, run_id, by)
    _check_budget(budget_micro)
    if session.connection().execute(WORKED_ON, {"id": run_id, "at": now()}).first() is not None:
        raise ConflictError(GOES_ON)
    if session.connection().execute(REOPEN, {"id": run_id, "budget": budget_micro}).first() is not None:
        facts = {"reopened": True, "budget_micro": budget_micro}
        record(session, f"evalrun/{run_id}", by.audit_name, Action.EVALRUN_ASKED, facts)
    return workflow_id


def _mine(session: Session, run_id: str, by: Actor) -> int:
    workflow_id = hold(session, run_id)
    if workflow_id is None:
        raise NotFoundError("There is no such run.")
    by.require(Role.OWNER, workflow_id)
    return workflow_id


def hold(session: Session, run_id: str) -> int | None:
    """Let nobody else change a run until the transaction ends, and return whose it is; None where there is none."""
    connection = session.connection()
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    query = sa.text(f"SELECT workflow_id FROM eval_run WHERE id = :id{lock}")
    return connection.execute(query, {"id": run_id}).scalar()
