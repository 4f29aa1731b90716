"""`user` and `workflow`: who works here, and on what."""

import sys

import click

from db.tables import Role
from neuro_review import access, people, workflows
from neuro_review.cli.base import open_database, operator, print_json, told
from neuro_review.cli.models import model_command
from neuro_review.errors import InvalidError

ROLES = (Role.REVIEWER, Role.OWNER, Role.ADMIN)


@click.group("user")
def user_command() -> None:
    """Add people, see who is here, change a password, close an account."""


def _typed_password() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InvalidError("No password came on standard input. Pipe it in, or type it and press Enter.", "password")
    return password


@user_command.command("add")
@click.argument("name")
@click.option("--email", required=True, help="How the person signs in.")
@click.option("--role", type=click.Choice([str(one) for one in ROLES]), required=True)
@click.option("--workflow", "workflow_name", help="Give the role in this workflow only.")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def user_add(name: str, email: str, role: str, workflow_name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Add a person; the password comes from standard input, so that no process list shows it."""
    from neuro_review import sessions  # noqa: PLC0415 - argon2 is needed by this command only

    hashed = sessions.hash_password(_typed_password(), email)
    database = open_database()
    with database.writing() as session:
        workflow_id = workflows.by_name(session, workflow_name).id if workflow_name else None
        person_id = access.add_person(
            session, operator(), name, email, Role(role), password_hash=hashed, workflow_id=workflow_id
        )
    if as_json:
        print_json({"person": person_id, "email": access.clean_email(email), "role": role})
    else:
        click.echo(f"{name} can sign in as {access.clean_email(email)}.")


@user_command.command("password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the new password from standard input.")
@told
def user_password(email: str, password_stdin: bool) -> None:
    """Give somebody a new password; they are signed out everywhere."""
    from neuro_review import sessions  # noqa: PLC0415 - argon2 is needed by this command only

    hashed = sessions.hash_password(_typed_password(), email)
    database = open_database()
    with database.writing() as session:
        people.set_password(session, operator(), access.person_by_email(session, email), hashed)
    click.echo(f"{email} has a new password and is signed out everywhere.")


@user_command.command("disable")
@click.argument("email")
@told
def user_disable(email: str) -> None:
    """Close somebody's account; their verdicts stand."""
    database = open_database()
    with database.writing() as session:
        people.disable(session, operator(), access.person_by_email(session, email))
    click.echo(f"{email} can no longer sign in. What they held is back in the queue.")


@user_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@told
def user_list(as_json: bool) -> None:
    """Say who is here, and with which roles."""
    with open_database().reading() as session:
        members = sorted(people.everybody(session, operator()), key=lambda one: one.email)
    if as_json:
        print_json([{"email": m.email, "name": m.name, "roles": m.roles, "in_use": m.in_use} for m in members])
        return
    for one in members:
        click.echo(f"{one.email}  {one.name}  {one.roles or 'no role'}{'' if one.in_use else '  (closed)'}")


@click.group("workflow")
def workflow_command() -> None:
    """Add workflows, and say which model their applications call."""


workflow_command.add_command(model_command)


@workflow_command.command("add")
@click.argument("name")
@click.option("--owner", "owner_email", required=True, help="The e-mail of the person who answers for it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def workflow_add(name: str, owner_email: str, as_json: bool) -> None:
    """Add a workflow with an owner."""
    database = open_database()
    with database.writing() as session:
        owner_id = access.person_by_email(session, owner_email)
        flow = workflows.add(session, operator(), name, owner_id=owner_id)
    if as_json:
        print_json({"workflow": flow.name, "owner": owner_email.strip().lower()})
    else:
        click.echo(f"The workflow “{flow.name}” is there; {owner_email} answers for it.")
