"""`backup`, `restore` and `move`."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from db import migrate
from db.engine import database_url
from neuro_review import backups
from neuro_review.backups import Done
from neuro_review.cli.base import print_json, told

NO_SECRET = "The secret is not in it. Keep it apart: NEURO_REVIEW_SECRET, or the file `secret` of the folder."
BRING_IT = (
    "The secret is not in it: bring the one of before (NEURO_REVIEW_SECRET, or the file `secret` of the folder), or"
    " receivers refuse the signatures of webhooks."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object: events, last_seal, bytes.")


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@JSON
@told
def backup_command(file: Path, as_json: bool) -> None:
    """Write everything to one checked file, of either engine, while the app runs; never the secret."""
    done = backups.backup(migrate.open_as_it_is(database_url()), file, _counter(as_json))
    _say(done, as_json, f"{file}: {done.bytes:,} bytes, {done.events:,} audit events checked. {NO_SECRET}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@JSON
@told
def restore_command(file: Path, as_json: bool) -> None:
    """Put a backup in place of a database that is empty or not there yet; stop the app first.

    The database is the one that NEURO_REVIEW_DATABASE_URL names. What holds data already is never replaced.
    """
    done = backups.restore(file, database_url(), _counter(as_json))
    _say(done, as_json, f"{file} is restored: {done.events:,} audit events checked. {BRING_IT}")


@click.command("move")
@click.option("--to", required=True, metavar="URL", help="postgresql://user:password@host/name, empty.")
@JSON
@told
def move_command(to: str, as_json: bool) -> None:
    """Copy everything to PostgreSQL, all or nothing; stop the app first, and set the address afterwards."""
    done = backups.move(migrate.open_as_it_is(database_url()), to, _counter(as_json))
    _say(
        done, as_json,
        f"Everything is there: {done.events:,} audit events checked. Set NEURO_REVIEW_DATABASE_URL to that address"
        " and start the app; the old database stays as it is.",
    )  # fmt: skip


def _counter(quiet: bool) -> Callable[[int], None]:
    if quiet or not sys.stderr.isatty():
        return lambda rows: None
    return lambda rows: click.echo(f"\r{rows:,} rows", nl=False, err=True)


def _say(done: Done, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json({"events": done.events, "last_seal": done.last_seal, "bytes": done.bytes})
    else:
        click.echo(sentence)
