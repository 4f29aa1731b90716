"""`check-counts`: whether the counts behind the charts are what the rows say."""

import sys

import click

from neuro_review import workflows
from neuro_review.cli.base import REFUSED, open_database, print_json, told
from neuro_review.quality import keeping
from neuro_review.rollups.checking import Difference


@click.command("check-counts")
@click.option("--workflow", "workflow_name", metavar="W", help="Only of this workflow.")
@click.option("--repair", is_flag=True, help="Put right what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: workflows, differences, repaired.")
@told
def check_counts_command(workflow_name: str | None, repair: bool, as_json: bool) -> None:
    """Count everything anew and compare; exit 1 where a count is wrong and was not put right."""
    database = open_database()
    with database.reading() as session:
        only = workflows.by_name(session, workflow_name).id if workflow_name else None
    found: list[Difference] = []
    looked_at = keeping.flows(database, only)
    for flow in looked_at:
        days = keeping.span(database, flow)
        if days is not None:
            wrong = keeping.check(database, *days, workflow_id=flow)
            if repair and wrong:
                keeping.repair(database, wrong)
            found += wrong
    if as_json:
        print_json({"workflows": len(looked_at), "differences": len(found), "repaired": repair and bool(found)})
    elif not found:
        click.echo("Every count is what the rows say.")
    else:
        click.echo(keeping.sentence(found) + (" All were put right." if repair else " Put right with --repair."))
    if found and not repair:
        sys.exit(REFUSED)
