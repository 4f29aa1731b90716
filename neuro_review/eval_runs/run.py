"""The calls of a run, in one process: what is not stored is asked, scored and stored, until nothing is left.

It can be killed at any moment: at most the calls under way are made again, and no answer is stored twice. A call counts
as under way until its answer is stored, so that this is never more than `at_once` of a candidate.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import uvloop

from db.engine import Database
from db.tables import RunOutcome, ScoredBy
from neuro_review import llm, scorers
from neuro_review.cycles import few_looks
from neuro_review.errors import InvalidError
from neuro_review.eval_runs import judging, storing
from neuro_review.eval_runs.asking import NO_BUDGET, RECORDED
from neuro_review.eval_runs.pacing import MOST_TRIES, Pace
from neuro_review.eval_runs.storing import Row, Run, Stored, Work
from neuro_review.eval_sets.choosing import said
from neuro_review.eval_sets.rows import Case
from neuro_review.llm import NoAnswerError, Said, TryAgainError, Way

ROWS_A_FLUSH = 50
GATHERED_FOR = 0.05  # seconds in which answers that come together are stored together
HEARD_OF_EVERY = 1.0  # seconds: this process says that it lives, and hears whether it shall stop
Told = Callable[[int, int | None, dict[str, Any]], None]
NO_TOKENS = (
    "A server does not say how many tokens an answer took, so no budget can be kept. Ask for another run without one."
)


def work_on(
    database: Database, run_id: str, *, told: Told = lambda done, total, counts: None, anyway: bool = False
) -> dict[str, Any]:
    """Work on a run until it ends, and return what came of it.

    Args:
        database: where the run is.
        run_id: the run, which was asked for.
        told: called with how many answers are stored, of how many, and the counts so far.
        anyway: whether the caller knows that no other process works on it any more.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: it has ended, or another process works on it.
        InvalidError: there is a budget, and the price of a model is not known.
        DatabaseUnusableError: the database is away or damaged; what was stored stays.
    """
    with database.writing() as session:
        run = storing.take(session, run_id, prices=llm.prices(), anyway=anyway)
    runner = Runner(database, run, told)
    try:
        for one in (*run.candidates, run.judge):
            if run.budget_micro is not None and one and one.model != RECORDED and not llm.knows_price(one):
                raise InvalidError(NO_BUDGET.format(one.model), "budget")
        # uvloop, and a collector that looks seldom, because a run is bound by this processor: by LiteLLM for the most.
        with few_looks(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            outcome = loop.run(runner.drive())
    except BaseException:
        with database.writing() as session:
            storing.let_go(session, run)
        raise
    with database.writing() as session:
        storing.end(session, run, outcome)
    return {"outcome": str(outcome), "total": run.total, **runner.far.counts()}


class Runner:
    """One process at one run."""

    def __init__(self, database: Database, run: Run, told: Told) -> None:
        self.database, self.run, self.told = database, run, told
        self.scorers = [scorers.parse(spec) for spec in run.scorers if spec != scorers.JUDGE]
        self.rows: list[Row] = []
        self.stop: RunOutcome | None = None
        self.some, self.full = asyncio.Event(), asyncio.Event()
        self.stored = asyncio.Event()
        """Set once the rows that wait are in the database; each flush has one of its own."""
        self.paces: dict[str, Pace] = {}
        self.takes_schema = True
        with database.reading() as session:
            self.far: Stored = storing.stored(session, run.id)

    def pace(self, way: Way) -> Pace:
        """Return the pace of a model's provider."""
        return self.paces.setdefault(way.provider, Pace(self.run.at_once))

    async def drive(self) -> RunOutcome:
        """Ask every candidate what is not stored yet, and store it as it comes."""
        await self._flush()  # who was told to stop before it began makes no call
        flushing = asyncio.create_task(self._flush_often())
        asking = asyncio.gather(*(self._candidate(n) for n in range(len(self.run.candidates))))
        try:
            # Whichever ends first: a flush ends only with an error, such as a run that was taken over.
            await asyncio.wait((flushing, asking), return_when=asyncio.FIRST_COMPLETED)
            if flushing.done():
                flushing.result()
            await asking
        finally:
            for task in (asking, flushing):
                task.cancel()
            # Whatever ended them: what was answered until then is paid for, and is stored.
            await asyncio.gather(asking, flushing, return_exceptions=True)
            await self._flush()
        return self.stop or RunOutcome.DONE

    async def _candidate(self, number: int) -> None:
        under_way: set[asyncio.Task[None]] = set()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(lambda: [task.cancel() for task in under_way])
            async for work in self._to_do(number):
                while len(under_way) >= self.run.at_once:
                    await self._some(under_way)
                if self._shall_stop():
                    break
                under_way.add(asyncio.create_task(self._answer(work)))
            while under_way:
                await self._some(under_way)

    async def _some(self, under_way: set[asyncio.Task[None]]) -> None:
        done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        under_way -= done
        for task in done:
            task.result()

    def _shall_stop(self) -> bool:
        budget = self.run.budget_micro
        if budget is not None and self.far.unknown_cost:
            raise InvalidError(NO_TOKENS, "budget")
        if self.stop is None and budget is not None and self.far.cost_micro >= budget:
            self.stop = RunOutcome.BUDGET
        return self.stop is not None

    async def _to_do(self, number: int) -> AsyncIterator[Work]:
        after: int | None = 0
        while after is not None:
            work, after = await asyncio.to_thread(storing.to_do, self.database, self.run, number, after)
            for one in work:
                yield one

    async def _answer(self, work: Work) -> None:
        """Get one answer and its scores, and put both on their way into the database."""
        text = work.answer
        row = Row(work.result_id or storing.fresh_id(), None, failed_before=work.failed_before)
        if text is None:
            text = await self._ask(work, row)
        if text is not None and self.run.judge is not None:
            await self._judge(work, text, row)
        stored = self.stored
        self._add(row)
        await stored.wait()

    async def _ask(self, work: Work, row: Row) -> str | None:
        way = self.run.candidates[work.candidate]
        if way.model == RECORDED:
            row.result, row.output = storing.result(self.run, work, tries=0), work.case.output
        else:
            tries = 0
            try:
                tries, answer = await self._call(way, messages(work.case))
            except NoAnswerError as error:
                row.result = storing.result(self.run, work, tries=MOST_TRIES, error=error.kind)
                return None
            row.output = answer.text
            row.result = storing.result(
                self.run, work, tries=tries, latency_ms=answer.latency_ms, prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens, cost_micro=answer.cost_micro, finish=answer.finish,
                said_model=answer.model, fingerprint=answer.fingerprint,
            )  # fmt: skip
        text, case = row.output or "", work.case
        for scorer in self.scorers:
            score = scorer.of(text, target=case.target, rejected=case.output)
            if score is not None:
                row.scores.append((scorer.name, ScoredBy.CODE, score.value, score.passed, None, None))
        return text

    async def _judge(self, work: Work, text: str, row: Row) -> None:
        judge, case = self.run.judge, work.case
        assert judge is not None
        asked = judging.asked(
            self.run.rubric, prompt=said(case.prompt or "", is_chat=case.prompt_is_chat), context=case.context,
            target=case.target, answer=text,
        )  # fmt: skip
        try:
            answer = await self._judged(judge, [{"role": "user", "content": asked}])
        except NoAnswerError:
            return  # missing, and asked again when the run goes on
        good, reason = judging.parsed(answer.text)
        value = None if good is None else float(good)
        row.scores.append((scorers.JUDGE, ScoredBy.JUDGE, value, good, answer.cost_micro, reason))

    async def _judged(self, judge: Way, asked: list[dict[str, Any]]) -> Said:
        if self.takes_schema:
            try:
                return (await self._call(judge, asked, judging.SCHEMA))[1]
            except TryAgainError:
                raise
            except NoAnswerError:
                self.takes_schema = False  # many servers know no schema; the prompt alone asks for JSON too
        return (await self._call(judge, asked))[1]

    async def _call(
        self, way: Way, asked: list[dict[str, Any]], schema: dict[str, Any] | None = None
    ) -> tuple[int, Said]:
        """Ask until there is an answer, at the provider's pace, and return how often it took.

        Raises:
            NoAnswerError: there is none, after the last try or for good.
        """
        pace = self.pace(way)
        for tried in range(MOST_TRIES):
            async with pace:
                try:
                    answer = await llm.complete(way, asked, response_format=schema)
                except TryAgainError as error:
                    wait = pace.too_much(error.after, tried)
                    if tried == MOST_TRIES - 1:
                        raise
                else:
                    pace.went_well()
                    return tried + 1, answer
            await asyncio.sleep(wait)
        raise NoAnswerError("no try left")

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        far, result = self.far, row.result
        judged = [score[4] for score in row.scores if score[1] is ScoredBy.JUDGE]
        is_unknown = None in judged
        if result is not None:
            far.done += not row.failed_before
            far.errors += (result["error"] is not None) - row.failed_before
            far.cost_micro += result.get("cost_micro") or 0
            is_unknown |= result["error"] is None and result["tries"] > 0 and result.get("cost_micro") is None
        far.unknown_cost += is_unknown
        far.cost_micro += sum(cost or 0 for cost in judged)
        self.some.set()
        if len(self.rows) >= ROWS_A_FLUSH:
            self.full.set()

    async def _flush_often(self) -> None:
        while True:
            for event, most in ((self.some, HEARD_OF_EVERY), (self.full, GATHERED_FOR)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), most)
            self.some.clear()
            self.full.clear()
            await self._flush()

    async def _flush(self) -> None:
        rows, self.rows = self.rows, []
        stored, self.stored = self.stored, asyncio.Event()
        flush = functools.partial(storing.flush, self.database, self.run, rows)
        # A flush that began is waited for, also when this task is told to end: its rows would be lost otherwise.
        cancelled = await asyncio.shield(asyncio.create_task(asyncio.to_thread(flush)))
        if cancelled and self.stop is None:
            self.stop = RunOutcome.CANCELLED
        stored.set()
        self.told(self.far.done, self.run.total, self.far.counts())


def messages(case: Case) -> list[dict[str, Any]]:
    """Return what a candidate is asked: the prompt as the reviewed model got it."""
    prompt = case.prompt or ""
    return list(orjson.loads(prompt)) if case.prompt_is_chat else [{"role": "user", "content": prompt}]
