"""`export`: the labels of a workflow, to a file or into a pipe."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from db.clock import parse_iso
from db.tables import Verdict
from neuro_review import phrases
from neuro_review.cli.base import open_database, operator, print_json, progress_bar, told
from neuro_review.errors import UnavailableError
from neuro_review.exports.formats import Format
from neuro_review.exports.lines import MEANS, Left
from neuro_review.exports.rows import Filter
from neuro_review.exports.run import Written, stream, write

STDOUT = "-"


class Instant(click.ParamType[int]):
    """A date, or a date and time, as microseconds."""

    name = "ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the instant, or say how one is written."""
        try:
            return parse_iso(str(value))
        except ValueError:
            self.fail(f"“{value}” is not a date. Write it like 2026-03-31 or 2026-03-31T12:00:00Z.", param, ctx)


@click.command("export")
@click.option("--workflow", required=True, metavar="W", help="The workflow whose reviews are written.")
@click.option("--format", "form", required=True, type=click.Choice([str(one) for one in Format]), help="The format.")
@click.option("--out", required=True, metavar="FILE", help="Where to; - is the standard output (not for Parquet).")
@click.option("--since", type=Instant(), help="Only items submitted at or after this time (UTC).")
@click.option("--until", type=Instant(), help="Only items submitted before this time (UTC).")
@click.option("--model", metavar="M", help="Only outputs of this model.")
@click.option("--verdict", type=click.Choice([str(one) for one in Verdict]), help="Only reviews with this verdict.")
@click.option("--reviewer", metavar="R", help="Only reviews of this reviewer (the e-mail address, or the file's name).")
@click.option("--held-out", is_flag=True, help="Only items that are cases of a held-out eval set; never for training.")
@click.option("--set", "eval_set", metavar="NAME@N", help="The cases of a version of an eval set, instead of reviews.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@told
def export_command(
    workflow: str, form: str, out: str, since: int | None, until: int | None, model: str | None, verdict: str | None,
    reviewer: str | None, held_out: bool, eval_set: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write the reviews of a workflow to FILE, and FILE.manifest.json that says what it holds.

    jsonl, csv and parquet hold every review with all columns. The others hold the labels as another tool reads them:
    what it cannot use is left out and counted; sft, dpo and trl-* never hold what a held-out eval set holds.
    """
    if out == STDOUT and form == Format.PARQUET:
        raise click.UsageError("Parquet cannot be written to the standard output. Name a file, or choose jsonl or csv.")
    if out == STDOUT and as_json:
        raise click.UsageError("The standard output takes the rows or the JSON, not both. Name a file for the rows.")
    choice = Filter(since, until, model, Verdict(verdict) if verdict else None, reviewer, held_out or None)
    database = open_database()
    with progress_bar("Exporting") as progress:
        more: dict[str, Any] = {"choice": choice, "eval_set": eval_set, "progress": progress}
        if out == STDOUT:
            done = _to_stdout(database, workflow, Format(form), more)
        else:
            done = write(database, operator(), workflow, Format(form), Path(out), **more)
    if as_json:
        left = {} if done.format.is_table else {"left_out": dict(done.left_out)}
        print_json(
            {"rows": done.rows, "file": str(done.file), "manifest": str(done.manifest), "format": str(done.format)}
            | left
        )
    else:
        click.echo(_sentence(workflow, done), err=out == STDOUT)


def _to_stdout(database: Any, workflow: str, form: Format, more: dict[str, Any]) -> Written:
    to = sys.stdout.buffer
    try:
        return stream(database, operator(), workflow, form, to, **more)
    except UnavailableError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            # Python flushes the output once more when it ends, and would complain where nobody reads.
            os.dup2(os.open(os.devnull, os.O_WRONLY), to.fileno())
        raise


def _sentence(workflow: str, done: Written) -> str:
    where = f" to {done.file}, and what it holds to {done.manifest}" if done.file else ""
    left = "".join(f"\nLeft out: {done.left_out[why]:,}. {MEANS[why]}" for why in Left if done.left_out[why])
    if not done.rows:
        return f"Nothing to export: {done.nothing} Wrote no row of “{workflow}”{where}.{left}"
    what = phrases.count(done.rows, "review" if done.format.is_table else "line")
    labels = "" if done.format.is_table else f", from {phrases.count(done.verdicts.total(), 'label')}"
    return f"Wrote {what}{labels} of “{workflow}”{where}.{left}"
