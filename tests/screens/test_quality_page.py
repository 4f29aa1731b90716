"""The Quality page: what an owner reads in ten seconds, in every state, and names that stay text."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.bulk import add_to_rows
from db.engine import Database
from db.tables import Verdict
from neuro_review import sessions
from neuro_review.access import Actor
from neuro_review.quality.periods import as_date
from neuro_review.ui import tables
from neuro_review.ui.quality import numbers
from neuro_review.workflows import measured
from tests.conftest import Team
from tests.helpers import make_item
from tests.quality.outputs import TODAY, counted
from tests.screens.deciding import judge, without_grace

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
HOSTILE = "<b>x</b> [a](https://evil.example) :red[y] ![i](https://evil.example/i.png) =1+1"


@pytest.fixture(autouse=True)
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURO_REVIEW_DATABASE_URL", url)
    st.cache_data.clear()


def signed_in(db: Database, actor: Actor) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    with db.writing() as session:
        app.user = {"session": sessions.session_id(sessions.sign_in(session, sessions.look_up(session, actor.email)))}
    return app.run()


def opened(db: Database, actor: Actor) -> AppTest:
    app = signed_in(db, actor)
    app.switch_page("pages/quality.py").run()
    assert not app.exception
    return app


def markup(app: AppTest) -> str:
    return "\n".join(one.proto.body for one in app.main.get("html"))


def specs(app: AppTest) -> list[dict[str, Any]]:
    return [orjson.loads(one.proto.spec) for one in app.main.get("vega_lite_chart")]


def charted(app: AppTest, title: str) -> list[dict[str, Any]]:
    """Return what the marks of a chart stand for; it is known by the title of an axis."""
    proto = next(one.proto for one in app.main.get("vega_lite_chart") if title in one.proto.spec)
    frames = [pa.ipc.open_stream(one.data.data).read_pandas() for one in proto.datasets]
    return [row for frame in frames for row in frame.to_dict("records")]


def words(app: AppTest) -> str:
    return "\n".join(one.value for one in (*app.text, *app.header, *app.caption, *app.error))


def test_an_owner_reads_each_model_with_its_interval_and_whether_it_got_worse(db: Database, team: Team) -> None:
    counted(db, team.support.id, dict.fromkeys(range(60, 28, -3), (60, 2)), "steady")
    counted(db, team.support.id, dict.fromkeys(range(27, 0, -3), (60, 2)), "steady")
    counted(db, team.support.id, dict.fromkeys(range(60, 28, -3), (60, 2)), "sinking")
    counted(db, team.support.id, dict.fromkeys(range(27, 0, -3), (60, 12)), "sinking")

    app = opened(db, team.olu)

    said = markup(app)
    sinking = said[said.index("sinking") :].split("</tr>")[0]
    assert "+16.7 points" in sinking
    assert "worse" in sinking
    steady = said[said.index("steady") :].split("</tr>")[0]
    assert "not certain" in steady
    assert "worse" not in steady
    assert "2,400 labels of 2,400 outputs" in said
    assert len(specs(app)) == 4  # the trend, reasons, waits and costs; nothing waits, so that there is no backlog


def test_with_too_few_labels_it_says_how_many_are_missing(db: Database, team: Team) -> None:
    counted(db, team.support.id, {1: (12, 1)}, "m")

    app = opened(db, team.olu)

    assert re.search(r"\b1\d|2\d more labels needed", markup(app))
    assert "Too few labels" in markup(app)


def test_a_workflow_with_nothing_says_what_to_do_and_one_without_labels_too(db: Database, team: Team) -> None:
    app = opened(db, team.olu)
    assert "Nothing came in in this window" in words(app)
    assert specs(app) == []

    counted(db, team.support.id, {0: (5, 0)}, label=None, status="held", said=[])
    st.cache_data.clear()
    app = opened(db, team.olu)
    assert "No output of this window has a label yet" in words(app)


@pytest.mark.parametrize("span", ["28 days", "12 months", "All"])
def test_the_window_and_its_cut_can_be_chosen(db: Database, team: Team, span: str) -> None:
    counted(db, team.support.id, {5: (60, 3), 100: (60, 30), 900: (60, 60)})
    app = opened(db, team.olu)

    app.segmented_control(key="quality_span").set_value(span).run()
    app.segmented_control(key="quality_cut").set_value("by day").run()

    assert not app.exception
    rows = app.dataframe[0].value
    expected = {"28 days": [5], "12 months": [5, 100], "All": [5, 100, 900]}[span]
    assert sorted(rows["period"]) == sorted((as_date(TODAY - ago)).isoformat() for ago in expected)


def test_what_an_output_costs_is_split_into_the_model_and_the_review(db: Database, team: Team) -> None:
    with db.writing() as session:
        measured.set_reviewer_rate(session, team.olu, team.support.id, 36_000_000)
    counted(db, team.support.id, {1: (40, 2)})

    app = opened(db, team.olu)

    bars = {row["series"]: row["said"] for row in charted(app, "cost of an output, US dollars") if "said" in row}
    assert bars == {"model": "$0.00200 an output", "review": "$0.0800 an output"}  # 8 s at $36 an hour


def test_the_one_metric_is_drawn_against_where_it_was_and_where_it_is_to_be(db: Database, team: Team) -> None:
    with db.writing() as session:
        metric = measured.Metric("resolution_minutes", "minutes", 50, -0.2)
        measured.set_metric(session, team.olu, team.support.id, metric)
        add_to_rows(
            session, "rollup_outcome", "workflow_id name day", "n total_micro squares",
            [(team.support.id, "resolution_minutes", TODAY - 1, 40, 40 * 45_000_000, 40 * 45.0**2)],
        )  # fmt: skip
    counted(db, team.support.id, {1: (40, 2)})

    app = opened(db, team.olu)

    rows = charted(app, "resolution_minutes, minutes, mean")
    assert [row["said"] for row in rows if "said" in row] == ["45 minutes (45 to 45, 40 reports)"]
    assert {row["text"]: row["value"] for row in rows if "text" in row} == {"before": 50, "target": 40}


def test_names_under_which_applications_report_beside_the_metric_are_shown(db: Database, team: Team) -> None:
    with db.writing() as session:
        add_to_rows(
            session, "rollup_outcome", "workflow_id name day", "n total_micro squares",
            [(team.support.id, HOSTILE[:60], TODAY - 1, 1, 1_000_000, 1.0)],
        )  # fmt: skip
    counted(db, team.support.id, {1: (40, 2)})

    assert f"They report in these four weeks: “{HOSTILE[:60]}” (1 report)." in words(opened(db, team.olu))
    with db.writing() as session:
        metric = measured.Metric("resolution_minutes", "minutes", 50, -0.2)
        measured.set_metric(session, team.olu, team.support.id, metric)
    st.cache_data.clear()
    said = words(opened(db, team.olu))

    shown = f"Under other names, which do not count here, came in four weeks: “{HOSTILE[:60]}” (1 report)."
    assert shown in said
    assert "They report" not in said


def test_how_old_what_waits_is_stands_beside_when_it_came_in(db: Database, team: Team) -> None:
    counted(db, team.support.id, {0: (5, 0), 1: (3, 0), 9: (2, 0)}, label=None, status="held", said=[])

    said = markup(opened(db, team.olu))

    ages = re.findall(r'<th scope="row">(today|yesterday|a week and more)</th><td[^>]*>(\d+)', said)
    assert ages == [("today", "5"), ("yesterday", "3"), ("a week and more", "2")]


def test_a_new_verdict_is_on_the_page_within_seconds(db: Database, team: Team) -> None:
    with db.writing() as session:
        without_grace(session, team.support.id)
        item_id = make_item(session, team.support.id)
    counted(db, team.support.id, {0: (40, 0)})
    app = opened(db, team.olu)
    assert "40 labels of 40 outputs" in markup(app)

    counted(db, team.support.id, {0: (2, 0)})
    app.run()
    assert "40 labels of 40 outputs" in markup(app)  # nothing that happened tells of them
    with db.writing() as session:
        judge(session, item_id, team.bo, Verdict.APPROVE)
    from neuro_review.ui.quality import figures

    figures.newest.clear()  # as after fifteen seconds
    app.run()

    assert "40 labels of 40 outputs" not in markup(app)


def test_reviewers_and_owners_of_other_workflows_see_nothing_of_it(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (60, 3)}, "secret-model")

    app = signed_in(db, team.bo)
    with pytest.raises(ValueError, match="quality"):
        app.switch_page("pages/quality.py").run()

    assert "secret-model" not in markup(app)


def test_names_of_models_and_reasons_stay_text(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (60, 20)}, HOSTILE)

    app = opened(db, team.olu)

    said = markup(app)
    assert "<b>x</b>" not in said
    assert "&lt;b&gt;x&lt;/b&gt; [a](https://evil.example)" in said
    assert [one for one in (*app.markdown, *app.caption) if "evil" in one.value] == []
    assert [
        one for one in specs(app) for key in ("layer", "params") if "evil" in str(_without_data(one.get(key)))
    ] == []


def _without_data(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_data(value) for key, value in node.items() if key not in ("data", "domain", "sort")}
    return [_without_data(one) for one in node] if isinstance(node, list) else node


def test_the_file_holds_no_formula_and_says_what_rests_on_how_much(db: Database, team: Team) -> None:
    counted(db, team.support.id, {5: (600, 200)}, "=cmd|' /C calc'!A0")
    app = opened(db, team.olu)
    rows = app.dataframe[0].value.to_dict("records")

    text = numbers.as_csv(rows).decode("utf-8-sig")

    head, line = text.splitlines()
    assert head.startswith("model,period,first day (UTC),outputs,labels,bad labels,bad rate,low,high")
    assert line.startswith("'=cmd|' /C calc'!A0,")
    first = as_date(TODAY - 5)
    assert (first - timedelta(days=first.weekday())).isoformat() in line
    assert ",600,600,200,0.3333," in line


def test_two_names_that_look_the_same_are_told_apart() -> None:
    shown = tables.distinct(["a  b", "a b", "x" * 70, "x" * 80, ""])

    assert len(set(shown.values())) == 5
    assert shown["a b"] == "a b (2)"
    assert max(map(len, shown.values())) <= 64


def test_cells_escape_what_is_not_made_here() -> None:
    assert tables._cell("<i>") == "&lt;i&gt;"
    assert tables.together(tables.quiet("<i>"), "<b>") == '<span class="nr-quiet">&lt;i&gt;</span> &lt;b&gt;'
    assert tables.safe("a\u202eb") == "a\ufffdb"
