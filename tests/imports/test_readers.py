"""Readers: every format gives the rows that are in it, and passes by those that are broken."""

import csv
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as some

from neuro_review.errors import InvalidError, NotFoundError
from neuro_review.imports import arrays
from neuro_review.imports.json_rows import BadRow, Row
from neuro_review.imports.readers import Format, reading
from neuro_review.settings import settings

texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
values = some.recursive(
    some.none() | some.booleans() | some.integers(-(1 << 63), (1 << 64) - 1) | some.floats(allow_nan=False,
    allow_infinity=False) | texts,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
json_rows = some.lists(some.dictionaries(texts, values, max_size=5), min_size=1, max_size=8)
table_rows = some.integers(1, 4).flatmap(
    lambda width: some.lists(some.lists(texts, min_size=width, max_size=width), min_size=1, max_size=8)
)


def rows(path: Path) -> list[Row | BadRow]:
    with reading(path) as opened:
        return list(opened.rows)


def good(path: Path) -> list[dict[str, Any]]:
    return [row.values for row in rows(path) if isinstance(row, Row)]


def bad(path: Path) -> list[tuple[int, str]]:
    return [(row.number, row.reason) for row in rows(path) if isinstance(row, BadRow)]


def put(folder: Path, name: str, raw: bytes) -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@tries(max_examples=150, deadline=None)
@given(json_rows, some.booleans(), some.sampled_from(["\n", "\r\n", "\n\n"]))
def test_json_lines_are_read_back(folder: Path, given_rows: list[dict[str, Any]], ascii_only: bool, end: str) -> None:
    path = put(folder, "a.jsonl", end.join(json.dumps(row, ensure_ascii=ascii_only) for row in given_rows).encode())

    assert rows(path) and good(path) == given_rows


@tries(max_examples=150, deadline=None)
@given(json_rows, some.booleans(), some.sampled_from([None, 2]), some.integers(1, 40))
def test_a_json_array_is_read_back_however_its_bytes_arrive(
    folder: Path, given_rows: list[dict[str, Any]], ascii_only: bool, indent: int | None, chunk: int
) -> None:
    path = put(folder, "a.json", json.dumps(given_rows, ensure_ascii=ascii_only, indent=indent).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK", chunk)
        assert good(path) == given_rows
        assert bad(path) == []


@tries(max_examples=150, deadline=None)
@given(table_rows, some.sampled_from([",", ";", "\t"]))
def test_csv_is_read_back(folder: Path, cells: list[list[str]], delimiter: str) -> None:
    columns = [f"column {i}" for i in range(len(cells[0]))]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([columns, *cells])
    path = put(folder, "a.csv", file.getvalue().encode())

    assert good(path) == [dict(zip(columns, [cell or None for cell in row], strict=True)) for row in cells]
    assert bad(path) == []


@tries(max_examples=100, deadline=None)
@given(table_rows)
def test_parquet_is_read_back(folder: Path, cells: list[list[str]]) -> None:
    columns = [f"column {i}" for i in range(len(cells[0]))]
    given_rows = [dict(zip(columns, row, strict=True)) for row in cells]
    pq.write_table(pa.Table.from_pylist(given_rows), folder / "a.parquet")

    assert good(folder / "a.parquet") == given_rows


@pytest.mark.parametrize(
    ("name", "raw", "form"),
    [
        ("a.json", b'{"a": 1}\n{"a": 2}', Format.LINES),
        ("a.jsonl", b'  [ {"a": 1}, {"a": 2} ]', Format.ARRAY),
        ("a.dat", b'\xef\xbb\xbf{"a": 1}\n{"a": 2}', Format.LINES),
        ("a", b"\xef\xbb\xbfa\n1\n2\n", Format.CSV),
        ("a.tsv", b"a\tb\r\n1\t2\r\n", Format.CSV),
    ],
)
def test_the_format_is_what_the_bytes_say(tmp_path: Path, name: str, raw: bytes, form: Format) -> None:
    with reading(put(tmp_path, name, raw)) as opened:
        assert opened.format is form
        assert all(isinstance(row, Row) and "a" in row.values for row in opened.rows)


TOO_LONG = "A whole number has more than 64 bits and cannot be kept exactly. Write it as a text."
BROKEN_LINES = {
    b'{"a": "\xff"}': "Byte 8 (0xFF) is not UTF-8. Save the file as UTF-8.",
    b'{"a": 1': "This is no valid JSON: unexpected end of data (character 8).",
    b"[1, 2]": "This is JSON, but not an object. Write one object a row.",
    b'"a"': "This is JSON, but not an object. Write one object a row.",
    b'{"a": "\\ud800"}': "Character 8 is half of a surrogate pair, which is no character.",
    b'{"a": NaN}': "NaN, Infinity and numbers beyond a float are no JSON. Leave out what is not known.",
    b'{"a": -Infinity}': "NaN, Infinity and numbers beyond a float are no JSON. Leave out what is not known.",
    b'{"a": 1e999}': "NaN, Infinity and numbers beyond a float are no JSON. Leave out what is not known.",
    b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}": "The row is nested too deeply. Flatten it.",
    b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}": "The row is nested too deeply. Flatten it.",
    b'{"a": ' + b"9" * 200 + b"}": TOO_LONG,
    b'{"a": 18446744073709551616}': TOO_LONG,
    b'{"a": 1, "a": 2}': "The key “a” stands twice in one object. Keep one.",
    b'{"b": [{"a" :1,"a":2}]}': "The key “a” stands twice in one object. Keep one.",
    b'{"a\\u003a": 1, "b": 1, "b": 2}': "The key “b” stands twice in one object. Keep one.",
}  # fmt: skip


@pytest.mark.parametrize("as_array", [False, True], ids=["lines", "array"])
@pytest.mark.parametrize("line", BROKEN_LINES, ids=range(len(BROKEN_LINES)))
def test_a_broken_row_is_passed_by_and_named(tmp_path: Path, line: bytes, as_array: bool) -> None:
    around = [b'{"a": 1}', line, b'{"a": 3}']
    raw = b"[" + b",".join(around) + b"]" if as_array else b"\n".join(around)
    path = put(tmp_path, "a.json", raw)

    if as_array and line == b'{"a": 1':  # the border of this one cannot be seen
        assert good(path) == [{"a": 1}]
        assert [number for number, _ in bad(path)] == [2]
        return
    assert good(path) == [{"a": 1}, {"a": 3}]
    assert bad(path) == [(2, BROKEN_LINES[line])]


def test_what_looks_like_a_loss_and_is_none_is_kept(tmp_path: Path) -> None:
    kept = [{"a": "1234567890123456789012"}, {"a": 18446744073709551615}, {"a": 'b: c \\: {"d": 1}'}, {"a:": {":": 1}}]
    path = put(tmp_path, "a.jsonl", "\n".join(json.dumps(row, separators=(" , ", " : ")) for row in kept).encode())

    assert good(path) == kept


@pytest.mark.parametrize("form", ["lines", "array", "csv"])
def test_a_huge_row_is_passed_by_without_being_held_in_memory(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_MAX_BODY_BYTES", "100000")
    settings.cache_clear()
    huge = b'x\\"' * 10_000_000
    raw = {
        "lines": b'{"a":"1"}\n{"a":"' + huge + b'"}\n{"a":"3"}',
        "array": b'[{"a":"1"},{"a":"' + huge + b'"},{"a":"3"}]',
        "csv": b'a\n1\n"' + huge + b'"\n3\n',
    }[form]  # fmt: skip
    path = put(tmp_path, "a.csv" if form == "csv" else "a.json", raw)
    del raw

    tracemalloc.start()
    found = rows(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [row.values["a"] for row in found if isinstance(row, Row)] == ["1", "3"]
    assert ["at most" in row.reason for row in found if isinstance(row, BadRow)] == [True]
    assert peak < 8 << 20


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_row_over_the_limit_is_passed_by_however_it_is_spread(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURO_REVIEW_MAX_BODY_BYTES", "100000")
    settings.cache_clear()
    cells = ["line\n" * 15_000, "line\n" * 15_000]
    if form == "csv":
        path = put(tmp_path, "a.csv", ('a,b\n1,2\n"' + '","'.join(cells) + '"\n3,4\n').encode())
    else:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"a": ["1", cells[0], "3"], "b": ["2", cells[1], "4"]}), path)

    assert good(path) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert ["at most" in reason for _, reason in bad(path)] == [True]


def test_csv_rows_with_the_wrong_cells_or_quotes_are_passed_by(tmp_path: Path) -> None:
    raw = b'a,b\n1,2\n3\n4,5,6\n\n7,"x"y\n8,\xff\n9,"two\nlines"\n10,"open\n11,12\n'
    path = put(tmp_path, "a.csv", raw)

    assert good(path) == [{"a": "1", "b": "2"}, {"a": "9", "b": "two\nlines"}, {"a": "11", "b": "12"}]
    assert bad(path) == [
        (3, "The row has 1 cells, the first line names 2. Check its quotes."),
        (4, "The row has 3 cells, the first line names 2. Check its quotes."),
        (6, "This is no valid CSV: ',' expected after '\"'. Check its quotes."),
        (7, "Byte 3 (0xFF) is not UTF-8. Save the file as UTF-8."),
        (10, "A quote opens a cell here and nothing closes it. Close it, or write it twice."),
    ]


def test_what_comes_after_a_broken_array_is_told(tmp_path: Path) -> None:
    assert bad(put(tmp_path, "a.json", b'[{"a": 1}] {"a": 2}')) == [
        (2, "After the end of the array there is more. Check how the file was written.")
    ]
    assert [number for number, _ in bad(put(tmp_path, "b.json", b'[{"a": 1}, {"a": '))] == [2]
    assert [number for number, _ in bad(put(tmp_path, "c.json", b'[{"a": 1}, , {"a": 2}]'))] == [2]
    assert rows(put(tmp_path, "d.json", b"[ ]")) == []


REFUSED = {
    "a.jsonl": (b"", "is empty. Nothing was imported."),
    "b.csv": (b"\xef\xbb\xbf \r\n", "is empty. Nothing was imported."),
    "c.csv": ("a,b\n1,2\n".encode("utf-16"), "is UTF-16. Save it as UTF-8 and import it again."),
    "d.jsonl": ('{"a": 1}\n'.encode("utf-16-le"), "is UTF-16. Save it as UTF-8 and import it again."),
    "e.jsonl": (b"\x1f\x8b\x08rest", "is compressed. Unpack it first."),
    "f.xlsx": (b"PK\x03\x04rest", "is a ZIP archive or a spreadsheet. Unpack it, or save it as CSV."),
    "g.parquet": (b"a,b\n1,2\n", "is called Parquet but is none. Check how it was written."),
    "h.csv": (b"a,a\n1,2\n", "Two columns of {} are called “a”. Rename one."),
    "i.csv": (b'"a\n1,2\n', "A quote opens a cell here and nothing closes it."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_data_is_refused_with_one_sentence(tmp_path: Path, name: str) -> None:
    raw, says = REFUSED[name]
    path = put(tmp_path, name, raw)

    with pytest.raises(InvalidError) as refusal:
        rows(path)

    assert says.format(path) in str(refusal.value)


def test_a_folder_or_nothing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidError, match=r"is a folder. Name a file, or import what arrives in a folder with --watch"
    ):
        rows(tmp_path)
    with pytest.raises(NotFoundError, match="There is no file"):
        rows(tmp_path / "nothing.csv")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "a.parquet", b"PAR1" + b"x" * 100 + b"PAR1")

    with pytest.raises(InvalidError, match="is damaged after row 0"):
        rows(path)


def test_what_only_parquet_can_hold_becomes_text_and_numbers(tmp_path: Path) -> None:
    table = pa.table({
        "at": pa.array([1_700_000_000_000_000], pa.timestamp("us")),
        "cost": pa.array(["0.25"]).cast(pa.decimal128(10, 2)),
        "nan": [float("nan")],
        "raw": [b"bytes"],
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "nested": [{"list": [1, 2]}],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")

    assert good(tmp_path / "a.parquet") == [
        {"at": "2023-11-14T22:13:20", "cost": 0.25, "nan": None, "raw": "bytes", "map": {"k": 1},
         "nested": {"list": [1, 2]}}
    ]  # fmt: skip


def test_a_parquet_cell_that_is_no_text_costs_one_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [b"one", b"\xff", b"three"]}), tmp_path / "a.parquet")
    # Broken UTF-8 in a column that says it is text: pyarrow writes it as it is.
    broken = pa.Array.from_buffers(pa.string(), 3, pa.array([b"one", b"\xff", b"three"]).buffers())
    pq.write_table(pa.table({"a": broken}), tmp_path / "b.parquet")

    for name in ("a.parquet", "b.parquet"):
        assert good(tmp_path / name) == [{"a": "one"}, {"a": "three"}]
        assert [number for number, _ in bad(tmp_path / name)] == [2]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_standard_input_is_read_whatever_it_holds(tmp_path: Path, form: str) -> None:
    if form == "jsonl":
        raw = b'{"a": 1}\n{"a": 2}\n'
    else:
        pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
        raw = (tmp_path / "a.parquet").read_bytes()
    code = "from neuro_review.imports.readers import reading\nwith reading('-') as r: print([x.values for x in r.rows])"

    done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=True)

    assert done.stdout == b"[{'a': 1}, {'a': 2}]\n"
