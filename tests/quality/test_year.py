"""The demo has a year of labels in which something can be seen."""

from db.engine import Database
from neuro_review import workflows
from neuro_review.quality import keeping, models, table
from neuro_review.quality.periods import Per
from neuro_review.samples import year
from tests.conftest import Team


def test_a_year_of_labels_shows_three_models_of_which_one_became_worse(db: Database, team: Team) -> None:
    with db.writing() as session:
        loaded = year.load_year(session, team.ada)

    with db.reading() as session:
        flow = workflows.by_name(session, year.NAME)
        rows = table.rows(session, team.ada, flow.id, per=Per.WEEK)
        found = models.compare(session, team.ada, flow.id)
    fennel = [row for row in rows if row.model == "fennel-9b"]
    before, after = fennel[:-11], fennel[-9:]

    assert loaded == year.DAYS * year.A_DAY
    assert {row.model for row in rows} == {"larch-small-2", "larch-large-2", "fennel-9b"}
    assert sum(row.bad for row in after) / sum(row.labels for row in after) > 0.13
    assert sum(row.bad for row in before) / sum(row.labels for row in before) < 0.09
    assert "larch-small-2 costs least" in found.because
    days = keeping.span(db, flow.id)
    assert days is not None
    assert keeping.check(db, *days, workflow_id=flow.id) == []
