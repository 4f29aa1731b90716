"""`evalset`: labels frozen into versions of an eval set."""

from typing import Any

import click

from db.clock import iso
from db.tables import Verdict
from neuro_review.cli.base import open_database, operator, print_json, progress_bar, told
from neuro_review.cli.exports import Instant
from neuro_review.eval_sets import making, rows
from neuro_review.eval_sets.choosing import Stratum, Wanted
from neuro_review.eval_sets.rows import Version


@click.group("evalset")
def evalset_command() -> None:
    """Freeze labels into numbered versions of an eval set; see what is in them."""


@evalset_command.command("create")
@click.argument("name")
@click.option("--workflow", required=True, metavar="W", help="The workflow whose labels become cases.")
@click.option("--model", "models", multiple=True, metavar="M", help="Only outputs of this model; repeatable.")
@click.option("--verdict", "verdicts", multiple=True, type=click.Choice([str(one) for one in Verdict]))
@click.option("--reason", metavar="R", help="Only verdicts with this reason.")
@click.option("--since", type=Instant(), help="Only items submitted at or after this time (UTC).")
@click.option("--until", type=Instant(), help="Only items submitted before this time (UTC).")
@click.option("--panel-only", is_flag=True, help="Only the audit panel, which chance has chosen.")
@click.option("--sample", type=int, metavar="N", help="At most so many cases, drawn by chance.")
@click.option("--by", "stratum", type=click.Choice([str(one) for one in Stratum]), help="In equal shares of these.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the draw; the same seed, the same cases.")
@click.option("--held-out/--not-held-out", default=None, help="Keep it out of every training file.")
@click.option("--draft", is_flag=True, help="Leave it open; freeze it later.")
@click.option("--json", "as_json", is_flag=True, help="Print the version as JSON.")
@told
def create(
    name: str, workflow: str, models: tuple[str, ...], verdicts: tuple[str, ...], reason: str | None,
    since: int | None, until: int | None, panel_only: bool, sample: int | None, stratum: str | None, seed: int,
    held_out: bool | None, draft: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make the next version of the eval set NAME out of labels that can no longer be undone."""
    wanted = Wanted(
        models, tuple(map(Verdict, verdicts)), reason, since, until, panel_only, sample,
        Stratum(stratum) if stratum else None, seed,
    )  # fmt: skip
    more: dict[str, Any] = {"held_out": held_out, "freeze_it": not draft}
    database = open_database()
    with progress_bar("Choosing cases") as progress:
        made = making.make(database, operator(), name, " ".join(workflow.split()), wanted, progress=progress, **more)
    if as_json:
        print_json(as_dict(made))
    else:
        click.echo(_sentence(made))
        _tell("became no case", _counted(made.left_out))


@evalset_command.command("freeze")
@click.argument("ref", metavar="NAME@VERSION")
@told
def freeze(ref: str) -> None:
    """Freeze a draft: from then on nothing of it changes."""
    database = open_database()
    with database.writing() as session:
        making.freeze(session, rows.version(session, ref, operator()).id, operator())
    with database.reading() as session:
        click.echo(_sentence(rows.version(session, ref, operator())))


@evalset_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@told
def listed(as_json: bool) -> None:
    """List every version of every eval set."""
    with open_database().reading() as session:
        found = rows.listed(session, operator())
    if as_json:
        print_json([as_dict(one) for one in found])
        return
    for one in found:
        click.echo(_sentence(one))
    if not found:
        click.echo("There is no eval set yet. Make one with: evalset create NAME --workflow W.")


@evalset_command.command("show")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option("--cases", "with_cases", is_flag=True, help="With every case and its texts.")
@click.option("--against", metavar="NAME@VERSION", help="What differs from another version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def show(ref: str, with_cases: bool, against: str | None, as_json: bool) -> None:
    """Show a version: how it was chosen, what was left out, and what differs from another."""
    with open_database().reading() as session:
        one = rows.version(session, ref, operator())
        shown = as_dict(one) | {"asked": one.asked, "verdicts": rows.counts(session, one.id)}
        if against:
            other = rows.version(session, against, operator())
            differs = rows.difference(session, other.id, one.id)
            shown["against"] = {
                "version": other.ref, "added": len(differs.added), "removed": len(differs.removed),
                "changed": len(differs.changed), "same": differs.same,
            }  # fmt: skip
        if with_cases:
            shown["items"] = [vars(case) for case in rows.every_case(session, one.id)]
    if as_json:
        print_json(shown)
        return
    click.echo(_sentence(one))
    _tell("asked for", ", ".join(f"{name} {_value(value)}" for name, value in one.asked.items() if value))
    _tell("verdicts", _counted(shown["verdicts"]))
    _tell("became no case", _counted(one.left_out))
    if against:
        since: dict[str, Any] = dict(shown["against"])
        _tell(f"since {since.pop('version')}", _counted(since))
    for case in shown.get("items", []):
        click.echo(f"{case['position']:>6}  {case['verdict']:<8}{case['item_id']}  {(case['prompt'] or '')[:80]!r}")


def as_dict(one: Version) -> dict[str, Any]:
    """Return a version as a program reads it."""
    return {
        "set": one.name, "version": one.number, "workflow": one.workflow, "cases": one.cases, "hash": one.content_hash,
        "frozen": one.frozen_at is not None, "held_out": one.held_out, "left_out": one.left_out,
        "made_at": iso(one.made_at), "gates": one.gates,
    }  # fmt: skip


def _sentence(one: Version) -> str:
    draft = "draft" if one.is_whole else "draft, not whole: make another"
    state = f"frozen, {one.content_hash[:12]}" if one.content_hash else draft
    out = ", held out of training" if one.held_out else ""
    return f"{one.ref}: {one.cases:,} {'case' if one.cases == 1 else 'cases'} of “{one.workflow}” ({state}{out})"


def _tell(what: str, said: str) -> None:
    if said:
        click.echo(f"  {what}: {said}")


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{many:,} {what.replace('_', ' ')}" for what, many in found.items())


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
