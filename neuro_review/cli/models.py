"""`workflow model`: which model the applications of a workflow are told to call, and how another takes its place."""

from typing import Any

import click
import orjson

from neuro_review import models, workflows
from neuro_review.cli.base import open_database, operator, print_json, told
from neuro_review.errors import NotFoundError
from neuro_review.models import Use


def _parameters(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise click.BadParameter('write a JSON object, like {"temperature": 0}')
    return given


@click.command("model")
@click.argument("workflow")
@click.option("--use", "model", help="Let this model take the place of the one in use, named as LiteLLM does.")
@click.option("--parameters", callback=_parameters, help="How it is called: a JSON object; by a gate as it was tried.")
@click.option("--gate", "gate_id", help="The gate that passed for it.")
@click.option("--reason", help="Why it takes its place without a gate.")
@click.option("--back", is_flag=True, help="Go back to the model before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def model_command(
    workflow: str, model: str | None, parameters: dict[str, Any] | None, gate_id: str | None, reason: str | None,
    back: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say which model is in use; with --use or --back, change it. Applications follow without a restart."""
    if back and model:
        raise click.UsageError("Either --use another model or go --back, not both.")
    with open_database().writing() as session:
        flow = workflows.find(session, workflow)
        if flow is None:
            raise NotFoundError(f"There is no workflow “{workflow}”.")
        now: Use | None
        if model:
            now = models.promote(
                session, flow.id, operator(), model=model, parameters=parameters, gate_id=gate_id, reason=reason
            )
        else:
            now = models.roll_back(session, flow.id, operator()) if back else models.in_use(session, flow.id)
    if as_json:
        print_json(_facts(flow.name, now))
    else:
        click.echo(f"{flow.name}: {now.model}, version {now.seq}" if now else f"{flow.name}: no model is named yet.")


def _facts(workflow: str, use: Use | None) -> dict[str, Any]:
    return {
        "workflow": workflow, "version": use.seq if use else 0, "model": use.model if use else None,
        "parameters": use.parameters if use else {}, "reason": use.reason if use else None,
        "gate": use.gate_id if use else None,
    }  # fmt: skip
