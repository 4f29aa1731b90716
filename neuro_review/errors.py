"""What can go wrong, as one tree; the text of an error is a sentence for a person.

* NeuroReviewError
    + NotFoundError      there is nothing by that name                       404
    + NotAllowedError    this person, or this key, may not do that           403
        - UnknownKeyError no key, or one that is none or was revoked         401
    + NotSignedInError   the session has ended                               401
    + ConflictError      the item has moved on since you looked              409
        - LeaseLostError the lease ended, or somebody else decided
    + InvalidError       what was sent cannot be used as it is               422
        - TooLargeError  more than the limit                                 413
    + UnavailableError   something outside failed; worth trying again        503

A `ValueError` out of the house is a bug and must look like one.
"""

RACED = "Somebody else changed the same thing in this moment. Nothing was stored; try again."
"""Said of two that the database let through one after the other, where the second no longer fits."""


class NeuroReviewError(Exception):
    """Something a person can understand and act on."""


class NotFoundError(NeuroReviewError):
    """There is nothing by that name, or you may not know of it."""


class NotAllowedError(NeuroReviewError):
    """You may not do that. Ask an owner of the workflow."""


class UnknownKeyError(NotAllowedError):
    """This is no key, or it was revoked."""


class NotSignedInError(NeuroReviewError):
    """Your session has ended. Sign in again; what you typed is kept."""


class ConflictError(NeuroReviewError):
    """The item has moved on since you looked. Load it again."""


class LeaseLostError(ConflictError):
    """The item is no longer yours. What you typed is kept; claim the next one."""


class InvalidError(NeuroReviewError):
    """What was sent cannot be used as it is."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TooLargeError(InvalidError):
    """More was sent than the limit allows."""


class UnavailableError(NeuroReviewError):
    """Something outside failed. Try again."""
