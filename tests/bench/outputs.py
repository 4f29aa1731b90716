"""Real outputs of models, from the data that people were given to try things with; nothing of it is ours to ship."""

import csv
import random
from collections.abc import Iterator
from typing import Any

import orjson

from tests.conftest import DATA

SHORTEST, LONGEST = 500, 4_000
HALUEVAL = DATA / "halueval" / "general_data.json"
XSTEST = DATA / "xstest"
MISSING = (
    "The real outputs are not here. Put halueval/general_data.json of github.com/RUCAIBox/HaluEval into the folder"
    " shared/data beside the checkout."
)


def are_here() -> bool:
    return HALUEVAL.exists()


def real() -> list[tuple[str, str, str]]:
    """Return model, prompt and output of every real answer there is."""
    rows = [orjson.loads(line) for line in HALUEVAL.read_bytes().splitlines()]
    found = [("chatgpt", row["user_query"], row["chatgpt_response"]) for row in rows]
    for path in sorted(XSTEST.glob("xstest_v2_completions_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            model = path.stem.removeprefix("xstest_v2_completions_")
            found += [(model, row["prompt"], row["completion"]) for row in csv.DictReader(file)]
    return [one for one in found if one[2].strip()]


def submissions(many: int) -> Iterator[dict[str, Any]]:
    """Yield so many rows of 500 to 4,000 characters, the same in every run, no two alike.

    No real answer there is longer than some 1,500 characters: a longer text is several of them, one below the other.
    """
    answers, chance = real(), random.Random(many)
    chance.shuffle(answers)
    at = 0
    for n in range(many):
        wanted, end = chance.randint(SHORTEST, LONGEST), f"\n\n({n})"
        model, prompt, text = answers[at % len(answers)]
        at += 1
        while len(text) + len(end) < wanted:
            following = answers[at % len(answers)][2]
            at += 1
            if len(text) + len(following) + len(end) + 2 > LONGEST:
                break
            text += f"\n\n{following}"
        yield {"external_id": str(n), "model": model, "prompt": prompt, "output": text + end}
