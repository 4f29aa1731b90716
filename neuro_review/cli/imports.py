"""`import`: outputs and labels of the past, out of a file or out of whatever arrives in a folder."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from db.engine import Database
from neuro_review.cli.base import open_database, operator, print_json, told
from neuro_review.errors import InvalidError, NeuroReviewError, UnavailableError
from neuro_review.imports.fields import Fields, mapping
from neuro_review.imports.run import Progress, Tally, import_file
from neuro_review.imports.traces.spans import Kind, Passed
from neuro_review.imports.watch import TAKEN, Folder

TURN_ON = {
    Kind.OTEL: "Texts are recorded only where the instrumentation is told to.",
    Kind.LANGFUSE: "Texts are not recorded where the SDK masks them or a tool alone was called.",
}
OF_TRACES = {Kind.OTEL: {"resourceSpans"}, Kind.LANGFUSE: {"traceId", "startTime"}}
"""Columns by which an export of traces is known that is imported as if it were rows."""
LOOKS_EVERY = 1.0
"""Seconds between two looks into a watched folder."""


def _fields(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Fields:
    try:
        return mapping(values)
    except InvalidError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--workflow", "-w", required=True, help="Into which workflow; it is made if there is none.")
@click.option("--model", help="Which model wrote the outputs, where a row does not say.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    callback=_fields,
    metavar="TARGET=COLUMN",
    help="Which column is which field: output=answer, prompt=request.text, metadata.team=team.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rows that cannot be used go, each with its reason; otherwise FILE.rejected.jsonl, and for - "
    "stdin.rejected.jsonl in the current folder.",
)
@click.option(
    "--watch",
    is_flag=True,
    help=f"FILE is a folder: take the files that arrive in it ({' '.join(TAKEN)}), until stopped.",
)
@click.option(
    "--from",
    "traces",
    type=click.Choice([str(kind) for kind in Kind]),
    help="FILE is an export of traces: every call of a model in it that holds its text.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
@told
def import_command(
    file: str, workflow: str, model: str | None, fields: Fields, rejected: Path | None, watch: bool,
    traces: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take the rows of FILE into a workflow: JSON lines, a JSON array, CSV or Parquet; - is standard input.

    Rows with a verdict are labels of the past; all others are held for review. Importing a file again adds nothing.

    A verdict is approve, correct or reject; approved, corrected and rejected are read as the same. A time is written
    like 2026-03-31T12:00:00Z, or as seconds since 1970.
    """
    if watch and rejected:
        raise click.UsageError("With --watch every file has its own file of rejected rows. Leave --rejected out.")
    if traces and fields.pairs:
        raise click.UsageError("With --from the fields are known. Leave --field out.")
    kind = Kind(traces) if traces else None
    options = {"workflow": workflow, "fields": fields, "model": model, "rejected": rejected, "traces": kind}
    tally = Tally()
    with _sigterm_stops():
        try:
            if watch:
                _watch(Folder(Path(file)), options, tally, quiet=as_json)
            else:
                _take(open_database(), file, options, tally)
        finally:
            if as_json:
                print_json(tally.counts())
            elif (tally.read or tally.passed) and not watch:
                click.echo(summary(tally))


def _take(database: Database, file: str | Path, options: dict[str, Any], tally: Tally) -> None:
    """Import one file, and say on stderr what a person should know of it."""
    with _bar() as show:
        try:
            import_file(database, file, by=operator(), tally=tally, progress=show, **options)
        finally:
            if tally.useless and tally.first and tally.read > tally.unreadable:
                rows = f"{tally.read:,} {'row' if tally.read == 1 else 'rows'}"
                first = f"line {tally.first.number}: {tally.first.reason}"
                click.echo(f"Not one of {rows} could be used; first: {first}", err=True)
            if tally.rejected_path:
                click.echo(f"Rows set aside, each with its reason: {tally.rejected_path}", err=True)


def _watch(folder: Folder, options: dict[str, Any], total: Tally, *, quiet: bool) -> None:
    """Take each file that arrives until somebody stops it."""
    database = open_database()
    click.echo(f"Watching {folder.path}. Stop with Ctrl+C.", err=True)
    try:
        while True:
            for path in folder.arrived():
                _take_arrived(database, folder, path, options, total, quiet=quiet)
            for path in folder.strangers():
                click.echo(f"{_name(path)} is ignored: it is called none of {' '.join(TAKEN)}.", err=True)
            time.sleep(LOOKS_EVERY)
    except KeyboardInterrupt:
        click.echo(f"Stopped. In all: {summary(total)}", err=True)


def _take_arrived(
    database: Database, folder: Folder, path: Path, options: dict[str, Any], total: Tally, *, quiet: bool
) -> None:
    """Import one file of a folder; what is wrong with it is no reason to pass by the next."""
    tally = Tally()
    try:
        _take(database, path, options, tally)
        folder.done(path)
    except UnavailableError as error:
        click.echo(f"{error} It is tried again in {folder.again(path):.0f} seconds.", err=True)
    except NeuroReviewError as error:
        click.echo(str(error), err=True)
    finally:
        total.add(tally)
    if tally.read or tally.passed:
        click.echo(f"{_name(path)}: {summary(tally)}", err=quiet)


def _name(path: Path) -> str:
    """Return a file's name as any terminal can show it."""
    return _shown(Path(path.name))


def _shown(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")


def summary(tally: Tally) -> str:
    """Return the counts as a sentence for a person."""
    parts = {
        "held for review": tally.held,
        "labels of the past": tally.history,
        "there already": tally.duplicates,
        "set aside": tally.rejected,
    }
    said = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count) or "nothing new"
    if tally.useless:
        where = f" in {_shown(tally.rejected_path)}" if tally.rejected_path else ""
        said = f"nothing came in, all of it is set aside{where} with the reasons"
    rows = f"{tally.read:,} {'row' if tally.read == 1 else 'rows'} read: {said}."
    return f"{rows} {_passed(tally.passed)}".rstrip() if tally.passed else rows


def _passed(passed: Passed) -> str:
    """Return what traces held beside rows, as sentences."""
    said = f"Of {passed.spans:,} spans {passed.other:,} are no call of a model." if passed.other else ""
    if calls := passed.without_text.total():
        names = ", ".join(f"{name} ({count:,})" for name, count in passed.without_text.most_common())
        said += f" {calls:,} {'call holds' if calls == 1 else 'calls hold'} no text: {names}. {TURN_ON[passed.kind]}"
    return said.strip()


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows progress, where somebody looks on, and names ignored columns."""
    bar: Any = None

    def show(progress: Progress) -> None:
        nonlocal bar
        if progress.ignored:
            names = ", ".join(progress.ignored)
            click.echo(
                f"Ignored, because they are no fields: {names}. Map one with --field output=COLUMN, or keep it with"
                " --field metadata.NAME=COLUMN.",
                err=True,
            )
            for kind, columns in OF_TRACES.items():
                if columns <= set(progress.ignored):
                    click.echo(f"This looks like an export of traces. Import it with --from {kind}.", err=True)
        if bar is None and progress.total and sys.stderr.isatty():
            bar = click.progressbar(length=progress.total, file=sys.stderr, show_pos=False)
            bar.__enter__()
        if bar is not None:
            bar.update(max(0, progress.done - bar.pos))

    try:
        yield show
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


@contextlib.contextmanager
def _sigterm_stops() -> Iterator[None]:
    """Stop on SIGTERM as on Ctrl+C: between two batches, or with the one at hand taken back."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: whoever runs us there looks after signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
