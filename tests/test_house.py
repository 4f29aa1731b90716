"""The shape of the house: what may lie at the top, who may import whom, how large a room may grow."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP = {"app.py", "pages", "neuro_review", "db", "tests", "requirements.txt", "README.md", "pyproject.toml", "LICENSE"}
# From the ground up; a room may import what stands before it in this list, and what shares its line.
FLOORS = (
    ("errors", "stats", "words", "phrases", "likeness", "rendering", "charts", "client", "labels"),
    ("integrations",),
    ("settings", "content", "cycles", "beside"),
    ("audit", "rollups", "outbound", "mail", "coin", "llm"),
    ("access",),
    ("workflows", "teams"),
    ("people", "sources"),
    ("lifecycle",),
    ("queue",),
    ("intake",),
    ("decisions", "releases", "history"),
    ("eval_sets", "scorers", "quality"),
    ("sessions", "samples", "imports", "exports", "verify", "bulk", "views", "gate", "deadlines"),
    ("eval_runs",),
    ("desk", "models", "deliveries"),
    ("stories", "overview"),
    ("jobs", "invitations", "backups"),
    ("worker",),
    ("api",),
    ("web",),
    ("ui", "cli"),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# What argues for its size, and how.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
FILE_LINES, FUNCTION_LINES = 400, 40


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file() and ".venv" not in p.parts]


def product() -> list[Path]:
    return [
        ROOT / name for name in tracked()
        if name.endswith(".py") and not name.startswith(("tests/", "db/migrations/versions/"))
    ]  # fmt: skip


def imports(path: Path) -> list[tuple[str, bool]]:
    """Return what a file imports, and whether inside a function."""
    found = []
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "neuro_review" else [module]
            found += [(name, id(node) in inside) for name in names]
    return found


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "neuro_review").parts
    return parts[0].removesuffix(".py")


def test_nothing_that_is_committed_is_a_link_to_somewhere_else() -> None:
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []


def test_the_top_level_holds_the_users_layout_and_nothing_else() -> None:
    there = {name.split("/")[0] for name in tracked()}

    assert {name for name in there if not name.startswith(".")} <= TOP


def test_imports_run_down() -> None:
    wrong = []
    for path in product():
        name = str(path.relative_to(ROOT))
        for imported, _ in imports(path):
            top = imported.split(".")[0]
            if name.startswith("db/") and top in ("neuro_review", "pages", "app", "streamlit"):
                wrong.append(f"{name} imports {imported}")
            if name.startswith("neuro_review/") and top in ("pages", "app"):
                wrong.append(f"{name} imports {imported}")
            if name.startswith("neuro_review/") and imported.startswith("neuro_review."):
                mine, theirs = room(path), imported.split(".")[1]
                if theirs in FLOOR and theirs != mine and FLOOR[theirs] >= FLOOR[mine]:
                    wrong.append(f"{name} imports {imported}, which is not below it")
    assert wrong == []


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room(path) for path in product() if str(path.relative_to(ROOT)).startswith("neuro_review/")}

    assert rooms - {"__init__"} == set(FLOOR) & rooms


def test_pages_know_neither_the_database_nor_frames() -> None:
    known = {"db", "sqlalchemy", "sqlmodel", "pandas", "numpy"}

    wrong = [
        f"{path.name} imports {imported}"
        for path in (ROOT / "pages").glob("*.py")
        for imported, _ in imports(path)
        if imported.split(".")[0] in known and not imported.startswith("db.tables.words")
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("streamlit", ("app.py", "pages/", "neuro_review/ui")),
        ("litellm", ("neuro_review/llm", "neuro_review/integrations/litellm")),
        ("altair", ("neuro_review/charts",)),
    ],
)
def test_a_library_has_one_door(library: str, allowed: tuple[str, ...]) -> None:
    wrong = [
        str(path.relative_to(ROOT)) for path in product() for imported, _ in imports(path)
        if imported.split(".")[0] == library and not str(path.relative_to(ROOT)).startswith(allowed)
    ]  # fmt: skip

    assert wrong == []


def test_only_the_lifecycle_writes_a_status() -> None:
    in_sql = re.compile(r"UPDATE item SET (?:(?!WHERE).)*?\bstatus\s*=", re.IGNORECASE | re.DOTALL)

    def writes(path: Path) -> bool:
        assigned = [
            target
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Assign | ast.AugAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        by_name = any(isinstance(target, ast.Attribute) and target.attr == "status" for target in assigned)
        return by_name or in_sql.search(path.read_text()) is not None

    assert [path.name for path in product() if writes(path)] == ["lifecycle.py"]


def test_no_room_outgrows_its_walls() -> None:
    long = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in product()}

    assert {name: lines for name, lines in long.items() if lines > FILE_LINES and name not in LONG_FILES} == {}


def test_no_function_outgrows_a_screen() -> None:
    long = {}
    for path in product():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(p.relative_to(ROOT)) for p in product() if not ast.get_docstring(ast.parse(p.read_text()))]

    assert silent == []


def test_nothing_names_a_machine_or_leaves_work_undone() -> None:
    words = re.compile("|".join(["/ro" + "ot/", "/wo" + "rk/", "TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]))

    wrong = [
        f"{name}:{number}" for name in tracked() if Path(name).suffix in {".py", ".md", ".toml", ".css", ".js", ""}
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1) if words.search(line)
    ]  # fmt: skip

    assert wrong == []


def test_the_code_is_clean() -> None:
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "."],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    form = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ruff.returncode == 0, ruff.stdout
    assert form.returncode == 0, form.stdout


def test_the_types_fit() -> None:
    mypy = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert mypy.returncode == 0, mypy.stdout


def test_the_readme_names_every_command_setting_and_page() -> None:
    from neuro_review.__main__ import COMMANDS
    from neuro_review.settings import Settings

    readme = (ROOT / "README.md").read_text()
    wanted = [*COMMANDS, *(f"NEURO_REVIEW_{name.upper()}" for name in Settings.model_fields)]
    wanted += [path.stem.replace("_", " ").capitalize() for path in (ROOT / "pages").glob("*.py")]

    assert [name for name in wanted if name not in readme] == []
