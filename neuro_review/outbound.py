"""The one way out: a request to an address that somebody typed in, and that leads nowhere it should not.

Whoever may name an address could make this server ask its neighbours: a database, a cloud's metadata service. So a name
is resolved once, each address it has is looked at, and the connection goes to that very address; a second answer of the
name server (rebinding) is never asked for. Only public addresses over TLS, unless an operator lists networks of their
own in `NEURO_REVIEW_OUTBOUND_NETWORKS`. No redirects, no proxy, no cookies, ten seconds, 64 kB.

On httpcore and not on httpx: its network backend is a public place for the look at the address, and it does nothing by
itself that would have to be switched off again.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore

from neuro_review.content import check_text
from neuro_review.errors import InvalidError, UnavailableError
from neuro_review.settings import Network, settings

PATIENCE = 10.0  # seconds, for all of it
MOST_READ = 64 << 10  # bytes
LONGEST_URL = 2_000  # characters
KEPT_FOR = 4.0  # seconds an idle connection is kept; most servers close theirs after five
PER_HOST, IN_ALL = 16, 512

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Addresses that carry an IPv4 address inside, which a gateway may go on to.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
COMPATIBLE = ipaddress.ip_network("::/96")
UNICAST = ipaddress.ip_network("2000::/3")

NO_URL = "That is no address. Write it like https://example.com/hooks/reviews."
NOT_SECURE = "The address must begin with https://; an operator can allow http:// to a network of your own."
PRIVATE = (
    "{host} leads into a private network, where nothing is sent. If it is one of yours, an operator lists it in"
    " NEURO_REVIEW_OUTBOUND_NETWORKS."
)


class OutboundError(UnavailableError):
    """Nothing came back from outside. Look at the address, then try again."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    took_ms: int
    body: bytes
    """The first 64 kB of it."""
    retry_after: float | None = None
    """Seconds that the other side asks to be left alone."""


def check_url(url: str) -> str:
    """Return an address as it is stored, once it is certain that it could be reached.

    Raises:
        InvalidError: it is no address, carries a password, or is not secure enough.
    """
    check_text(url, "The address")
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("ascii")
    except (ValueError, UnicodeEncodeError):
        raise InvalidError(NO_URL, "url") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url or "\\" in url or port == 0:
        raise InvalidError(NO_URL, "url")
    if len(url) > LONGEST_URL:
        raise InvalidError(f"An address has at most {LONGEST_URL:,} characters.", "url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidError("An address here has no password and no # in it. Messages are signed instead.", "url")
    networks = settings().networks
    if parts.scheme != "https" and not (parts.scheme == "http" and networks):
        raise InvalidError(NOT_SECURE, "url")
    with contextlib.suppress(ValueError):
        if not _allowed(ipaddress.ip_address(host), networks, plain=parts.scheme == "http"):
            raise InvalidError(PRIVATE.format(host=host), "url")
    return url


def shown(url: str) -> str:
    """Return an address for people to read: without its query, which often carries a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?…' if parts.query else ''}"


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the internet's, and none of this machine or its neighbours in disguise."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return is_public(inner)
        if address not in UNICAST:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified
    )


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64 or address in COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _allowed(address: Address, networks: Iterable[Network], *, plain: bool) -> bool:
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    mine = any((inner or address) in network for network in networks)
    return mine or (not plain and is_public(address))


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, *, plain: bool) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._plain = plain

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Resolve a name once and connect to one of the addresses that it has."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            raise OutboundError(f"The name {host} leads nowhere. Check the address.") from None
        addresses = list(dict.fromkeys(ipaddress.ip_address(one[4][0]) for one in found))
        networks = settings().networks
        allowed = [one for one in addresses if _allowed(one, networks, plain=self._plain)]
        if not allowed:
            says = NOT_SECURE if self._plain and any(map(is_public, addresses)) else PRIVATE.format(host=host)
            raise OutboundError(says)
        for last, address in enumerate(allowed, 1):
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == len(allowed):
                    raise
        raise AssertionError("unreachable")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Refuse: nobody names a socket of this machine."""
        raise OutboundError(NO_URL)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


class Client:
    """Sends; connections are kept for a moment, so that a run of messages does not shake hands for each."""

    def __init__(self) -> None:
        trusted = ssl.create_default_context()  # the machine's own authorities, and the web's
        trusted.load_verify_locations(certifi.where())
        common: dict[str, Any] = {
            "ssl_context": trusted, "max_connections": IN_ALL, "max_keepalive_connections": PER_HOST,
            "keepalive_expiry": KEPT_FOR, "retries": 0,
        }  # fmt: skip
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(network_backend=_Backend(plain=scheme == "http"), **common)
            for scheme in ("http", "https")
        }

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Send a body and return what came back, whatever its status.

        Raises:
            InvalidError: the address is not one that may be asked.
            OutboundError: nothing came back; the text says why.
        """
        url = check_url(url)
        parts, began = urlsplit(url), time.monotonic()
        host = parts.hostname or ""
        sent = {"Host": parts.netloc, "User-Agent": "neuro-review", "Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            async with asyncio.timeout(PATIENCE):
                pool = self._pools[parts.scheme]
                async with pool.stream("POST", url, headers=list((sent | headers).items()), content=body) as response:
                    read = await _start_of(response)
                    after = dict(response.headers).get(b"Retry-After") or dict(response.headers).get(b"retry-after")
                    took = int((time.monotonic() - began) * 1000)
                    return Reply(response.status, took, read, _seconds(after))
        except (TimeoutError, httpcore.TimeoutException):
            raise OutboundError(f"{host} did not answer within {PATIENCE:.0f} s.") from None
        except httpcore.ConnectError as error:
            raise OutboundError(_no_connection(host, error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError):
            raise OutboundError(f"{host} broke off before it had answered.") from None

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()


def post(url: str, body: bytes, headers: dict[str, str]) -> Reply:
    """Send one body and wait for what comes back: for who sends once in a while.

    Raises:
        InvalidError, OutboundError: as `Client.post`.
    """

    async def once() -> Reply:
        client = Client()
        try:
            return await client.post(url, body, headers)
        finally:
            await client.close()

    return asyncio.run(once())


async def _start_of(response: httpcore.Response) -> bytes:
    read = bytearray()
    async for chunk in response.aiter_stream():
        read += chunk
        if len(read) >= MOST_READ:
            break
    return bytes(read[:MOST_READ])


def _seconds(header: bytes | None) -> float | None:
    return float(header) if header is not None and header.isdigit() and len(header) < 10 else None


def _no_connection(host: str, error: Exception) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"The certificate of {host} is not trusted: {seen.verify_message}."
        if isinstance(seen, ssl.SSLError):
            return f"{host} does not speak TLS as it should. Check the address and its port."
        seen = seen.__cause__ or seen.__context__
    return f"Nothing answers at {host}. Check that the receiver runs and can be reached from here."
