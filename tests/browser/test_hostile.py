"""What a model wrote, and what an application called things, stays text wherever it is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from db.tables import Role, RunOutcome, ScoredBy
from neuro_review import access, queue, scorers, sources, teams, views, workflows
from neuro_review.deliveries import endpoints
from neuro_review.eval_runs import asking, storing
from neuro_review.eval_runs.asking import Asked
from neuro_review.eval_runs.storing import Row, Work
from neuro_review.eval_sets import making
from neuro_review.eval_sets import rows as eval_sets
from neuro_review.eval_sets.choosing import Wanted
from neuro_review.eval_sets.rows import Version
from tests.browser.house import App, Tab, expect
from tests.conftest import OPERATOR
from tests.exports.stock import past

pytestmark = pytest.mark.browser
PARTS = (
    "![remote](https://evil.example/a.png)", "[click](https://evil.example/b)", "[run](javascript:alert(1))",
    "<img src=https://evil.example/c.png onerror=alert(1)>", '<form action="https://evil.example/d"><input></form>',
    "<style>@import 'https://evil.example/e.css'</style>", "<script>alert(1)</script>", "$$\\frac{1}{2}$$",
    "<svg onload=alert(1)><use href='https://evil.example/g.svg#a'/></svg>", "&lt;b&gt;",
    ":red[alarm] :material/home: :tada:", "https://evil.example/f www.evil.example me@evil.example",
    "| a | b |\n|---|---|\n| 1 | 2 |", "# Heading",
)  # fmt: skip
HOSTILE = "\n\n".join(PARTS)
NAME = "![n](https://evil.example/n.png) <b>x</b> [y](https://evil.example/y)"
TREE = orjson.dumps({NAME: HOSTILE, "list": [HOSTILE, {"__proto__": NAME, "constructor": 1}]}).decode()
BIDI = "larch\u202e0.0$\u202c\u2066 in\u200bvisible"
LONG = "x" * 1_000_000
FILE = f'output,model,verdict,"{NAME}"\n"{HOSTILE}","{NAME}",,"{HOSTILE}"\n"{HOSTILE}",larch,"{NAME}",x\n'
MILLISECONDS_TO_THE_NEXT = """async (root) => {
  const before = root.dataset.painted, began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "a", bubbles: true, composed: true}));
  while (root.dataset.painted === before) await new Promise((done) => setTimeout(done, 5));
  return performance.now() - began;
}"""
MADE_BY_MARKUP = (
    "img, iframe, svg:not([data-testid] svg, button svg, a svg), form, .katex, b, script, style:not(.desk style),"
    " a[href*='evil'], a[href^='mailto'], a[href^='javascript']"
)


def import_rows(app: App, tmp_path: Path, name: str, *rows: dict[str, object]) -> int:
    file = tmp_path / "hostile.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    counts = orjson.loads(app.command("import", str(file), "--workflow", name, "--json"))
    assert counts["held"] == len(rows)
    with app.database.writing() as session:
        flow = workflows.by_name(session, name)
    app.change("UPDATE item SET queue_band = 1 WHERE workflow_id = :id", id=flow.id)
    return flow.id


@pytest.fixture
def workflow(app: App, tmp_path: Path, request: pytest.FixtureRequest) -> int:
    """A workflow whose name, reasons, rubric, conversations and outputs are hostile, imported from a file."""
    chat = [{"role": NAME, "content": HOSTILE}, {"role": "constructor", "content": HOSTILE},
            {"role": "assistant", "content": None, "tool_calls": [{NAME: HOSTILE}]},
            {"role": "user", "content": HOSTILE}]  # fmt: skip
    name = f"{NAME} {request.node.name[:18]}"
    flow = import_rows(
        app, tmp_path, name,
        {"model": NAME, "output": HOSTILE, "context": HOSTILE, "prompt": chat},
        {"model": NAME, "output": TREE, "context": TREE, "prompt": NAME},
        {"model": BIDI, "output": "The last.", "prompt": BIDI, "latency_ms": 1200, "cost_usd": 0.003},
    )  # fmt: skip
    with app.database.writing() as session:
        workflows.write_rubric(session, OPERATOR, flow, HOSTILE)
    app.change("UPDATE reason SET name = :name WHERE workflow_id = :id AND position = 1", name=NAME, id=flow)
    return flow


def only_text(tab: Tab) -> None:
    """Check that the card holds nothing that markup has made."""
    expect(tab.card.locator(MADE_BY_MARKUP)).to_have_count(0)
    unknown = """(root) => [...root.querySelectorAll("*")].flatMap((one) => [...one.attributes])
      .filter((one) => /^on|^style$|^src/.test(one.name) && one.name !== "style").map((one) => one.name)"""
    assert tab.card.evaluate(unknown) == []


def test_hostile_text_is_shown_as_it_is_and_asks_nobody_for_anything(
    app: App, tab: Callable[..., Tab], workflow: int
) -> None:
    pia = tab(app, app.sign_in("Pia", Role.REVIEWER, workflow))
    pia.open("/review")
    pia.sees(PARTS[0])
    assert pia.answer.locator(".plain").text_content() == HOSTILE
    pia.card.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    for place in (".conversation", ".beside"):
        expect(pia.page.locator(place)).to_contain_text(PARTS[0])
    for place in (".conversation", ".answer .label", ".reason", ".top option", ".beside"):
        expect(pia.page.locator(place).filter(has_text=NAME[:40]).first).to_contain_text(NAME[:80])
    only_text(pia)

    pia.answer.get_by_role("button", name="Shown plain; show rendered").click()
    expect(pia.answer.locator(".rendered table")).to_have_count(1)
    expect(pia.answer).to_contain_text("[image: remote] (https://evil.example/a.png)")
    expect(pia.answer).to_contain_text("<script>alert(1)</script>")
    only_text(pia)

    pia.press("1")
    pia.start_to_correct()
    expect(pia.field).to_have_value(HOSTILE)
    pia.type(f"{HOSTILE}\n{NAME}")
    expect(pia.page.locator(".diff")).to_contain_text("n.png")
    only_text(pia)
    pia.page.keyboard.press("Escape")
    pia.press("x")
    pia.sees_tree()
    expect(pia.page.locator(".done")).to_contain_text(PARTS[0][:20])
    only_text(pia)


def test_hostile_json_and_a_hostile_note_stay_text(app: App, tab: Callable[..., Tab], workflow: int) -> None:
    query = "UPDATE item SET queue_at = 0 WHERE workflow_id = :id AND id IN (SELECT item_id FROM item_content"
    app.change(f"{query} WHERE output = :output)", id=workflow, output=TREE)
    ray = tab(app, app.sign_in("Ray", Role.REVIEWER, workflow))
    ray.open("/review")
    ray.sees_tree()
    expect(ray.answer).to_contain_text(NAME)
    expect(ray.answer).to_contain_text("__proto__")
    only_text(ray)
    ray.start_to_correct()
    ray.type(f"{NAME}{HOSTILE}")
    only_text(ray)
    ray.is_answered()
    app.change("UPDATE item SET lease_until = 1 WHERE workflow_id = :id", id=workflow)

    ray.page.keyboard.press("Control+Enter")
    ray.page.keyboard.press("Control+Enter")

    ray.is_told("ran out")
    expect(ray.notes).to_contain_text(NAME)
    only_text(ray)


def test_what_turns_the_reading_direction_around_or_cannot_be_seen_is_marked(
    app: App, tab: Callable[..., Tab], workflow: int
) -> None:
    query = "UPDATE item SET queue_at = 0 WHERE workflow_id = :id AND latency_ms IS NOT NULL"
    app.change(query, id=workflow)
    quin = tab(app, app.sign_in("Quin", Role.REVIEWER, workflow))
    quin.open("/review")
    quin.sees("The last.")

    for place in (".answer .label", ".conversation"):
        shown = quin.page.locator(place).first.text_content() or ""
        assert "U+202E" in shown
        assert "U+200B" in shown
        assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b")
    expect(quin.answer.locator(".label")).to_contain_text("1.2 s · $0.0030")


def test_a_megabyte_without_a_space_is_painted_within_a_second_and_stays_usable(
    app: App, tab: Callable[..., Tab]
) -> None:
    flow = app.add_workflow("a megabyte", ["Short.", LONG, "Between.", f"{LONG}y", "After it."])
    una = tab(app, app.sign_in("Una", Role.REVIEWER, flow))
    una.open("/review")
    una.sees("Short.")

    painted = []
    for _ in range(2):
        una.look()
        painted.append(una.card.evaluate(MILLISECONDS_TO_THE_NEXT))
        assert len(una.answer.locator(".plain").text_content() or "") >= len(LONG)
        if len(painted) == 1:
            una.press("a")
            una.sees("Between.")

    assert min(painted) < 1_000  # of two, so that it is the app that is measured and not what else this machine does
    assert una.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    expect(una.key("Approve")).to_be_in_viewport()
    una.press("a")
    una.sees("After it.")
    una.is_answered()
    assert [verdict for _, verdict in app.verdicts(flow)] == ["approve"] * 4


# Every page on which a text of a model, an application or a person is shown. Add a new page here with its texts.
PLACES = {
    "/home": (NAME,),
    "/history": ("newest first",),
    "/workflows": (NAME,),
    "/workflows?workflow={flow}": (NAME,),
    "/people": (NAME,),
    "/people?person={person}": (NAME, "Take away"),
    "/sources": (NAME,),
    "/deliveries": (NAME,),
    "/exports": ("Export",),
    "/eval_sets": (NAME,),
    "/eval_sets?version={version}": (NAME, "# Heading"),
    "/eval_runs": (NAME[:40],),
    "/eval_runs?run={run}": (NAME[:40], "# Heading"),
    "/quality?workflow={flow}": (NAME[:40],),
    "/models?workflow={flow}": (NAME[:40],),
}
WITHIN = (
    "img:not([alt='Logo']), iframe, .katex, b, h1 + h1,"
    " a[href*='evil']:not([href^='#']), a[href^='mailto'], a[href^='javascript']"
)


def hostile_run(app: App, version: Version) -> str:
    """Try candidates of hostile names: one answers well, one badly, one not at all, and a judge says why."""
    ways = [asking.way(f"{name} {NAME}".replace("://", ":/"), parameters={"stop": HOSTILE}) for name in "abc"]
    asked = Asked(tuple(ways), ("f1", scorers.JUDGE), ways[0])
    with app.database.writing() as session:
        run_id = asking.ask(session, OPERATOR, version.ref, asked)
        run = storing.take(session, run_id, prices=NAME)
        (case,) = eval_sets.cases(session, version.id)
    rows = []
    for number, error in enumerate((None, None, NAME)):
        said = storing.result(run, Work(number, case, 0), tries=1, error=error)
        rows.append(Row(storing.fresh_id(), said, output=None if error else f"{number} {HOSTILE}"))
        if error is None:
            rows[-1].scores.append((scorers.JUDGE, ScoredBy.JUDGE, float(not number), not number, None, HOSTILE))
    storing.flush(app.database, run, rows)
    with app.database.writing() as session:
        storing.end(session, run, RunOutcome.DONE)
    return run_id


@pytest.fixture
def hostile_house(app: App, workflow: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Call everything hostile that has a name; return the token of an admin (whose name is mended), and the ids."""
    token = app.sign_in(f"Zoe{workflow}", Role.ADMIN)
    person = app.row("SELECT id FROM person WHERE name = :name", name=f"Zoe{workflow}").id
    app.change("UPDATE person SET name = :name WHERE id = :id", name=NAME, id=person)
    with app.database.writing() as session:
        teams.add(session, OPERATOR, f"{NAME} {workflow}")
        by = access.actor(session, person)
        sources.add(session, by, f"{NAME} {workflow}", workflow, can_submit=True, can_read=True)
        views.save(session, by, "history", NAME[:60], {})
        endpoints.add(session, by, workflow, "https://evil.example/:tada:/**b**/www.evil.example?key=1")
        item = session.connection().execute(
            sa.text("SELECT id FROM item WHERE workflow_id = :flow AND model = :name LIMIT 1"),
            {"flow": workflow, "name": NAME},
        ).scalar_one()  # fmt: skip
        queue.escalate(session, item, by)
        flow = workflows.by_id(session, workflow)
    said = {"verdict": "correct", "correction": f"b {HOSTILE}", "reviewer": NAME, "reasons": [NAME]}
    past(
        app.database, flow, [said | {"decided_at": "2026-01-02T00:00:00Z"}], model=NAME, prompt=HOSTILE, output=HOSTILE
    )
    made = making.make(app.database, OPERATOR, f"{NAME} {workflow}", flow.name, Wanted())
    yield token, {"flow": workflow, "person": person, "version": made.id, "run": hostile_run(app, made)}
    app.change("UPDATE person SET name = 'Zoe' WHERE id = :id", id=person)


def nothing_made_by_markup(tab: Tab, place: str) -> None:
    """Check that a page of Streamlit's holds nothing that markup has made, also where it is folded away."""
    tab.settle()
    tab.unfold()
    made = tab.page.locator("body").locator(WITHIN)
    assert (place, [one.evaluate("one => one.outerHTML") for one in made.all()]) == (place, [])


def test_every_page_shows_hostile_names_and_texts_as_text(
    app: App, tab: Callable[..., Tab], hostile_house: tuple[str, dict[str, Any]]
) -> None:
    token, ids = hostile_house
    zoe = tab(app, token)

    for place, words in PLACES.items():
        zoe.open(place.format(**ids))
        for word in words:
            zoe.page.get_by_text(word, exact=False).first.wait_for(state="attached")
        nothing_made_by_markup(zoe, place)


def test_what_a_page_says_after_something_was_done_there_is_text_too(
    app: App, tab: Callable[..., Tab], hostile_house: tuple[str, dict[str, Any]]
) -> None:
    token, ids = hostile_house
    zoe, rae = tab(app, token), tab(app, app.sign_in(f"Rae{ids['flow']}", Role.REVIEWER, ids["flow"]))

    zoe.open("/history")
    zoe.settle()
    zoe.page.get_by_role("button", name="Saved views").click()
    zoe.reads(NAME[:40])
    nothing_made_by_markup(zoe, "saved views")
    zoe.open("/sources")
    zoe.settle()
    file = {"name": f"{NAME.replace('/', ':')}.csv", "mimeType": "text/plain", "buffer": FILE.encode()}
    zoe.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([file])  # type: ignore[list-item]
    zoe.reads("The first items, as they would come in")
    zoe.reads("would be set aside")
    nothing_made_by_markup(zoe, "an upload")
    zoe.page.get_by_role("button", name="New key").first.click()
    zoe.reads("shown only this once")
    nothing_made_by_markup(zoe, "a new key")
    rae.open("/people")
    rae.reads(f"Ask an admin for the role: {NAME[:10]}")
    nothing_made_by_markup(rae, "a page of others")


def test_the_list_of_hostile_places_names_every_page() -> None:
    names = {path.stem for path in (Path(__file__).resolve().parents[2] / "pages").glob("*.py")}
    assert names == {place.split("?")[0].strip("/") for place in PLACES} | {"review"}
