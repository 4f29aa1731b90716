"""`quality`: how good each model is, with the numbers of the charts."""

from datetime import date
from typing import Any

import click

from neuro_review import phrases, workflows
from neuro_review.cli.base import open_database, operator, print_json, told
from neuro_review.quality import table
from neuro_review.quality.estimates import Estimate
from neuro_review.quality.periods import ALL_TIME, Per, Window
from neuro_review.quality.table import By, ReasonRow, Row

NOTHING = "Nothing was labelled here yet. Review some outputs, or import labels."
NOTHING_IN_WINDOW = "Nothing that came in on these days was labelled. Leave out --since and --until to see every day."


class Day(click.ParamType[date]):
    """A day."""

    name = "DAY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day, or say how one is written."""
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"“{value}” is not a day. Write it like 2026-03-31.", param, ctx)


@click.command("quality")
@click.option("--workflow", "workflow_name", required=True, metavar="W", help="Of which workflow.")
@click.option(
    "--by", "what", type=click.Choice([str(one) for one in By]), default="model", help="What a row stands for."
)
@click.option("--since", type=Day(), help="Only outputs that came in on or after this day (UTC).")
@click.option("--until", type=Day(), help="Only outputs that came in on or before this day (UTC).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@told
def quality_command(workflow_name: str, what: str, since: date | None, until: date | None, as_json: bool) -> None:
    """Show how many outputs are bad, with 95 % intervals, weighted for how the labels were chosen; days are UTC."""
    if since and until and since > until:
        raise click.UsageError(f"No day is between {since} and {until}. Give --since the earlier day.")
    by, window = By(what), Window.of(since, until)
    with open_database().reading() as session:
        flow = workflows.by_name(session, " ".join(workflow_name.split()))
        if by is By.REASON:
            bad_for = table.reasons(session, operator(), flow.id, window=window)
            _show(
                [table.reason_as_json(row) for row in bad_for] if as_json else None,
                [_reason(one) for one in bad_for],
                window,
            )
            return
        if by is By.REVIEWER:
            rows = table.reviewers(session, operator(), flow.id, window=window)
        else:
            per = Per.ALL if by is By.MODEL else Per(what)
            rows = table.rows(session, operator(), flow.id, per=per, split=by is By.MODEL, window=window)
    _show([table.as_json(by, row) for row in rows] if as_json else None, [_sentence(row) for row in rows], window)


def _show(values: list[dict[str, Any]] | None, lines: list[str], window: Window) -> None:
    if values is not None:
        print_json(values)
    else:
        click.echo("\n".join(lines) or (NOTHING if window == ALL_TIME else NOTHING_IN_WINDOW))


def _sentence(row: Row) -> str:
    cost = row.sums.mean_cost
    parts = [f"{row.key}: {shown(row.estimate)}", f"{row.labels:,} of {phrases.count(row.items, 'output')} labelled"]
    if cost is not None:
        parts.append(f"{phrases.money(round(cost))} each")
    if row.latency.known:
        half, most = (round(row.latency.percentile(share) or 0) for share in (0.5, 0.95))
        parts.append(f"latency {phrases.milliseconds(half)}, p95 {phrases.milliseconds(most)}")
    return ", ".join(parts)


def _reason(row: ReasonRow) -> str:
    return f"{row.reason}: {shown(row.estimate)}, {phrases.count(row.bad, 'output')} of {row.labels:,} labelled"


def shown(rate: Estimate) -> str:
    """Return a rate as people read it, or how much is missing for one."""
    if not rate.enough or rate.rate is None or rate.low is None or rate.high is None:
        return f"not enough labels yet ({rate.used:,}, {rate.needed:,} more needed)"
    return f"{rate.rate:.1%} bad ({rate.low:.1%} to {rate.high:.1%})"
