"""What somebody looks for, in the form in which it is also kept as a saved view."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from db.tables import Label, Status, Verdict
from neuro_review.content import check_text
from neuro_review.errors import InvalidError

LONGEST = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wanted(BaseModel):
    """Which items are wanted; all of them unless told otherwise."""

    # A view saved by another version may hold more, or less.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    workflow: int | None = None
    statuses: tuple[Status, ...] = ()
    """Any of these; none means every status."""
    labels: tuple[Label, ...] = ()
    """Any of these is what the reviews of an item say together; none means that it does not matter."""
    model: str | None = None
    reviewer: str | None = None
    verdict: Verdict | None = None
    reason: str | None = None
    first_day: date | None = None
    """Of the submit, in UTC; the day itself is included, here and below."""
    last_day: date | None = None
    text: str | None = None
    """Stands somewhere in the prompt, the output or a correction; upper and lower case are the same."""
    name: str | None = None
    """The whole id, or the application's own name for the item."""

    @classmethod
    def read(cls, query: dict[str, Any]) -> "Wanted":
        """Return what a saved view asks for.

        Raises:
            InvalidError: it asks for something that is not there any more.
        """
        try:
            return cls.model_validate(query)
        except ValidationError as error:
            field = str(error.errors(include_input=False)[0]["loc"][0])
            raise InvalidError(f"The {field} of this view cannot be looked for any more. Save it anew.") from error

    def check(self) -> None:
        """Let a question pass that the database can answer.

        Raises:
            InvalidError: a text cannot be looked for, or the days are the wrong way round.
        """
        for field in ("text", "name", "model", "reviewer", "reason"):
            said = getattr(self, field)
            if said is not None:
                check_text(said, f"The {field}")
                if len(said) > LONGEST:
                    raise InvalidError(f"The {field} to look for has at most {LONGEST} characters. Shorten it.", field)
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise InvalidError("The first day comes after the last one. Swap them.", "first_day")

    @property
    def since(self) -> int | None:
        """Return the first instant wanted."""
        return _start(self.first_day) if self.first_day else None

    @property
    def until(self) -> int | None:
        """Return the first instant that is too late."""
        return _start(self.last_day) + _DAY if self.last_day else None

    @property
    def asks_of_reviews(self) -> bool:
        """Tell whether something is asked of what reviewers said."""
        return bool(self.verdict or self.reviewer or self.reason)


_DAY = timedelta(days=1) // timedelta.resolution


def _start(day: date) -> int:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // timedelta.resolution
