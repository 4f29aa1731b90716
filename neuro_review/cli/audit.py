"""`verify-audit`: check the audit chain against everything stored."""

import sys
from typing import Any

import click

from db import migrate
from db.clock import iso
from db.engine import Database
from neuro_review.cli.base import REFUSED, open_database, print_json, told
from neuro_review.verify import Broken, verify


def _as_dict(broken: Broken) -> dict[str, Any]:
    return {"stream": broken.stream, "seq": broken.seq, "at": iso(broken.at), "what": broken.what}


@click.command("verify-audit")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: events, ok, first_broken.")
@click.option("--restore-guards", is_flag=True, help="Put missing triggers back, where every event fits.")
@told
def verify_audit_command(as_json: bool, restore_guards: bool) -> None:
    """Check every audit event, the rows it speaks of and the seals; exit 1 where something does not fit."""
    database = open_database(without_guards=True)
    quiet = as_json or not sys.stderr.isatty()
    report = verify(database, lambda events: None if quiet else click.echo(f"\r{events:,} events", nl=False, err=True))
    first = report.first
    if as_json:
        print_json({"events": report.events, "ok": first is None, "first_broken": _as_dict(first) if first else None})
    elif first is None:
        click.echo(f"{report.events:,} events checked: every one fits.")
    else:
        click.echo(f"{report.events:,} events checked. First that does not fit, of {iso(first.at)}:")
        click.echo(f"{first.stream} number {first.seq}: {first.what}")
        click.echo("Stop the app, keep this database as it is, and restore the last backup that verifies.")
    _guards(database, restore_guards and first is None)
    if first is not None:
        sys.exit(REFUSED)


def _guards(database: Database, restore: bool) -> None:
    absent = migrate.missing_guards(database)
    if absent and restore:
        migrate.restore_guards(database)
        click.echo(f"{len(absent)} guards were missing and are back in place.", err=True)
    elif absent:
        click.echo(f"{len(absent)} guards are missing or switched off, first {absent[0]}.", err=True)
