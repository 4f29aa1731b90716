"""The one way out leads nowhere it should not, whatever a name, an address or a receiver does."""

import asyncio
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from neuro_review import outbound, settings
from neuro_review.errors import InvalidError
from neuro_review.outbound import OutboundError
from tests.deliveries.receiver import Got, after, plain, receiver
from tests.engines import skip_or_fail

MINE = "NEURO_REVIEW_OUTBOUND_NETWORKS"


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(MINE, "127.0.0.0/8")
    settings.settings.cache_clear()
    yield


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "fe80::1", "fc00::1", "fec0::1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "::127.0.0.1", "2001:db8::1", "ff02::1", "2001::1",
    ],
)  # fmt: skip
def test_no_address_of_this_machine_or_its_neighbours_is_public_in_any_disguise(address: str) -> None:
    assert not outbound.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "::ffff:8.8.8.8", "2001:4860:4860::8888", "2002:808:808::1", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert outbound.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "example.com", "ftp://example.com/", "file:///etc/passwd", "https://", "https:///x", "http://a.example/",
        "https://user:pass@example.com/", "https://example.com/#x", "https://exa mple.com/", "https://example.com:0/",
        "https://example.com:99999/", "https://[::1/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest", "https://exämple.com/", "https://example.com\\@127.0.0.1/",
        "https://example.com/\nHost: x", "https://example.com/" + "x" * 2000, "javascript:alert(1)", "https://[fe80::1]/",
    ],
)  # fmt: skip
def test_what_is_no_address_or_leads_inside_is_refused_as_it_is_typed(url: str) -> None:
    with pytest.raises(InvalidError):
        outbound.check_url(url)


def test_a_good_address_is_kept_as_it_is_and_shown_without_its_query() -> None:
    assert outbound.check_url(" https://example.com:8443/hook?key=1 ") == "https://example.com:8443/hook?key=1"
    assert outbound.shown("https://example.com:8443/hook?key=1") == "https://example.com:8443/hook?…"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let every name lead to these addresses, one answer after the other; returns the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(_loop: Any, host: str, port: int, **_more: Any) -> list[Any]:
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answer.split(",")]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1,192.168.0.1", "169.254.169.254"])
def test_a_name_that_leads_inside_is_not_followed(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve_to(monkeypatch, address)

    with pytest.raises(OutboundError, match="private network"):
        outbound.post("https://innocent.example/hook", b"{}", {})


def test_a_name_is_asked_for_once_so_that_a_second_answer_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch, loopback: None
) -> None:
    with receiver() as there:
        asked = resolve_to(monkeypatch, "127.0.0.1", "10.0.0.1")
        port = there.url.split(":")[2].split("/")[0]

        reply = outbound.post(f"http://innocent.example:{port}/hook", b"{}", {})

    assert (reply.status, asked) == (200, ["innocent.example"])
    assert there.got[0].headers["host"] == f"innocent.example:{port}"


def test_without_tls_only_a_network_of_ones_own_is_reached(monkeypatch: pytest.MonkeyPatch, loopback: None) -> None:
    resolve_to(monkeypatch, "8.8.8.8")

    with pytest.raises(OutboundError, match="must begin with https"):
        outbound.post("http://public.example/hook", b"{}", {})


def test_a_redirect_is_an_answer_and_not_followed(loopback: None) -> None:
    with receiver() as inside, receiver(plain(307, {"Location": inside.url})) as there:
        reply = outbound.post(there.url, b"{}", {})

    assert reply.status == 307
    assert inside.got == []


def test_an_answer_is_read_no_further_than_64_kb(loopback: None) -> None:
    def endless(request: BaseHTTPRequestHandler, _got: Got) -> None:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        try:
            for _ in range(10_000):
                request.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    with receiver(endless) as there:
        reply = outbound.post(there.url, b"{}", {})

    assert len(reply.body) == 64 << 10


def test_who_answers_a_drop_at_a_time_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, loopback: None) -> None:
    def drip(request: BaseHTTPRequestHandler, _got: Got) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    monkeypatch.setattr(outbound, "PATIENCE", 0.5)
    for answer in (drip, after(3, plain(200))):
        with receiver(answer) as there, pytest.raises(OutboundError, match="did not answer within"):
            outbound.post(there.url, b"{}", {})


def test_nobody_there_and_no_such_name_are_sentences(monkeypatch: pytest.MonkeyPatch, loopback: None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OutboundError, match=r"Nothing answers at 127\.0\.0\.1"):
        outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})
    with pytest.raises(OutboundError, match="leads nowhere"):
        outbound.post("https://no-such-name.invalid/", b"{}", {})


def test_a_certificate_that_nobody_vouches_for_is_refused(loopback: None, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        skip_or_fail("openssl is not here: apt-get install openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    with receiver(tls=context) as there:
        with pytest.raises(OutboundError, match=r"certificate of 127\.0\.0\.1 is not trusted"):
            outbound.post(there.url, b"{}", {})
        assert there.got == []
    with receiver() as there, pytest.raises(OutboundError, match=r"does not speak TLS|broke off"):
        outbound.post(there.url.replace("http:", "https:"), b"{}", {})


@pytest.mark.parametrize("given", ["x", "10.0.0.0/40", "10.0.0.1/8"])
def test_a_setting_that_names_no_network_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(MINE, given)
    settings.settings.cache_clear()

    with pytest.raises(InvalidError, match="NEURO_REVIEW_OUTBOUND_NETWORKS cannot be used"):
        settings.settings()
