"""What a run costs, and may cost: what nobody knows is never nothing, and no number is taken that cannot be kept."""

import pytest

from db.engine import Database
from neuro_review import scorers
from neuro_review.errors import InvalidError
from neuro_review.eval_runs import asking, comparing, run
from neuro_review.eval_runs import rows as run_rows
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_sets.rows import Version
from neuro_review.llm import Way
from tests.conftest import OPERATOR
from tests.evals.conftest import label
from tests.evals.test_eval_runs import Make, Record, at, llm, served  # noqa: F401 - fixtures
from tests.llm_server import LanguageModel

FINE = '{"reason": "because", "verdict": "good"}'


def ask_judge(db: Database, version: Version, llm: LanguageModel, budget_micro: int | None = None) -> str:  # noqa: F811
    """Ask for a run in which a judge with a price looks at what was reviewed."""
    llm.answer, llm.tells_usage = lambda asked: FINE, False
    judge = at(llm, "openai/judge", price=(10.0, 10.0))
    names = (*scorers.DEFAULT, scorers.JUDGE)
    with db.writing() as session:
        asked = Asked((Way(RECORDED),), names, judge, budget_micro=budget_micro, at_once=1)
        return asking.ask(session, OPERATOR, version.ref, asked)


def test_what_a_judge_cost_is_unknown_where_its_server_tells_no_tokens(
    db: Database, record: Record, make: Make, llm: LanguageModel  # noqa: F811
) -> None:  # fmt: skip
    record([label(n) for n in range(8)])
    run_id = ask_judge(db, make(), llm)

    counts = run.work_on(db, run_id)

    with db.reading() as session:
        found = run_rows.run(session, run_id, OPERATOR)
        side = comparing.compare(session, OPERATOR, run_id, run_id).candidate
    assert (counts["unknown_cost"], found.unknown_cost, found.cost_micro) == (8, 8, 0)
    assert side.cost_micro is None


def test_no_budget_is_kept_with_a_judge_whose_server_tells_no_tokens(
    db: Database, record: Record, make: Make, llm: LanguageModel  # noqa: F811
) -> None:  # fmt: skip
    record([label(n) for n in range(8)])
    run_id = ask_judge(db, make(), llm, budget_micro=1_000_000)

    for _ in range(2):
        with pytest.raises(InvalidError, match="no budget can be kept"):
            run.work_on(db, run_id)

    assert len(llm.requests) == 1


@pytest.mark.parametrize("tokens", [-1_000_000, 10**30])
def test_what_a_server_cannot_have_counted_is_unknown_and_saves_no_budget(
    db: Database, record: Record, make: Make, llm: LanguageModel, tokens: int  # noqa: F811
) -> None:  # fmt: skip
    record([label(n) for n in range(8)])
    llm.tokens = tokens
    version, model = make(), at(llm, price=(10.0, 10.0))
    with db.writing() as session:
        free = asking.ask(session, OPERATOR, version.ref, Asked((model,)))
        bound = asking.ask(session, OPERATOR, version.ref, Asked((model,), budget_micro=1_000_000, at_once=1))

    counts = run.work_on(db, free)
    asked_before = len(llm.requests)
    with pytest.raises(InvalidError, match="no budget can be kept"):
        run.work_on(db, bound)

    assert (counts["ok"], counts["unknown_cost"], counts["cost_micro"]) == (8, 8, 0)
    assert len(llm.requests) == asked_before + 1


@pytest.mark.parametrize("dollars", [-1.0, 1e12, float("nan"), float("inf")])
def test_a_budget_or_a_price_that_is_no_sum_is_refused_with_a_sentence(dollars: float) -> None:
    with pytest.raises(InvalidError, match="A budget is 0 to 1,000,000,000 dollars"):
        asking.micro(dollars)
    with pytest.raises(InvalidError, match="A price is 0 to 1,000,000 dollars"):
        asking.way("openai/m", price=(1.0, dollars))


def test_a_run_goes_on_with_no_budget_that_no_database_keeps(db: Database, record: Record, make: Make) -> None:
    record([label(1)])
    version = make()
    with db.writing() as session:
        run_id = asking.ask(session, OPERATOR, version.ref, Asked((Way(RECORDED),)))
    for micro in (-1, 10**30):
        with db.writing() as session, pytest.raises(InvalidError, match="A budget is"):
            asking.reopen(session, run_id, OPERATOR, budget_micro=micro)
