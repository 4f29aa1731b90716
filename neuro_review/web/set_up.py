"""The first visit: the one-time code, the first admin, and the sample queue."""

import logging
import math

from sqlmodel import Session

from neuro_review import samples, sessions
from neuro_review.access import Actor, clean_email
from neuro_review.errors import InvalidError, NeuroReviewError
from neuro_review.web.door import Door

LOG = logging.getLogger(__name__)
# Wrong codes in 15 minutes, from one place and from all: an operator's own code may be short.
MOST_CODES_FROM_ONE_PLACE, MOST_CODES = 5, 20


class TooManyTriesError(NeuroReviewError):
    """Too many wrong codes."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many wrong codes. Wait {math.ceil(seconds / 60)} minutes, then try again.")
        self.seconds = seconds


async def first_admin(door: Door, place: str, fields: dict[str, str]) -> str:
    """Create the first admin, sign them in and return the token; the sample queue comes after, if it is wanted.

    Raises:
        ConflictError: somebody was faster.
        InvalidError: the code is wrong, or a field cannot be used.
        TooManyTriesError: too many wrong codes.
    """
    check_code(door, place, fields.get("code", ""))
    name, email, password = (fields.get(key, "") for key in ("name", "email", "password"))
    address = clean_email(email)
    if not name.strip():
        raise InvalidError("A name has 1 to 100 characters.", "name")
    password_hash = await door.hashing(lambda: sessions.hash_password(password, address))

    def create(session: Session) -> tuple[Actor, str]:
        admin = sessions.set_up(session, name, address, password_hash)
        return admin, sessions.sign_in(session, sessions.Credentials(admin.person_id, password_hash))

    admin, token = await door.writing(create)
    if fields.get("samples") == "yes":
        await _load_samples(door, admin)
    return token


def check_code(door: Door, place: str, code: str) -> None:
    """Let only those pass who know the one-time code.

    Raises:
        InvalidError: the code is wrong.
        TooManyTriesError: too many wrong codes came before.
    """
    limits = {f"code from {place}": MOST_CODES_FROM_ONE_PLACE, "code": MOST_CODES}
    seconds = door.throttle.take(limits)
    if seconds:
        raise TooManyTriesError(seconds)
    if not door.is_setup_code(code):
        raise InvalidError("The one-time code is wrong. Open the link that the terminal printed.", "code")
    door.throttle.give_back(limits)


async def _load_samples(door: Door, admin: Actor) -> None:
    try:
        await door.writing(lambda session: samples.load(session, admin))
    except Exception as error:  # whatever it is, the admin stands and can load them later
        LOG.warning("The sample queue could not be loaded (%s). Everything else is ready.", type(error).__name__)
