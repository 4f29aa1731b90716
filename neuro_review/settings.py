"""What an operator may set, read once from the environment as `NEURO_REVIEW_*`."""

import contextlib
import functools
import ipaddress
import os
import secrets
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.engine import DEFAULT_FOLDER
from neuro_review.errors import InvalidError, UnavailableError

SHORTEST_SECRET = 32  # characters
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Endpoint(BaseModel):
    """Where models of one's own answer."""

    model_config = ConfigDict(extra="forbid")

    url: str
    key_variable: str | None = None
    """The name of the environment variable that holds the key."""


class Settings(BaseSettings):
    """Every setting of the server, with its default; the README names each."""

    model_config = SettingsConfigDict(env_prefix="NEURO_REVIEW_", extra="ignore", hide_input_in_errors=True)

    database_url: str | None = None
    """Where everything is stored; the default is a SQLite file in `.neuro_review/` beside `app.py`."""
    folder: Path = DEFAULT_FOLDER
    """Where the secret, the default database and exported files lie."""
    secret: str | None = Field(default=None, repr=False, min_length=SHORTEST_SECRET)
    """Signs and seals; the default is made once and kept in the folder. All replicas share one."""
    setup_code: str | None = Field(default=None, repr=False)
    """The one-time code of the first visit; the default is made at each start and printed."""
    max_output_bytes: int = Field(default=1 << 20, gt=0)
    """The largest output that is taken, in bytes of UTF-8."""
    max_body_bytes: int = Field(default=4 << 20, gt=0)
    """The largest row or request that is taken, in bytes."""
    session_hours: float = Field(default=12, gt=0)
    """A session ends this long after sign-in."""
    session_idle_hours: float = Field(default=2, gt=0)
    """A session ends this long after its last action."""
    cookie_secure: bool = False
    """Set it behind HTTPS: the session cookie then never travels unencrypted."""
    metrics_token: str | None = Field(default=None, repr=False, min_length=16)
    """Who scrapes metrics sends it as a bearer token; without it there are no metrics."""
    api_rate: float = Field(default=2000, gt=0)
    """Requests that one key may make in a second; twice as many may come at once."""
    trust_proxy: bool = False
    """Whether a proxy stands before the app that writes `X-Forwarded-For` itself: tries are then counted by that."""
    outbound_networks: str = ""
    """Networks of your own that webhooks may reach, also without TLS: `10.1.0.0/16,127.0.0.1/32`. Otherwise none."""
    webhook_retry_seconds: float = Field(default=2, gt=0, le=3600)
    """How long after a failed first try a webhook is sent again; the pause grows fourfold with each further one."""
    smtp_url: str | None = Field(default=None, repr=False, pattern=r"^smtps?://")
    """The mail server through which owners are told of alarms: `smtp://user:password@host:587`, or `smtps://…`."""
    mail_from: str = "neuro-review@localhost"
    """Who such a mail is from."""
    alarm_url: str | None = Field(default=None, repr=False)
    """Where alarms are posted to, signed with `alarm_secret`; nowhere otherwise."""
    alarm_secret: str | None = Field(default=None, repr=False, pattern=r"^whsec_[A-Za-z0-9+/]{32,}={0,2}$")
    """Signs what is posted to `alarm_url` (Standard Webhooks): `whsec_` and 24 or more bytes in base64."""
    demo: bool = False
    """Set by the command `demo` alone: a link may then sign in."""
    endpoints: dict[str, Endpoint] = {}
    """Where models of one's own answer, by name: JSON; screens choose among them and never name an address."""
    worker: bool = True
    """Whether the app starts the background work itself; off where `worker` runs apart."""

    @field_validator("outbound_networks")
    @classmethod
    def _are_networks(cls, given: str) -> str:
        _networks(given)
        return given

    @model_validator(mode="after")
    def _alarms_are_signed(self) -> "Settings":
        if self.alarm_url and not self.alarm_secret:
            raise ValueError("NEURO_REVIEW_ALARM_SECRET is missing: what is posted to the address must be signed")
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of your own that requests may go out to."""
        return _networks(self.outbound_networks)

    def secret_bytes(self) -> bytes:
        """Return the secret, making and keeping one at the first call.

        Raises:
            UnavailableError: the folder cannot be written.
        """
        return self.secret.encode() if self.secret else _kept_secret(self.folder)


@functools.cache
def _networks(given: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one.strip()) for one in given.split(",") if one.strip())


@functools.cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        InvalidError: a variable holds something that cannot be used; the text names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "NEURO_REVIEW_" + str(first["loc"][0]).upper() if first["loc"] else "A setting"
        raise InvalidError(f"{name} cannot be used: {first['msg']}. Correct it and start again.") from error


@functools.cache
def _kept_secret(folder: Path) -> bytes:
    path = folder / "secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        kept = path.read_text().strip()
    except OSError as error:
        raise UnavailableError(
            f"The folder {folder} cannot be written."
            " Give this user the right to write there, or set NEURO_REVIEW_SECRET."
        ) from error
    if len(kept) < SHORTEST_SECRET:
        raise UnavailableError(
            f"The file {path} is damaged. Restore it from where you keep it, or set NEURO_REVIEW_SECRET."
        )
    return kept.encode()


def _make_secret(path: Path) -> None:
    """Put a fresh secret in place, whole or not at all; of several processes at once the first one's stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # readable by its owner alone
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
