"""What other tools get: which labels, in which form, what is left out and why, and nothing that is held out."""

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from db.engine import Database
from db.tables import Verdict
from neuro_review.cli.exports import export_command
from neuro_review.errors import InvalidError
from neuro_review.eval_sets import making
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.exports.formats import TABLES, Format
from neuro_review.exports.lines import MEANS, Left
from neuro_review.exports.rows import Filter
from neuro_review.exports.run import stream
from tests.conftest import OPERATOR, Team
from tests.exports.labels import CHAT, HOSTILE, exported, hold_out, labels
from tests.exports.stock import erase, past

OTHERS = tuple(form for form in Format if not form.is_table)
LEARN = tuple(form for form in Format if form.trains)
SAID = {"disputed": 2, "other_review": 1, "no_prompt": 1, "not_text": 2}


def told(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_each_format_says_of_each_label_what_its_tool_reads(db: Database, team: Team, tmp_path: Path) -> None:
    labels(db, team)
    found = {form: exported(db, tmp_path, form)[1] for form in OTHERS}

    assert found[Format.SFT][:2] == [
        {"messages": [*user("What is the capital of France?"), *told("Paris")]},
        {"messages": [*CHAT, *told("Sundays we are closed.")]},
    ]
    assert found[Format.SFT][3]["messages"][-1]["content"] == HOSTILE
    assert len((tmp_path / "sft.jsonl").read_text().splitlines()) == len(found[Format.SFT])
    assert found[Format.DPO][0] == {
        "input": {"messages": CHAT, "tools": [], "parallel_tool_calls": True},
        "preferred_output": told("Sundays we are closed."), "non_preferred_output": told("At nine."),
    }  # fmt: skip
    assert found[Format.TRL_DPO][0] == {
        "prompt": CHAT, "chosen": told("Sundays we are closed."), "rejected": told("At nine."),
    }  # fmt: skip
    assert [(one["completion"][0]["content"], one["label"]) for one in found[Format.TRL_KTO][:3]] == [
        ("Paris", True), ("At nine.", False), ("Sundays we are closed.", True),
    ]  # fmt: skip
    assert found[Format.TRL_SFT][2]["messages"][0] == user("Do you ship abroad?")[0]
    assert found[Format.INSPECT][0]["target"] == "Paris"
    assert found[Format.INSPECT][0]["metadata"]["external_id"] == "capital"
    assert found[Format.OPENAI_EVALS][0] == {"input": user("What is the capital of France?"), "ideal": ["Paris"]}
    assert found[Format.OPENAI_EVALS_API][0]["item"]["ideal"] == "Paris"
    assert [one["assert"][0]["type"] for one in found[Format.PROMPTFOO]] == [
        "icontains", "icontains", "rouge-n", "rouge-n", "not-equals", "icontains", "icontains",
    ]  # fmt: skip
    assert orjson.loads(found[Format.PROMPTFOO][1]["vars"]["prompt"]) == CHAT
    rude = {form: next(one for one in found[form] if one["metadata"]["external_id"] == "rude") for form in OTHERS[-3:]}
    assert (rude[Format.LANGFUSE]["expectedOutput"], rude[Format.BRAINTRUST]["expected"]) == (None, None)
    assert rude[Format.LANGSMITH]["outputs"] is None
    assert {one["metadata"]["must_not"] for one in rude.values()} == {"None of your business."}
    assert [found[form][4]["messages"][0]["role"] for form in (Format.SFT, Format.TRL_SFT)] == ["developer", "system"]


@pytest.mark.parametrize(
    ("form", "lines", "written", "left"),
    [
        (Format.SFT, 7, 7, SAID | {"rejected": 1}), (Format.TRL_SFT, 7, 7, SAID | {"rejected": 1}),
        (Format.DPO, 2, 2, SAID | {"no_correction": 6}), (Format.TRL_DPO, 2, 2, SAID | {"no_correction": 6}),
        (Format.TRL_KTO, 10, 8, SAID), (Format.INSPECT, 7, 7, SAID | {"rejected": 1}),
        (Format.PROMPTFOO, 7, 7, SAID | {"interpreted": 1}), (Format.OPENAI_EVALS, 7, 7, SAID | {"rejected": 1}),
        (Format.OPENAI_EVALS_API, 7, 7, SAID | {"rejected": 1}), (Format.LANGFUSE, 8, 8, SAID),
        (Format.LANGSMITH, 8, 8, SAID), (Format.BRAINTRUST, 8, 8, SAID),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted_by_why_in_the_manifest_and_in_the_log(
    db: Database, team: Team, tmp_path: Path, form: Format, lines: int, written: int, left: dict[str, int]
) -> None:
    labels(db, team)
    done, found = exported(db, tmp_path, form)

    assert (len(found), done.rows, done.verdicts.total(), dict(done.left_out)) == (lines, lines, written, left)
    assert done.manifest is not None
    says = orjson.loads(done.manifest.read_bytes())
    assert (says["rows"], says["labels"]) == (lines, written)
    assert says["left_out"] == {why: {"reviews": many, "means": MEANS[Left(why)]} for why, many in left.items()}
    assert "columns" not in says and says["row"].endswith(".")
    assert written + sum(left.values()) == 14
    with db.reading() as session:
        body = session.connection().execute(sa.text("SELECT body FROM audit WHERE action = 'export.written'"))
        logged = orjson.loads(body.scalar_one())
    assert (logged["rows"], logged["left_out"], logged["format"]) == (lines, left, form)


def test_every_format_is_covered_here_and_each_reason_has_a_sentence() -> None:
    assert len(OTHERS) == 12 and set(LEARN) < set(OTHERS) and set(MEANS) == set(Left)


def leak(db: Database, team: Team) -> None:
    """Plant three leaks of a held-out exam, beside two labels that are none."""
    by = {"reviewer": "ann", "decided_at": "2026-01-02T00:00:00Z"}

    def one(prompt: Any, name: str) -> None:
        review = {"verdict": "correct", "correction": f"better {name}", **by}
        past(db, team.support, [review], external_id=name, prompt=prompt, output=name)

    shared = {"role": "system", "content": "You are the assistant of a shop that sells instruments. " * 5}
    asked = "May I return a violin that I bought from you in spring of last year?"
    one([shared, *user(asked)], "case")
    hold_out(db)
    one([shared, *user(asked)], "the same again")
    one(asked.upper() + "  ", "louder")
    one([shared, *user(asked.replace("spring", "autumn"))], "another season")
    one([shared, *user("Do you tune pianos at home?")], "only the instructions are the same")
    one("How heavy is a tuba?", "other")


@pytest.mark.parametrize("form", LEARN)
def test_nothing_that_is_held_out_or_nearly_so_is_in_a_training_file(
    db: Database, team: Team, tmp_path: Path, form: Format
) -> None:
    leak(db, team)
    done, _ = exported(db, tmp_path, form)

    assert done.file is not None and done.manifest is not None
    assert dict(done.left_out) == {"held_out": 1, "near_held_out": 3}
    assert done.verdicts == {"correct": 2}
    text = done.file.read_text().casefold()
    assert "violin" not in text and "tuba" in text and "pianos" in text
    says = orjson.loads(done.manifest.read_bytes())
    assert (says["held_out_sets"], says["left_out"]["near_held_out"]["reviews"]) == (["exam@1"], 3)


def test_what_is_not_frozen_or_not_held_out_any_more_may_be_learnt_from(
    db: Database, team: Team, tmp_path: Path
) -> None:
    labels(db, team)
    making.make(db, OPERATOR, "draft", "support", Wanted(), held_out=True, freeze_it=False)
    hold_out(db, "open", held_out=False)

    assert exported(db, tmp_path, Format.SFT)[0].left_out["held_out"] == 0
    with db.writing() as session:
        set_id = session.connection().execute(sa.text("SELECT id FROM eval_set WHERE name = 'open'")).scalar_one()
        making.hold_out(session, set_id, OPERATOR, True)
    assert exported(db, tmp_path, Format.SFT)[0].rows == 0


def test_an_evaluation_may_be_of_the_held_out_cases_alone_and_training_never(
    db: Database, team: Team, tmp_path: Path
) -> None:
    leak(db, team)
    only = Filter(held_out=True)

    _, found = exported(db, tmp_path, Format.INSPECT, choice=only)
    assert [one["target"] for one in found] == ["better case"]
    assert exported(db, tmp_path, Format.JSONL, choice=only)[0].rows == 1
    with pytest.raises(InvalidError, match="kept out of every training file"):
        exported(db, tmp_path, Format.TRL_KTO, choice=only)


@pytest.mark.parametrize("helpers", [0, 2])
def test_a_version_of_a_set_is_written_as_it_was_frozen(
    db: Database, team: Team, tmp_path: Path, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuro_review.exports.run.helpers_for", lambda _: helpers)
    labels(db, team)
    ref = hold_out(db, "exam", held_out=False, verdicts=(Verdict.APPROVE, Verdict.CORRECT))
    labels_later = {"verdict": "approve", "reviewer": "ann", "decided_at": "2026-01-02T00:00:00Z"}
    past(db, team.support, [labels_later], external_id="later", prompt="A question of later", output="No case.")

    done, found = exported(db, tmp_path, Format.INSPECT, eval_set=ref)

    assert {one["target"] for one in found} >= {"Paris", "Sundays we are closed.", HOSTILE}
    assert "No case." not in {one["target"] for one in found}
    assert len({one["id"] for one in found}) == len(found) == done.rows
    _, items = exported(db, tmp_path, Format.LANGFUSE, eval_set=ref)
    assert {one["datasetName"] for one in items} == {ref}
    for wrong, why in (
        ({"form": Format.CSV}, "a format of another tool"), ({"choice": Filter(model="m")}, "names its cases itself"),
    ):  # fmt: skip
        with pytest.raises(InvalidError, match=why):
            exported(db, tmp_path, **{"form": Format.INSPECT, "eval_set": ref} | wrong)


def test_helper_processes_leave_out_the_same(
    db: Database, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(db, team)
    labels(db, team)
    monkeypatch.setattr("neuro_review.exports.parts.FIRST_PAGE", 3)
    monkeypatch.setattr("neuro_review.exports.parts.LARGEST_PAGE", 3)
    alone = [exported(db, tmp_path, form)[0] for form in (Format.TRL_KTO, Format.LANGSMITH)]
    monkeypatch.setattr("neuro_review.exports.run.helpers_for", lambda _: 2)

    for before in alone:
        beside, _ = exported(db, tmp_path, before.format)
        assert (beside.sha256, beside.left_out) == (before.sha256, before.left_out)


def test_erased_labels_are_left_out_and_still_held_out(db: Database, team: Team, tmp_path: Path) -> None:
    by = {"verdict": "correct", "correction": "C", "reviewer": "ann", "decided_at": "2026-01-02T00:00:00Z"}
    item_id = past(db, team.support, [by], prompt="Shall be forgotten", output="O")
    erase(db, item_id)

    for form in OTHERS:
        assert dict(exported(db, tmp_path, form)[0].left_out) == {"erased": 1}


def test_promptfoo_gets_a_list_in_yaml_where_the_file_is_called_so(db: Database, team: Team) -> None:
    from neuro_review.exports.formats import YamlLines

    labels(db, team)
    lines = io.BytesIO()
    stream(db, OPERATOR, "support", Format.PROMPTFOO, lines)
    listed = io.BytesIO()
    YamlLines(listed).add(lines.getvalue())

    assert yaml.safe_load(listed.getvalue()) == [orjson.loads(line) for line in lines.getvalue().splitlines()]


@pytest.fixture
def cli(url: str, team: Team, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    return lambda *words: CliRunner().invoke(export_command, ["--workflow", "support", *words])


def test_the_command_says_what_it_left_out(cli: Any, db: Database, team: Team, tmp_path: Path) -> None:
    leak(db, team)
    out = ["--out", str(tmp_path / "out.jsonl")]

    said = cli("--format", "trl-kto", *out)
    assert (said.exit_code, said.stdout.startswith("Wrote 4 lines, from 2 labels of “support” to")) == (0, True)
    assert "Left out: 3. Its prompt says nearly what a case of a held-out eval set says.\n" in said.stdout
    as_json = orjson.loads(cli("--format", "sft", *out, "--json").stdout)
    assert (as_json["rows"], as_json["left_out"]) == (2, {"held_out": 1, "near_held_out": 3})
    assert orjson.loads(cli("--format", "inspect", *out, "--set", "exam", "--json").stdout)["rows"] == 1
    assert orjson.loads(cli("--format", "jsonl", *out, "--held-out", "--json").stdout)["rows"] == 1
    assert cli("--format", "sft", *out, "--held-out").exit_code == 1
    nothing = cli("--format", "sft", *out, "--set", "exam@1")
    assert nothing.stdout.startswith("Nothing to export: all of it is left out. Wrote no row of")


def test_tables_are_what_they_were() -> None:
    assert [str(form) for form in TABLES] == ["jsonl", "csv", "parquet"]
