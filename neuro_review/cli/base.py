"""What every command shares: the database, the operator, and how a failure is told."""

import contextlib
import functools
import getpass
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import click
import orjson
import sqlalchemy as sa

from db.engine import Database, DatabaseUnusableError, database_url
from db.migrate import migrate
from neuro_review.access import Actor
from neuro_review.errors import NeuroReviewError

P = ParamSpec("P")
T = TypeVar("T")

REFUSED = 1


def open_database() -> Database:
    """Open the database of the environment, brought up to date."""
    database = Database(database_url())
    migrate(database)
    return database


def operator() -> Actor:
    """Return who acts at the command line; the operating system vouches for the name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = "unknown"
    return Actor(name=name, email=f"operator:{name}")


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Turn a refusal or a failure into one sentence on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (NeuroReviewError, DatabaseUnusableError) as error:
            click.echo(str(error) or type(error).__doc__, err=True)
        except sa.exc.IntegrityError:
            click.echo("Somebody else changed the same thing in this moment. Nothing was stored; try again.", err=True)
        except sa.exc.OperationalError as error:
            click.echo(f"The database failed: {type(error.orig).__name__}. Nothing of this step was stored.", err=True)
        except KeyboardInterrupt:
            click.echo("Stopped. What was reported as stored is stored; run the command again to go on.", err=True)
        sys.exit(REFUSED)

    return run


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function that shows how much is done, of how much, on a terminal; and None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show


def print_json(value: Any) -> None:
    """Print one JSON value on stdout, and nothing else."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()
