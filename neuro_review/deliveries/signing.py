"""The secret of an endpoint, and the signatures made with it (Standard Webhooks).

A secret is made of the house's own and a nonce, and stored nowhere: who reads the database, or a backup of it, can sign
nothing. A new nonce is a new secret; for a while messages carry both signatures, so that a receiver can change over.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime

from standardwebhooks import Webhook

from db.clock import SECOND
from neuro_review.settings import settings

PREFIX = "whsec_"


def new_nonce() -> str:
    """Return what makes a new secret."""
    return secrets.token_hex(16)


def secret(nonce: str) -> str:
    """Return the secret that a nonce makes, in the form that every library of Standard Webhooks takes."""
    made = hmac.new(settings().secret_bytes(), f"webhook/{nonce}".encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(made).decode()


def headers(webhook_id: str, body: bytes, nonces: list[str], at: int) -> dict[str, str]:
    """Return the headers of a message, signed once for each nonce."""
    when = datetime.fromtimestamp(at // SECOND, UTC)
    signed = [Webhook(secret(nonce)).sign(webhook_id, when, body.decode()) for nonce in nonces]
    return {
        "Content-Type": "application/json",
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": str(at // SECOND),
        "Webhook-Signature": " ".join(signed),
    }
