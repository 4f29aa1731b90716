"""The cases of an eval set as a file of another tool, asked for on the set's own page."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import streamlit as st

from db.clock import new_id
from db.engine import Database
from db.tables import JobKind, JobState, Role
from neuro_review.access import Actor
from neuro_review.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from neuro_review.eval_sets import making
from neuro_review.eval_sets.rows import Version
from neuro_review.exports.formats import Format
from neuro_review.jobs import asking, downloads, keeper, rows
from neuro_review.jobs import run as process
from neuro_review.jobs.rows import Job
from tests.conftest import OPERATOR, Team
from tests.evals.conftest import label, question
from tests.screens.test_eval_sets_page import opened, press
from tests.screens.test_quality_page import HOSTILE, words

Record = Callable[[list[dict[str, Any]]], None]
Make = Callable[..., Version]


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    st.cache_data.clear()


def work(db: Database) -> None:
    held = keeper.next_one(db)
    assert held is not None
    assert process.run(db, held) == process.DONE


def mine(db: Database, by: Actor) -> list[Job]:
    with db.reading() as session:
        return rows.mine(session, by, JobKind.EXPORT)


def ask(db: Database, by: Actor, version: str, form: Format = Format.INSPECT) -> None:
    with db.writing() as session:
        asking.ask_set_export(session, new_id(), by, version_id=version, form=form)


def test_who_may_export_gets_the_cases_of_a_version_as_a_file_and_finds_it_on_exports_too(
    db: Database, team: Team, record: Record, make: Make, add_person: Callable[..., Actor]
) -> None:
    exa = add_person("Exa", Role.EXPORT, team.support.id)
    record([label(1), label(2, "correct"), label(3, "reject"), label(4)])
    version, other = make("safe", verdicts=("correct", "reject")), make("other")
    app = opened(db, exa, version.id)
    app.selectbox(key=f"set_format_{version.id}").set_value(Format.SFT).run()

    press(app, "set_export")
    assert "It waits for its turn" in words(app)
    (job,) = mine(db, exa)
    work(db)
    app.run()

    with db.reading() as session:
        file = downloads.download(session, job.id, exa, part="data")
    lines = [orjson.loads(line) for line in file.path.read_bytes().splitlines()]
    assert [line["messages"][0]["content"] for line in lines] == [question(2)]
    assert file.name.startswith("safe-1-sft-")
    manifest = downloads.manifest(mine(db, exa)[0])
    assert manifest is not None and manifest["eval_set"] == "safe@1"
    assert "1 line, 1 case left out · " in words(app)
    assert "Cases of: safe@1" in words(app)
    assert "1 line" not in words(opened(db, exa, other.id))
    app.switch_page("pages/exports.py").run()
    assert not app.exception
    assert "safe@1" in words(app)


def test_what_is_held_out_is_offered_for_no_training_and_a_draft_not_at_all(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    held_out, draft = make("exam", held_out=True), make("draft", freeze_it=False)

    app = opened(db, team.olu, held_out.id)
    offered = app.selectbox(key=f"set_format_{held_out.id}").options
    assert {"Inspect", "promptfoo"} <= set(offered)
    assert not {"OpenAI fine-tuning", "TRL DPO", "CSV", "Parquet"} & set(offered)
    assert "set_export" not in {one.key for one in opened(db, team.olu, draft.id).button}

    with pytest.raises(InvalidError, match="held out"):
        ask(db, team.olu, held_out.id, Format.SFT)
    with pytest.raises(InvalidError, match="format of another tool"):
        ask(db, team.olu, held_out.id, Format.CSV)
    with pytest.raises(ConflictError, match="Freeze it"):
        ask(db, team.olu, draft.id)
    with pytest.raises(NotFoundError):
        ask(db, team.olu, new_id())
    assert mine(db, team.olu) == []


def test_a_set_that_is_held_out_meanwhile_reaches_no_training_file(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1), label(2)])
    version = make("safe")
    ask(db, team.olu, version.id, Format.SFT)
    with db.writing() as session:
        making.hold_out(session, version.set_id, OPERATOR, True)

    work(db)

    (job,) = mine(db, team.olu)
    assert (job.state, job.result["rows"], job.result["left_out"]) == (JobState.DONE, 0, 2)


def test_nobody_else_exports_a_set_nor_who_may_not_any_more(
    db: Database, team: Team, record: Record, make: Make, add_person: Callable[..., Actor]
) -> None:
    record([label(1)])
    version = make("safe")
    exa, other = (add_person(name, Role.EXPORT, flow.id) for name, flow in (("Exa", team.support), ("Ext", team.other)))
    for by in (team.bo, team.eve, other, OPERATOR):
        with pytest.raises(NotAllowedError):
            ask(db, by, version.id)
    ask(db, exa, version.id)
    app = opened(db, exa, version.id)
    with db.writing() as session:
        session.connection().exec_driver_sql(
            f"UPDATE role_grant SET role = 'reviewer' WHERE person_id = {exa.person_id}"
        )

    app.button(key="set_export").click().run()
    work(db)

    (job,) = mine(db, exa)
    assert job.state == JobState.FAILED


def test_a_hostile_name_of_a_set_stays_text_and_names_no_file(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    version = make(f"../{HOSTILE}"[:60].strip())
    ask(db, team.olu, version.id)
    work(db)

    app = opened(db, team.olu, version.id)

    (job,) = mine(db, team.olu)
    assert set(job.result["file"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-TZ.")
    assert version.ref in words(app)


def test_an_export_of_a_version_stands_on_its_page_however_many_others_came_after_it(
    db: Database, team: Team, record: Record, make: Make
) -> None:
    record([label(1)])
    version, other = make("safe"), make("other")
    for one in (version, *[other] * rows.MOST_SHOWN):
        ask(db, team.olu, one.id)
        work(db)

    assert "1 line · " in words(opened(db, team.olu, version.id))
    assert len(mine(db, team.olu)) == rows.MOST_SHOWN
