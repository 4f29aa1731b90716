"""What the gate's client raises; the text is a sentence for a person.

* GateError
    + RefusedError      the gate said no: sending the same again changes nothing
    + UnreachableError  the gate did not answer, however often it was asked
"""


class GateError(Exception):
    """The gate cannot be used like this."""


class RefusedError(GateError):
    """The gate said no; `code` and `field` are for programs."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field

    def __str__(self) -> str:
        about = f"{self.code}, field {self.field}" if self.field else self.code
        return f"{self.message} ({about})"

    def __reduce__(self) -> tuple[type["RefusedError"], tuple[int, str, str, str | None]]:
        return RefusedError, (self.status, self.code, self.message, self.field)


class UnreachableError(GateError):
    """The gate did not answer. What was handed in may be there: hand it in again under the same `external_id`."""
