"""Files in and out, in a real browser: upload, map, import, then export and download what was said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from db.tables import Role
from tests.browser.house import App, Tab, expect

pytestmark = pytest.mark.browser
ROWS = 40


def outputs() -> str:
    """Return a file as another tool would write it, with verdicts, and one row that cannot be used."""
    rows = [
        f'{i},"What about order {i}?","=HYPERLINK(""http://evil.example"") answer {i}",larch,approve'
        for i in range(ROWS)
    ]
    return "\n".join(["id,question,bot_answer,llm,verdict", *rows, "99,?,,larch,approve", ""])


def test_a_file_goes_in_and_its_labels_come_out(app: App, tab: Callable[..., Tab], tmp_path: Path) -> None:
    flow = app.add_workflow("Files", [])
    olu = tab(app, app.sign_in("Filo", Role.OWNER, flow))
    file = tmp_path / "chat.csv"
    file.write_text(outputs())

    olu.open("/sources")
    olu.settle()
    olu.page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    olu.reads("would be set aside")
    olu.page.get_by_role("button", name=f"Import {ROWS + 1} rows").click()
    olu.reads(f"{ROWS + 1} rows read: {ROWS} labels of the past, 1 set aside.")
    with olu.page.expect_download() as rejected:
        olu.page.get_by_role("link", name="Download the 1 row set aside").click()
    assert "output is missing" in Path(rejected.value.path()).read_text()

    olu.open("/exports")
    olu.reads(f"{ROWS} reviews.")
    olu.settle()
    olu.lists(olu.page.get_by_role("combobox", name="Format"))
    olu.page.get_by_role("option", name="CSV", exact=True).click()
    olu.settle()
    olu.page.get_by_role("button", name=f"Export {ROWS} reviews").click()
    with olu.page.expect_download() as exported:
        olu.page.get_by_role("link", name="Download", exact=True).click()

    text = Path(exported.value.path()).read_text()
    assert len(text.splitlines()) == ROWS + 1
    assert "'=HYPERLINK" in text
    assert exported.value.suggested_filename.startswith("files-")
    expect(olu.page.get_by_text("40 rows: 40 approve")).to_be_attached()
