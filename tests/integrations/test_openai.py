"""The README's example with the real `openai` client, run as it stands there."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from db.tables import Verdict
from tests.client.conftest import Served, later, until
from tests.client.test_readme import SECONDS, example, run
from tests.llm_server import LanguageModel


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_example_receives_what_the_reviewer_wrote(
    served: Served, llm: LanguageModel, installed: Path, tmp_path: Path
) -> None:
    code = example("From Python", number=1)
    where = {"NEURO_REVIEW_URL": served.url, "NEURO_REVIEW_KEY": served.key}
    program = run(code, installed, tmp_path, **where, OPENAI_API_KEY="k", OPENAI_BASE_URL=llm.url)
    later(lambda: until(served.somebody_waits) and served.decide(Verdict.CORRECT, "Yes, if they are unused."))
    said, errors = program.communicate(timeout=SECONDS)

    assert (said, errors) == ("Yes, if they are unused.\n", "")
    with served.db.reading() as session:
        stored = session.connection().execute(sa.text("SELECT external_id, prompt_tokens, completion_tokens FROM item"))
        assert [tuple(row) for row in stored] == [("chatcmpl-1", 5, 4)]
