"""Rows to measure with, about 0.9 kB each: made of our own words, the same in every run."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

WORDS = (
    "the order was shipped on Monday and arrives within three days you can return it free of charge if it does not fit"
    " please keep the receipt because our team needs the number of your customer account to find the payment again we"
    " are sorry for the delay and have added a voucher to it which is valid until the end of next year"
)
VERDICTS = ("approve", "approve", "approve", "correct", "reject")
REASONS = ("Tone", "Invented policy", "Wrong fact or number")
START = 1_700_000_000  # seconds since 1970


def sentences(many: int, words: int) -> list[str]:
    """Return texts of so many words."""
    chance, known = random.Random(many * words), WORDS.split()
    return [" ".join(chance.choices(known, k=words)).capitalize() + "." for _ in range(many)]


def submissions(many: int, *, scattered: bool = False) -> Iterator[dict[str, Any]]:
    """Yield rows to be held: ids and times ascend, or jump about as keys and clocks of other systems do."""
    asked, said, chance = sentences(997, 25), sentences(1_009, 118), random.Random(many)
    for n in range(many):
        name = f"{chance.getrandbits(64):016x}-{n % 7}" if scattered else f"order-{n:09}"
        at = START + (chance.randrange(3_600) if scattered else n)
        yield {
            "external_id": name, "model": f"model-{n % 4}", "prompt": asked[n % 997],
            "output": f"{said[n % 1_009]} {n}", "created_at": at,
            "cost_usd": 0.001 + n % 50 / 10_000, "latency_ms": 300 + n % 900,
            "metadata": {"team": f"team-{n % 5}"},
        }  # fmt: skip


def labels(many: int) -> Iterator[dict[str, Any]]:
    """Yield rows of the past, each with one verdict."""
    for n, row in enumerate(submissions(many)):
        verdict = VERDICTS[n % len(VERDICTS)]
        row |= {"verdict": verdict, "reviewer": f"reviewer-{n % 20}@example.com", "decided_at": row["created_at"] + 60}
        if verdict == "correct":
            row["correction"] = row["output"].replace("order", "parcel") + " Thank you."
        if verdict == "reject":
            row["reasons"] = [REASONS[n % len(REASONS)]]
        yield row


def write(rows: Iterator[dict[str, Any]], path: Path) -> Path:
    """Write rows as JSON lines."""
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row) + b"\n")
    return path
