"""Scorers: what code can say of an answer, held against what reviewers approved, corrected or rejected.

A scorer is named `NAME` or `NAME:ARGUMENT`. Those that need a target are asked only of cases that have one, `must_not`
only of cases whose output was rejected, so that several scorers together cover a set.

* exact            the answer is the target, but for blanks at the ends
* includes         the target is in the answer, whatever the case of letters
* regex:PATTERN    the pattern is found in the answer
* numeric:0.01     the last number is the target's last number, within so much; `numeric:5%` within a share of it
* json_schema:{…}  the answer is JSON of this schema
* f1:0.5           the answer shares so many words with the target (harmonic mean of both shares)
* must_not:0.8     the answer shares fewer words with the rejected one, and is not nearly the same
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from neuro_review import likeness
from neuro_review.errors import InvalidError

DEFAULT = ("f1", "must_not")
JUDGE = "judge"
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:[eE]-?\d+)?")
LONGEST_FOR_A_PATTERN = 20_000  # characters, because a pattern can be slow and an answer hostile
FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)


@dataclass(frozen=True)
class Score:
    """What a scorer says: a value from 0 to 1, and whether it is enough."""

    value: float
    passed: bool


@dataclass(frozen=True)
class Scorer:
    """A scorer, ready to be asked."""

    name: str
    """As it was named, with its argument."""
    needs: str
    """`target`, `rejected` or nothing."""
    score: Callable[[str, str], Score]
    """Of an answer and what it is held against."""

    def of(self, answer: str, *, target: str | None, rejected: str | None) -> Score | None:
        """Return the score of an answer; None where this scorer has nothing to say of the case."""
        against = {"target": target, "rejected": rejected if target is None else None, "": ""}[self.needs]
        return None if against is None else self.score(answer, against)


def parse(spec: str) -> Scorer:
    """Return the scorer that a text names.

    Raises:
        InvalidError: there is none by that name, or its argument cannot be used.
    """
    name, _, argument = spec.partition(":")
    maker = MAKERS.get(name)
    if maker is None:
        raise InvalidError(f"There is no scorer “{name}”. There are: {', '.join(sorted([*MAKERS, JUDGE]))}.", "scorer")
    needs, make = maker
    try:
        return Scorer(spec, needs, make(argument))
    except (ValueError, re.error, orjson.JSONDecodeError) as error:
        raise InvalidError(f"The scorer {name} cannot use “{argument}”: {error}.", "scorer") from error


def _yes(said: bool) -> Score:
    return Score(float(said), said)


def _exact(argument: str) -> Callable[[str, str], Score]:
    return lambda answer, target: _yes(answer.strip() == target.strip())


def _includes(argument: str) -> Callable[[str, str], Score]:
    return lambda answer, target: _yes(target.strip().casefold() in answer.casefold())


def _regex(argument: str) -> Callable[[str, str], Score]:
    if not argument:
        raise ValueError("it needs a pattern, like regex:^Yes")
    pattern = re.compile(argument)
    return lambda answer, _: _yes(pattern.search(answer[:LONGEST_FOR_A_PATTERN]) is not None)


def _numeric(argument: str) -> Callable[[str, str], Score]:
    relative = argument.endswith("%")
    tolerance = float(argument.removesuffix("%") or 0) / (100 if relative else 1)
    if not 0 <= tolerance < float("inf"):
        raise ValueError("a tolerance is not negative")

    def score(answer: str, target: str) -> Score:
        wanted, said = number(target), number(answer)
        if wanted is None or said is None:
            return _yes(wanted is None and answer.strip() == target.strip())
        return _yes(abs(said - wanted) <= tolerance * (abs(wanted) if relative else 1) + 1e-12)

    return score


def number(text: str) -> float | None:
    """Return the last number in a text, which is where an answer ends up."""
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def _json_schema(argument: str) -> Callable[[str, str], Score]:
    import jsonschema  # noqa: PLC0415 - a tenth of a second, for one scorer of many

    schema: Any = orjson.loads(argument or "{}")
    if any(not ref.startswith("#") for ref in _references(schema)):
        raise ValueError("it may refer to itself alone, by # and a path: nothing is fetched")
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"it is no JSON schema ({error.message})") from error
    validator = kind(schema)

    def score(answer: str, _: str) -> Score:
        fenced = FENCED.match(answer)
        try:
            return _yes(validator.is_valid(orjson.loads(fenced.group(1) if fenced else answer)))
        except (orjson.JSONDecodeError, RecursionError):  # no JSON, or nested without end: an answer can be hostile
            return _yes(False)

    return score


def _references(schema: Any) -> Iterator[str]:
    """Yield what a schema refers to; jsonschema would fetch an address by itself, from inside this house."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def shared(one: str, other: str) -> float:
    """Return how many words two texts share: the harmonic mean of both shares, 1 where both are empty."""
    left, right = (Counter(likeness.words(text)) for text in (one, other))
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0


def _f1(argument: str) -> Callable[[str, str], Score]:
    least = _share(argument, 0.5)

    def score(answer: str, target: str) -> Score:
        value = shared(answer, target)
        return Score(value, value >= least)

    return score


def _must_not(argument: str) -> Callable[[str, str], Score]:
    most = _share(argument, 0.8)

    def score(answer: str, rejected: str) -> Score:
        alike = shared(answer, rejected)
        return Score(1 - alike, alike < most and not likeness.near(answer, rejected))

    return score


def _share(argument: str, default: float) -> float:
    value = float(argument) if argument else default
    if not 0 < value <= 1:
        raise ValueError("a share lies between 0 and 1")
    return value


MAKERS: dict[str, tuple[str, Callable[[str], Callable[[str, str], Score]]]] = {
    "exact": ("target", _exact),
    "includes": ("target", _includes),
    "regex": ("", _regex),
    "numeric": ("target", _numeric),
    "json_schema": ("", _json_schema),
    "f1": ("target", _f1),
    "must_not": ("rejected", _must_not),
}
