"""The one way out by e-mail: a plain text, through the operator's own server; nothing is sent without one."""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from neuro_review.errors import UnavailableError
from neuro_review.settings import settings

PATIENCE = 10.0  # seconds
IN_THE_CLEAR = (
    "The mail server offers no STARTTLS, and the password is not sent where others can read it. Write smtps://… in"
    " NEURO_REVIEW_SMTP_URL, or leave user and password away."
)


def is_on() -> bool:
    """Tell whether the operator has named a server."""
    return settings().smtp_url is not None


def send(to: Sequence[str], subject: str, text: str) -> None:
    """Send a text to each of these people by a message of their own.

    Raises:
        UnavailableError: the server did not take it; the text says why.
    """
    url = urlsplit(settings().smtp_url or "")
    secure, context = url.scheme == "smtps", ssl.create_default_context()
    host, port = url.hostname or "localhost", url.port or (465 if secure else 25 if url.hostname is None else 587)
    try:
        server = (
            smtplib.SMTP_SSL(host, port, timeout=PATIENCE, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=PATIENCE)
        )
        with server:
            server.ehlo()  # what the server offers is known only when it was asked
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
                secure = True
            if url.username and not secure:
                raise UnavailableError(IN_THE_CLEAR)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            for address in to:
                server.send_message(_message(address, subject, text))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise UnavailableError(f"The mail server did not take the message ({type(error).__name__}).") from error


def _message(address: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = settings().mail_from, address
    message["Subject"] = " ".join(subject.split())
    message.set_content(text)
    return message
