"""No cell of a CSV is a formula, and every text comes back."""

import csv
import io
import unicodedata

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from db.clock import iso
from neuro_review.exports.cells import PLAIN_NUMBER, escape_cell, unescape_cell
from neuro_review.exports.tables import escaped
from neuro_review.exports.times import time_texts

FIRST = "=+-@|%＝＋－＠｜％'\t\r\n \u00a0\u200b\ufeff\u3000\x01"
texts = st.builds(str.__add__, st.text(FIRST, max_size=4), st.text(max_size=20)).filter(lambda text: "\0" not in text)
hostile = st.one_of(texts, st.text(max_size=20).filter(lambda text: "\0" not in text))


def is_formula(cell: str) -> bool:
    """What a spreadsheet may execute, said in other words than the code says it."""
    if cell.startswith(("\t", "\r", "\n")):
        return True
    shown = cell.lstrip("".join(map(chr, range(33))) + "\x7f\u00a0\u200b\ufeff\u3000")
    return unicodedata.normalize("NFKC", shown[:1])[:1] in tuple("=+-@|%") and shown[:1] not in "⁺₊⁻₋﹢﹣﹦﹪﹫٪﬩"


@settings(deadline=None)
@given(hostile)
def test_no_escaped_cell_is_a_formula_unless_it_is_a_plain_number(text: str) -> None:
    cell = escape_cell(text)

    assert not is_formula(cell) or PLAIN_NUMBER.fullmatch(cell)


@settings(deadline=None)
@given(hostile)
def test_unescaping_gives_back_every_text(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


@settings(deadline=None)
@given(st.lists(st.none() | hostile))
def test_a_column_is_escaped_as_its_cells_are(column: list[str | None]) -> None:
    expected = [None if text is None else escape_cell(text) for text in column]

    assert escaped(pa.array(column, pa.string())).to_pylist() == expected


def test_known_attacks_are_disarmed_and_numbers_are_left_alone() -> None:
    attacks = ['=HYPERLINK("http://x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", " =1", "＝1", "%0A=1", "|x"]

    assert [escape_cell(text)[0] for text in attacks] == ["'"] * len(attacks)
    assert [escape_cell(text) for text in ("-5", "+3.2e-5", "0", "plain", "a=b")] == [
        "-5",
        "+3.2e-5",
        "0",
        "plain",
        "a=b",
    ]


@settings(deadline=None)
@given(st.integers(-(1 << 52), 1 << 56))
def test_a_time_is_written_as_the_clock_writes_it(at: int) -> None:
    assert time_texts([at, None]) == [iso(at), None]


@settings(deadline=None)
@given(st.lists(hostile, min_size=1))
def test_a_csv_reader_reads_what_was_quoted(column: list[str]) -> None:
    import pyarrow.csv as arrow_csv

    from neuro_review.exports.tables import CSV_OPTIONS

    out = io.BytesIO()
    arrow_csv.write_csv(pa.RecordBatch.from_arrays([escaped(pa.array(column))], ["a"]), out, CSV_OPTIONS)

    read = csv.reader(io.StringIO(out.getvalue().decode(), newline=""))
    assert [unescape_cell(row[0]) for row in read] == column
