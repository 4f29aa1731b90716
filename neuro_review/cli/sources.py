"""`source`: the applications that hand outputs in, and their keys."""

import click

from neuro_review import sources, workflows
from neuro_review.cli.base import open_database, operator, print_json, told


@click.group("source")
def source_command() -> None:
    """Add applications that hand outputs in."""


@source_command.command("add")
@click.argument("name")
@click.option("--workflow", "workflow_name", required=True, help="The workflow that its outputs go to.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def source_add(name: str, workflow_name: str, as_json: bool) -> None:
    """Add an application and print its key, which is shown this once."""
    database = open_database()
    with database.writing() as session:
        flow = workflows.by_name(session, " ".join(workflow_name.split()))
        made = sources.add(session, operator(), name, flow.id)
    if as_json:
        print_json({"source": made.source, "key": made.key})
        return
    click.echo(f"The key of “{made.source}” for “{made.workflow}”; it is shown this once:", err=True)
    click.echo(made.key)
