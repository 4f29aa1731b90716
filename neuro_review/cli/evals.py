"""`eval`: candidates tried on an eval set, compared, and asked of the gate."""

from pathlib import Path
from typing import Any

import click
import orjson

from db.tables import GateOutcome
from neuro_review import phrases, scorers
from neuro_review.cli.base import open_database, operator, print_json, progress_bar, told
from neuro_review.errors import UnavailableError
from neuro_review.eval_runs import asking, comparing, failing, gates, judges, outcomes, reviewing, rows
from neuro_review.eval_runs import run as runs
from neuro_review.eval_runs.asking import Asked
from neuro_review.eval_runs.comparing import Comparison
from neuro_review.eval_runs.junit import junit
from neuro_review.llm import Way

EXITS = {GateOutcome.PASS: 0, GateOutcome.BLOCK: 1, GateOutcome.INCONCLUSIVE: 3}


@click.group("eval")
def eval_command() -> None:
    """Try models on an eval set, compare them, ask the gate."""


class Price(click.ParamType[tuple[float, float]]):
    """Dollars for a million tokens in, and out."""

    name = "IN,OUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the two prices, or say how they are written."""
        try:
            one, other = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(
                f"“{value}” is no price. Write dollars for a million tokens in and out, like 0.15,0.6.", param, ctx
            )
        return one, other


class Json(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Return the object, or say that it is none."""
        try:
            read = orjson.loads(str(value))
        except orjson.JSONDecodeError:
            read = None
        if not isinstance(read, dict):
            self.fail(f'“{value}” is no JSON object, like {{"temperature": 0}}.', param, ctx)
        return read


@eval_command.command("run")
@click.argument("ref", metavar="NAME@VERSION", required=False)
@click.option(
    "--model", "models", multiple=True, metavar="M", help=f"A LiteLLM model, or {asking.RECORDED}; repeatable."
)
@click.option("--api-base", metavar="URL", help="Where an OpenAI-compatible server answers.")
@click.option("--endpoint", metavar="E", help="One of NEURO_REVIEW_ENDPOINTS instead.")
@click.option("--key-variable", metavar="V", help="The environment variable that holds the key.")
@click.option("--parameters", type=Json(), help="How the models are called, like '{\"temperature\": 0}'.")
@click.option("--price", type=Price(), help="Dollars for a million tokens in and out, of models without a known price.")
@click.option("--scorer", "scorer_names", multiple=True, metavar="S", help="Repeatable; f1 and must_not by default.")
@click.option("--judge", metavar="M", help="The model that judges; adds the scorer judge.")
@click.option("--judge-api-base", metavar="URL", help="Where the judge answers; that of the models by default.")
@click.option("--repeats", type=int, default=1, show_default=True)
@click.option("--budget", type=float, metavar="USD", help="Begin no call once so much is spent.")
@click.option("--at-once", type=int, default=asking.AT_ONCE, show_default=True, help="Calls to one provider at a time.")
@click.option("--resume", metavar="RUN", help="Go on with a run: what is missing or failed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@told
def run(
    ref: str | None, models: tuple[str, ...], scorer_names: tuple[str, ...], judge: str | None,
    judge_api_base: str | None, repeats: int, budget: float | None, at_once: int, resume: str | None, as_json: bool,
    **reached: Any,
) -> None:  # fmt: skip
    """Try models on a frozen version; stopped anywhere, it goes on with --resume and pays for no answer twice."""
    if bool(ref) == bool(resume) or (ref and not models):
        raise click.UsageError("Name a version and at least one --model, or a run to --resume.")
    database, micro = open_database(), asking.micro(budget)
    with database.writing() as session:
        if resume:
            run_id = rows.run(session, resume, operator()).id
            asking.reopen(session, run_id, operator(), budget_micro=micro)
        else:
            candidates = tuple(asking.way(one, **reached) for one in models)
            judging = _judge(judge, judge_api_base, reached)
            names = scorer_names or scorers.DEFAULT
            if judging and scorers.JUDGE not in names:
                names = (*names, scorers.JUDGE)
            asked = Asked(candidates, names, judging, repeats, micro, at_once)
            run_id = asking.ask(session, operator(), ref or "", asked)
    click.echo(f"Run {run_id}. If it is stopped: eval run --resume {run_id[:12]}", err=True)
    with progress_bar("Asking") as show:
        runs.work_on(database, run_id, told=lambda done, of, _counts: show(done, of or 1) if show else None)
    with database.reading() as session:
        done = rows.run(session, run_id, operator())
        failed = rows.failures(session, run_id)
    if as_json:
        print_json(as_dict(done))
    else:
        click.echo(_sentence(done))
    for one in failed:
        click.echo(f"{phrases.count(one.answers, 'answer')} of {one.model} failed: {one.error}."
                   f" {failing.advice(one.error)}", err=True)  # fmt: skip


def _judge(model: str | None, api_base: str | None, reached: dict[str, Any]) -> Way | None:
    if model is None:
        return None
    where = {name: value for name, value in reached.items() if name != "parameters"}
    if api_base is not None:
        where |= {"api_base": api_base, "endpoint": None}
    return asking.way(model, parameters={"temperature": 0}, **where)


def as_dict(done: rows.Run) -> dict[str, Any]:
    """Return a run as a program reads it."""
    return {
        "run": done.id, "cases": done.cases, "ok": done.done - done.errors, "errors": done.errors,
        "cost_usd": None if done.unknown_cost else done.cost_micro / 1_000_000, "outcome": done.outcome,
        "version": done.version, "models": done.models,
    }  # fmt: skip


def _sentence(done: rows.Run) -> str:
    unknown = f", and {done.unknown_cost:,} answers of unknown cost" if done.unknown_cost else ""
    ok = done.done - done.errors
    state = done.outcome or ("under way" if done.is_worked_on else "stopped; go on with --resume")
    return (
        f"{done.id[:12]} {done.version} {', '.join(done.models)}: {ok:,} of {done.total:,} answers,"
        f" {done.errors:,} failed, ${done.cost_micro / 1_000_000:,.4f}{unknown} ({state})"
    )


@eval_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@told
def listed(as_json: bool) -> None:
    """List the runs, the newest first."""
    with open_database().reading() as session:
        found = rows.listed(session, operator())
    if as_json:
        print_json([as_dict(one) for one in found])
        return
    for one in found:
        click.echo(_sentence(one))


@eval_command.command("cancel")
@click.argument("ref", metavar="RUN")
@told
def cancel(ref: str) -> None:
    """Stop a run: no call begins any more, what it has stays."""
    with open_database().writing() as session:
        found = asking.cancel(session, rows.run(session, ref, operator()).id, operator())
    click.echo("It stops." if found else "It has ended already, or is stopping.")


@eval_command.command("compare")
@click.argument("baseline", metavar="A")
@click.argument("candidates", metavar="B...", nargs=-1, required=True)
@click.option("--on", "version", metavar="NAME[@VERSION]", help="The version, where A and B are names of models.")
@click.option("--scorer", metavar="S", help="Only by this scorer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or for several B an array.")
@told
def compare(baseline: str, candidates: tuple[str, ...], version: str | None, scorer: str | None, as_json: bool) -> None:
    """Compare B with A on the same cases; each is a RUN, a RUN/MODEL, or a model that was tried.

    Of several B each is compared with A, and its p-value is corrected for all of them (Holm).
    """
    with open_database().reading() as session:
        found = comparing.several(session, operator(), baseline, candidates, version=version, scorer=scorer)
    if as_json:
        print_json([one.as_dict() for one in found] if len(found) > 1 else found[0].comparison.as_dict())
        return
    for one in found:
        _print_comparison(one.comparison)
        if len(found) > 1:
            click.echo(f"p {one.p:.3g}, corrected for {len(found)} candidates {one.corrected:.3g}")


def _print_comparison(found: Comparison) -> None:
    for name, side in (("A", found.baseline), ("B", found.candidate)):
        cost = "cost unknown" if side.cost_micro is None else f"${side.cost_micro / 1_000_000:,.4f}"
        share = f"{100 * side.bad / side.known:.1f} % bad of {side.known:,}" if side.known else "no outcome"
        click.echo(f"{name} {side.model}: {share}, {side.errors:,} failed, {cost}, p50 {side.latency_ms_p50} ms")
    if found.difference is None:
        click.echo("There is no case of which both outcomes are known.")
        return
    rate, low, high = (100 * one for one in found.difference)
    click.echo(f"B − A: {rate:+.1f} points ({low:+.1f} to {high:+.1f}, 95 %), {found.cases:,} of {found.of:,} cases")
    click.echo(f"better on {found.wins:,}, worse on {found.losses:,}, alike on {found.ties:,}")
    for one in found.reasons:
        click.echo(f"  {one.name}: {one.cases:,} cases, A {one.baseline_bad:,} bad, B {one.candidate_bad:,} bad")


@eval_command.command("gate")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option("--baseline", required=True, metavar="A", help="A model that was tried, a RUN or a RUN/MODEL.")
@click.option("--candidate", required=True, metavar="B")
@click.option("--margin", required=True, type=float, help="How much worse is still no worse, like 0.03.")
@click.option("--scorer", metavar="S", help="Only by this scorer.")
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def gate(ctx: click.Context, /, **asked: Any) -> None:
    """May B take the place of A? Exit 0 pass, 1 block (or refused), 3 cannot be told yet."""
    ctx.exit(EXITS[_gate(**asked)])


@told
def _gate(
    ref: str, baseline: str, candidate: str, margin: float, scorer: str | None, junit_file: Path | None, as_json: bool
) -> GateOutcome:
    said = gates.ask_in_steps(
        open_database(), operator(), ref, baseline=baseline, candidate=candidate, margin=margin, scorer=scorer
    )
    if junit_file is not None:
        try:
            junit_file.write_bytes(junit(said, suite=ref))
        except OSError as error:
            raise UnavailableError(f"{junit_file} cannot be written: {error.strerror}. Name another file.") from error
    if as_json:
        print_json(said.as_dict())
    else:
        click.echo(f"{said.outcome.upper()}: {said.why}")
    if said.asked_before >= gates.WORN_AFTER:
        click.echo(f"This version was asked {said.asked_before} times before; make one with new cases.", err=True)
    return said.outcome


@eval_command.command("review")
@click.argument("ref", metavar="RUN/MODEL")
@click.option("--many", type=int, default=50, show_default=True, help="How many answers, drawn by chance.")
@told
def review(ref: str, many: int) -> None:
    """Put answers of a candidate before the reviewers, who are not told whose they are."""
    with open_database().writing() as session:
        put = reviewing.put(session, operator(), outcomes.find(session, operator(), ref), many=many)
    click.echo(f"{put:,} answers wait on Review.")


@eval_command.command("judges")
@click.option("--workflow", required=True, metavar="W")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@told
def judge_cards(workflow: str, as_json: bool) -> None:
    """Show how far each judge of a workflow agrees with its reviewers, and whether it is fit."""
    from neuro_review import workflows  # noqa: PLC0415 - for this command only

    with open_database().reading() as session:
        flow = workflows.by_name(session, " ".join(workflow.split()))
        found = judges.cards(session, operator(), flow.id)
    if as_json:
        print_json([_card(one) for one in found])
        return
    for card in found:
        click.echo(f"{card.model}: {'fit' if card.fit else f'unfit. {card.why_not}'}")
        for one in (card.all, *card.models):
            click.echo(f"  {one.model or 'all'}: {_shares(one)}")
    if not found:
        click.echo("No judge was asked yet: eval run NAME@VERSION --model recorded --judge MODEL.")


def _shares(one: judges.Agreement) -> str:
    named = (("finds of what is bad", one.sensitivity), ("lets pass of what is good", one.specificity))
    said = [f"{name} {100 * i.rate:.0f} % ({100 * i.low:.0f}–{100 * i.high:.0f})" for name, i in named if i]
    kappa = [f"kappa {one.kappa.rate:.2f} ({one.kappa.low:.2f} to {one.kappa.high:.2f})"] if one.kappa else []
    return "; ".join([f"{one.outputs:,} outputs, {one.bad:,} bad", *said, *kappa, f"{one.unparsed:,} not understood"])


def _card(card: judges.Card) -> dict[str, Any]:
    def agreement(one: judges.Agreement) -> dict[str, Any]:
        return {
            name: value and value._asdict() if hasattr(value, "_asdict") else value for name, value in vars(one).items()
        }

    return {
        "model": card.model, "hash": card.hash, "fit": card.fit, "why_not": card.why_not, "people": card.people,
        "all": agreement(card.all), "models": [agreement(one) for one in card.models],
    }  # fmt: skip
