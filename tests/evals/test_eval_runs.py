"""Candidates are tried on a frozen version: every case once, errors missing and never wrong, costs known or unknown."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from db.engine import Database
from neuro_review import content
from neuro_review import llm as llm_door
from neuro_review.__main__ import main
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError
from neuro_review.eval_runs import asking, failing, foreseen, run
from neuro_review.eval_runs import rows as run_rows
from neuro_review.eval_runs.asking import RECORDED, Asked
from neuro_review.eval_runs.storing import Row, Work
from neuro_review.eval_sets.rows import Version
from neuro_review.llm import Way
from tests.conftest import OPERATOR, Team
from tests.evals.conftest import WORDS, label, question
from tests.llm_server import LanguageModel, language_model

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]
NUMBERS = {question(n): n for n in range(400)}


def right(asked: dict[str, Any]) -> str:
    """Answer as the labels say."""
    return f"answer {NUMBERS[asked['messages'][-1]['content']]}"


@pytest.fixture(scope="module")
def served() -> Iterator[LanguageModel]:
    with language_model(right) as model:
        yield model


@pytest.fixture
def llm(served: LanguageModel) -> LanguageModel:
    served.answer, served.latency, served.tells_usage, served.tokens = right, 0.0, True, None
    served.requests.clear()
    served.keys.clear()
    served._failures.clear()
    served.most_at_once = 0
    return served


def ask(db: Database, version: Version, *candidates: Way, **more: Any) -> str:
    with db.writing() as session:
        return asking.ask(session, OPERATOR, version.ref, Asked(candidates, **more))


def at(llm: LanguageModel, model: str = "openai/m", **more: Any) -> Way:
    return asking.way(model, api_base=llm.url, **more)


def rows(db: Database, query: str, **bound: Any) -> list[Any]:
    with db.reading() as session:
        return list(session.connection().execute(sa.text(query), bound))


def test_every_case_is_asked_of_every_candidate_and_stored_with_its_scores(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1), label(2, "correct"), label(3, "reject")])
    run_id = ask(db, make(), at(llm, "openai/a"), at(llm, "openai/b"), repeats=2)

    done = run.work_on(db, run_id)

    assert (done["outcome"], done["total"], done["ok"], done["errors"], done["unknown_cost"]) == ("done", 12, 12, 0, 12)
    assert len(llm.requests) == 12
    assert {one["model"] for one in llm.requests} == {"a", "b"}
    stored = rows(
        db, "SELECT k.verdict, r.candidate, r.repeat, c.output, s.scorer, s.value, s.passed, r.cost_micro, r.latency_ms"
        " FROM eval_result r JOIN eval_case k ON k.id = r.case_id JOIN eval_result_content c ON c.result_id = r.id"
        " JOIN eval_score s ON s.result_id = r.id",
    )  # fmt: skip
    assert {(one.verdict, one.scorer) for one in stored} == {
        ("approve", "f1"), ("correct", "f1"), ("reject", "must_not")
    }  # fmt: skip
    assert len(stored) == 12
    assert all(one.passed and one.value == 1 and one.cost_micro is None for one in stored if one.scorer == "f1")
    assert all(one.latency_ms is not None for one in stored)


def test_a_known_price_gives_a_known_cost(db: Database, record: Record, make: Make, llm: LanguageModel) -> None:
    record([label(1)])
    priced = at(llm, "openai/own", price=(2.0, 10.0))
    run_id = ask(db, make(), at(llm, "openai/gpt-4o"), priced)

    done = run.work_on(db, run_id)

    costs = [row.cost_micro for row in rows(db, "SELECT cost_micro FROM eval_result ORDER BY candidate")]
    assert costs == [round(3 * 2.5 + 2 * 10), 3 * 2 + 2 * 10]  # three words in, two words out
    assert done["cost_micro"] == sum(costs)
    assert done["unknown_cost"] == 0


def test_a_key_of_the_environment_goes_only_where_it_was_named_for(
    db: Database, record: Record, make: Make, llm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(1)])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-house")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    version = make()

    run.work_on(db, ask(db, version, at(llm)))
    run.work_on(db, ask(db, version, at(llm, key_variable="MY_KEY")))

    assert llm.keys == ["no key", "sk-mine"]
    assert "sk-" not in repr(rows(db, "SELECT reached FROM eval_candidate"))


def test_what_fails_is_tried_again_and_waits_as_long_as_it_is_told(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1)])
    llm.fail(429, 1, retry_after=1)
    llm.fail(503, 1)

    done = run.work_on(db, ask(db, make(), at(llm)))

    assert (done["ok"], done["errors"], len(llm.requests)) == (1, 0, 3)
    assert [row.tries for row in rows(db, "SELECT tries FROM eval_result")] == [3]


def test_an_error_is_missing_and_tried_when_the_run_goes_on(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1), label(2)])
    version = make()
    run_id = ask(db, version, at(llm), at_once=1)
    llm.fail(400, 1)

    first = run.work_on(db, run_id)
    with pytest.raises(ConflictError, match="has ended"):
        run.work_on(db, run_id)
    with db.writing() as session:
        asking.reopen(session, run_id, OPERATOR)
    second = run.work_on(db, run_id)

    assert (first["ok"], first["errors"]) == (1, 1)
    assert (second["ok"], second["errors"]) == (2, 0)
    assert len(llm.requests) == 3
    assert rows(db, "SELECT count(*) AS n FROM eval_score")[0].n == 2


def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(n) for n in range(40)])
    run_id = ask(db, make(), at(llm, price=(10.0, 10.0)), budget_micro=500, at_once=2)

    first = run.work_on(db, run_id)
    with db.writing() as session:
        asking.reopen(session, run_id, OPERATOR, budget_micro=1_000_000)
    second = run.work_on(db, run_id)

    assert first["outcome"] == "budget"
    assert 10 <= first["ok"] <= 12  # fifty a call, and two may be under way
    assert (second["outcome"], second["ok"], len(llm.requests)) == ("done", 40, 40)


def test_without_a_known_price_no_budget_is_promised(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1)])

    with pytest.raises(InvalidError, match=r"price of openai/m is not known"):
        run.work_on(db, ask(db, make(), at(llm), budget_micro=1))

    assert llm.requests == []


def test_no_budget_is_kept_on_a_server_that_tells_no_tokens_and_no_answer_of_it_is_free(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(n) for n in range(8)])
    llm.tells_usage = False
    run_id = ask(db, make(), at(llm, price=(10.0, 10.0)), budget_micro=1_000_000, at_once=1)

    for _ in range(2):
        with pytest.raises(InvalidError, match="no budget can be kept"):
            run.work_on(db, run_id)

    assert len(llm.requests) == 1
    assert [row.cost_micro for row in rows(db, "SELECT cost_micro FROM eval_result")] == [None]


def test_a_cancelled_run_keeps_what_it_has_and_asks_no_more(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(n) for n in range(300)])
    run_id = ask(db, make(), at(llm), at_once=2)
    llm.latency = 0.02

    def cancel() -> None:
        while len(llm.requests) < 5:
            threading.Event().wait(0.01)
        with db.writing() as session:
            assert asking.cancel(session, run_id, OPERATOR)

    thread = threading.Thread(target=cancel)
    thread.start()
    done = run.work_on(db, run_id)
    thread.join()

    assert done["outcome"] == "cancelled"
    assert done["ok"] == len(llm.requests) < 300


def test_two_processes_never_work_on_one_run(db: Database, record: Record, make: Make, llm: LanguageModel) -> None:
    from neuro_review.eval_runs import storing

    record([label(1)])
    run_id = ask(db, make(), at(llm))
    with db.writing() as session:
        first = storing.take(session, run_id, prices="p")
    with db.writing() as session, pytest.raises(ConflictError, match="Another process"):
        storing.take(session, run_id, prices="p")

    done = run.work_on(db, run_id, anyway=True)

    assert done["ok"] == 1
    with pytest.raises(ConflictError, match="took this run over"):
        storing.flush(db, first, [])


def test_a_draft_is_not_tried_and_who_is_no_owner_asks_for_nothing(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    make("draft", freeze_it=False)
    make("ready")
    asked = Asked((Way("openai/m"),))

    with db.writing() as session, pytest.raises(ConflictError, match="is a draft"):
        asking.ask(session, OPERATOR, "draft@1", asked)
    with db.writing() as session, pytest.raises(NotAllowedError):
        asking.ask(session, team.bo, "ready", asked)
    with pytest.raises(sa.exc.IntegrityError, match="frozen version"), db.writing() as session:
        session.connection().execute(sa.text(
            "INSERT INTO eval_run (id, version_id, workflow_id, scorers, rubric_version, repeats, at_once, asked_by,"
            " created_at, lease_n, lease_until) SELECT '00000000000000000000000000000001', id, 1, '[]', 0, 1, 1,"
            " 'x', 1, 0, 0 FROM eval_version WHERE frozen_at IS NULL"
        ))  # fmt: skip


def test_an_answer_is_never_rewritten(db: Database, record: Record, make: Make, llm: LanguageModel) -> None:
    record([label(1)])
    run.work_on(db, ask(db, make(), at(llm)))

    for statement in (
        "UPDATE eval_result SET latency_ms = 1", "DELETE FROM eval_result",
        "UPDATE eval_result_content SET output = 'x'",
        "UPDATE eval_score SET passed = NULL", "DELETE FROM eval_score", "UPDATE eval_candidate SET model = 'better'",
        "UPDATE eval_run SET scorers = '[]'",
    ):  # fmt: skip
        with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
            session.connection().execute(sa.text(statement))


def test_a_chat_is_asked_as_it_was_and_a_system_text_takes_the_old_ones_place(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": question(7)}]
    record([label(7, prompt=chat)])
    version = make()

    run.work_on(db, ask(db, version, at(llm, parameters={"temperature": 0})))
    run.work_on(db, ask(db, version, at(llm, parameters={"system": "Be brief."})))

    assert [one["messages"] for one in llm.requests] == [
        [*chat], [{"role": "system", "content": "Be brief."}, chat[1]],
    ]  # fmt: skip
    assert llm.requests[0]["temperature"] == 0
    assert len(WORDS) == 18


def test_an_answer_that_no_database_could_store_is_mended_and_ends_no_run(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1)])
    llm.answer = lambda asked: "a\0b" if asked["model"] == "m" else r'{"reason": "c\u0000d", "verdict": "good"}'
    judged = {"scorers": ("exact", "judge"), "judge": at(llm, "openai/judge")}

    done = run.work_on(db, ask(db, make(), at(llm), **judged))

    assert (done["outcome"], done["ok"]) == ("done", 1)
    said = "SELECT c.output, t.rationale FROM eval_result_content c JOIN eval_score_content t USING (result_id)"
    assert [tuple(row) for row in rows(db, said)] == [("a\ufffdb", "c\ufffdd")]
    assert content.mended("\ud83d") == "\ufffd"


def test_what_was_answered_before_a_run_broke_is_stored(
    db: Database, record: Record, make: Make, llm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record([label(1), label(2)])
    ask_well, asked = run.Runner._ask, []

    async def once(self: run.Runner, work: Work, row: Row) -> str | None:
        asked.append(work)
        if len(asked) == 1:
            return await ask_well(self, work, row)
        while not self.rows:  # the first is answered, and waits to be stored
            await asyncio.sleep(0)
        raise RuntimeError

    monkeypatch.setattr(run, "GATHERED_FOR", 60.0)
    monkeypatch.setattr(run.Runner, "_ask", once)

    with pytest.raises(RuntimeError):
        run.work_on(db, ask(db, make(), at(llm), at_once=2))

    assert len(rows(db, "SELECT id FROM eval_result")) == 1


def test_the_pace_gives_way_and_comes_back() -> None:
    from neuro_review.eval_runs.pacing import Pace

    pace = Pace(8)
    pace.halved_at = -1.0
    waits = [pace.too_much(None, tried) for tried in range(3)]
    narrow = pace.window
    for _ in range(200):
        pace.went_well()

    assert narrow == 4  # once for all that were under way together
    assert pace.window == 8
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits))
    assert pace.too_much(7.0, 0) == 7.0


@pytest.mark.parametrize("address", ["ftp://host/v1", "https://user:secret@host/v1", "not an address"])
def test_an_address_with_a_password_or_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(InvalidError, match="address"):
        asking.way("openai/m", api_base=address)


@pytest.mark.parametrize("name", ["api_key", "api_base", "base_url", "custom_llm_provider", "extra_headers", "model"])
def test_no_parameter_of_a_candidate_names_an_address_or_a_key(name: str) -> None:
    with pytest.raises(InvalidError, match="is no parameter"):
        asking.way("openai/m", parameters={name: "https://evil.example"})
    with pytest.raises(InvalidError, match="like openai/gpt-4o"):
        asking.way("huggingface/https://evil.example")


def test_a_run_that_was_stopped_before_it_began_makes_no_call(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(n) for n in range(30)])
    run_id = ask(db, make(), at(llm))
    with db.writing() as session:
        asking.cancel(session, run_id, OPERATOR)

    assert run.work_on(db, run_id)["outcome"] == "cancelled"
    assert llm.requests == []


def test_the_newest_runs_of_other_workflows_hide_none_of_ones_own(
    db: Database, team: Team, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(1)])
    version = make()
    mine = ask(db, version, at(llm))
    with db.writing() as session:
        for n in range(3):
            session.connection().execute(
                sa.text("INSERT INTO eval_run (id, version_id, workflow_id, scorers, rubric_version, repeats, at_once,"
                        " asked_by, created_at, lease_n, lease_until) SELECT :id, version_id, :flow, scorers,"
                        " rubric_version, repeats, at_once, asked_by, created_at + 9, 0, 0 FROM eval_run"
                        " WHERE id = :mine"),
                {"id": f"{n:032x}", "flow": team.other.id, "mine": mine},
            )  # fmt: skip

    with db.reading() as session:
        found = run_rows.listed(session, team.olu, most=2)
        every = run_rows.listed(session, OPERATOR, most=2)
    assert [one.id for one in found] == [mine]
    assert len(every) == 2
    assert mine not in {one.id for one in every}


def test_what_a_run_takes_is_said_before_by_measure_or_roughly_or_not_at_all(
    db: Database, record: Record, make: Make, llm: LanguageModel
) -> None:
    record([label(n, output="x" * 400, prompt=question(n) + "y" * (400 - len(question(n)))) for n in range(10)])
    version = make()
    priced, unknown = at(llm, "openai/priced", price=(1.0, 2.0)), at(llm, "openai/unknown")
    asked = Asked((Way(RECORDED), priced, unknown, at(llm, "openai/gpt-4o")), repeats=2, judge=priced)

    def said() -> list[tuple[str, int, int | None, bool, bool]]:
        with db.reading() as session:
            found = foreseen.expected(session, version, asked)
        return [(one.model, one.calls, one.micro, one.measured, one.judges) for one in found]

    rough, none, listed, judge = said()
    # Ten cases twice: 400 characters in and out are a hundred tokens each, at 1 and 2 dollars a million.
    assert rough == ("openai/priced", 20, 20 * (100 * 1 + 100 * 2), False, False)
    assert none == ("openai/unknown", 20, None, False, False)
    assert listed == ("openai/gpt-4o", 20, round(20 * (100 * 2.5 + 100 * 10)), False, False)
    assert judge[:2] == ("openai/priced", 80)
    assert judge[2] is not None and judge[2] > rough[2] * 4
    llm.answer = "one two three"
    run.work_on(db, ask(db, version, at(llm, "openai/gpt-4o")))
    measured = said()[2]
    cost = rows(db, "SELECT sum(cost_micro) AS cost FROM eval_result")[0].cost
    assert measured == ("openai/gpt-4o", 20, round(cost / 10 * 20), True, False)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "openai/gpt-4o", "anthropic/claude-opus-4-7", "claude-opus-4-7", "mistral/mistral-large-latest",
              "openai/own", "own", "hosted_vllm/llama", "gemini/gemini-2.5-pro", "groq/llama-3.3-70b-versatile"],
)  # fmt: skip
def test_a_price_that_is_read_without_litellm_is_what_litellm_counts_with(model: str) -> None:
    way = Way(model)
    price = llm_door.listed_price(model)

    assert (price is not None) == llm_door.knows_price(way)
    if price is not None:
        assert llm_door._cost(way, 10_000, 0) == pytest.approx(price[0] * 10_000, abs=1)
        assert llm_door._cost(way, 0, 10_000) == pytest.approx(price[1] * 10_000, abs=1)


def test_the_command_says_why_answers_failed_and_what_to_do(
    db: Database, record: Record, make: Make, llm: LanguageModel, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    record([label(1), label(2)])
    llm.fail(401, 2)

    said = CliRunner().invoke(
        main, ["eval", "run", make().ref, "--model", "openai/m", "--api-base", llm.url, "--json"]
    )  # fmt: skip

    assert (said.exit_code, orjson.loads(said.stdout)["errors"]) == (0, 2), said.stderr
    assert "2 answers of openai/m failed: AuthenticationError 401. The key is wrong or missing" in said.stderr
    assert failing.advice("APIConnectionError").startswith("The server could not be reached")
    assert failing.advice("Timeout").startswith("The provider took too long")
    assert failing.advice("OddError 418") == failing.LOOK


def test_a_server_that_is_not_there_and_a_key_that_is_missing_are_not_called_a_provider_that_broke_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked = [{"role": "user", "content": "May I?"}]

    with socket.socket() as bound, pytest.raises(llm_door.TryAgainError) as away:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        nowhere = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        asyncio.run(llm_door.complete(asking.way("openai/m", api_base=nowhere), asked))
    with pytest.raises(llm_door.NoAnswerError) as keyless:
        asyncio.run(llm_door.complete(asking.way("openai/gpt-4o"), asked))

    assert failing.advice(away.value.kind) == failing.UNREACHABLE
    assert not isinstance(keyless.value, llm_door.TryAgainError)
    assert failing.advice(keyless.value.kind).startswith("The key is wrong or missing")
