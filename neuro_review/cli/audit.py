"""`verify-audit`: check the audit chain against everything stored."""

import sys
from typing import Any

import click

from db import migrate
from db.clock import iso
from db.engine import database_url
from neuro_review.cli.base import REFUSED, print_json, told
from neuro_review.verify import Broken, Report, verify


@click.command("verify-audit")
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print one JSON object: events, ok, first_broken, guards_missing, strangers, last_seal.",
)  # fmt: skip
@click.option("--restore-guards", is_flag=True, help="Put missing triggers back, where every event fits.")
@told
def verify_audit_command(as_json: bool, restore_guards: bool) -> None:
    """Check every audit event, the rows it speaks of, the seals and the guards; exit 1 where something does not fit.

    Keep the hash of the last seal outside this machine: that the newest items were deleted together with the seals
    over them shows only in that a hash you have kept is no longer in the table `seal`.
    """
    database = migrate.open_as_it_is(database_url())
    quiet = as_json or not sys.stderr.isatty()
    report = verify(database, lambda events: None if quiet else click.echo(f"\r{events:,} events", nl=False, err=True))
    absent = migrate.missing_guards(database)
    if absent and restore_guards and report.first is None:
        migrate.restore_guards(database)
        click.echo(f"{_guards(absent)} missing or switched off, and now back in place.", err=True)
        absent = []
    others = migrate.strangers(database)
    ok = report.first is None and not absent and not others
    if as_json:
        first = _as_dict(report.first) if report.first else None
        seal = {"guards_missing": len(absent), "strangers": others, "last_seal": report.last_seal}
        print_json({"events": report.events, "ok": ok, "first_broken": first, **seal})
    else:
        _tell(report, absent, others)
    if not ok:
        sys.exit(REFUSED)


def _as_dict(broken: Broken) -> dict[str, Any]:
    return {"stream": broken.stream, "seq": broken.seq, "at": iso(broken.at), "what": broken.what}


def _guards(absent: list[str]) -> str:
    return f"{len(absent)} guard was" if len(absent) == 1 else f"{len(absent)} guards were"


def _tell(report: Report, absent: list[str], others: list[str]) -> None:
    first = report.first
    if first is None:
        click.echo(f"{report.events:,} events checked: every one fits.")
    else:
        click.echo(f"{report.events:,} events checked, {report.found:,} do not fit. The first, of {iso(first.at)}:")
        click.echo(f"{first.stream} number {first.seq}: {first.what}")
        click.echo("Stop the app, keep this database as it is, and restore the last backup that verifies.")
    if absent:
        click.echo(f"{_guards(absent)} missing or switched off, first {absent[0]}.")
        if first is None:
            click.echo("Find out who changed the schema, then put them back with --restore-guards.")
    for other in others:
        click.echo(
            f"Not ours: {other}. Find out who put it there, and remove it: it can change what our guards passed."
        )
    click.echo(f"Last seal: {report.last_seal or 'none yet'}" + (" (keep it outside)." if report.last_seal else "."))
