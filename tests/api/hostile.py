"""What a broken or a hostile application sends: requests as bytes, made by chance, no two alike."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FIELDS = (
    "workflow", "model", "output", "prompt", "external_id", "context", "metadata", "parameters", "cost_usd",
    "latency_ms", "prompt_tokens", "completion_tokens", "priority", "prompt_version", "trace_url", "end_user",
)  # fmt: skip
NUMBERS = (
    b"1e308", b"-1e308", b"1e309", b"-0.0", b"0e0", b"5e-324", b"1" * 400, b"-" + b"9" * 5_000, b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"9007199254740993", b"1.5", b"NaN",
    b"Infinity", b"-Infinity", b"0x10", b"01", b"1_0", b"+1", b".5", b"5.",
)  # fmt: skip
TEXTS = (
    "\0", "a\0b", "\u202e\u2066gnp.exe\u2069", "e" + "\u0301" * 400, "\u200b\u200c\u200d\ufeff", "\ufffe\uffff",
    "\U0010ffff", "\U0001f469\u200d\U0001f4bb" * 50, "\ud83d\ude00"[:1], "\udc00", "<script>alert(1)</script>",
    "'; DROP TABLE item; --", "=cmd|' /C calc'!A0", "%00", "..%2f..%2f", "{{7*7}}", "${jndi:ldap://x}", "\r\nX: y",
    "\x1b[2J\x07", "ﬀ", "İ", "ſ", "\u2028\u2029", " ", "", "𝓈𝓊𝓅𝓅ℴ𝓇𝓉", "support\u200b", "SUPPORT",
)  # fmt: skip
BROKEN = (
    b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xf0\x9f\x98", b"\x80", b"\xef\xbb\xbf",
    b"\\ud800", b"\\udc00\\ud800", b"\\u00", b"\\x41", b"\x00", b"\x01", b"\n", b'"', b"\\",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"": None}, [{"role": 1}], {"role": "user"}, ["text"],
    [{"role": "u", "content": {"a": [1]}}], "1", "5",
)  # fmt: skip
NO_KEYS = (
    b"", b"Bearer", b"Bearer ", b"Basic eDp5", b"Bearer \xff\xfe", b"Bearer nr_" + b"x" * 60,
    b"Bearer nr_" + b"y" * 20_000, b"Bearer \x7f",
)  # fmt: skip
DECLARED = (
    "text/plain", "application/json; charset=utf-16", "multipart/form-data; boundary=x", "",
    "application/x-www-form-urlencoded", "application/json;" + "a" * 2_000,
)  # fmt: skip
ROUTES = ("/api/v1/items", "/api/v1/items/batch")


@dataclass(frozen=True)
class Request:
    """A request in pieces, as they are sent."""

    kind: str
    pieces: tuple[bytes, ...]
    stores: bool = False
    """It may be taken."""
    hangs_up: bool = False
    """Its sender hangs up after the last piece, without waiting for an answer."""


class Sender:
    """Makes requests by chance, as one application."""

    def __init__(self, key: str, seed: int) -> None:
        self.key, self.chance, self.count = key, random.Random(seed), 0
        self.kinds: tuple[Callable[[], Request], ...] = (
            self.nested, self.numbers, self.types, self.encodings, self.texts, self.doubled, self.cut, self.flipped,
            self.packed, self.chunks, self.half_sent, self.lies, self.rows, self.queries, self.keys, self.declared,
        )  # fmt: skip

    def next(self) -> Request:
        self.count += 1
        return self.kinds[self.count % len(self.kinds)]()

    # --- what is around a body ----------------------------------------------------------------------------------------

    def request(
        self, kind: str, body: bytes, path: str | None = None, *, length: int | None = None, **more: Any
    ) -> Request:
        head = self.head("POST", path or self.chance.choice(ROUTES), length=len(body) if length is None else length)
        return Request(kind, (head + body,), **more)

    def head(
        self, method: str, path: str, *, length: int | None = None, key: bytes | None = None, **said: str
    ) -> bytes:
        lines = {"Host": "gate", "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in said.items()
        }
        if length is not None:
            lines["Content-Length"] = str(length)
        told = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()
        shown = b"Bearer " + self.key.encode() if key is None else key
        return f"{method} {path} HTTP/1.1\r\n".encode() + told + b"Authorization: " + shown + b"\r\n\r\n"

    def whole(self, **more: Any) -> dict[str, Any]:
        return {"workflow": "support", "model": "m", "output": f"Text {self.chance.random()}."} | more

    def body(self, **more: Any) -> bytes:
        return json.dumps(self.whole(**more)).encode()

    def with_raw(self, field: str, raw: bytes) -> bytes:
        """Return a body in which one field holds these very bytes."""
        return json.dumps(self.whole() | {field: "@@"}).encode().replace(b'"@@"', raw)

    # --- kinds --------------------------------------------------------------------------------------------------------

    def nested(self) -> Request:
        depth = self.chance.choice((10, 250, 256, 300, 900, 1_020, 1_030, 5_000, 100_000))
        opens, closes = self.chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
        deep = opens * depth + b"1" + closes * self.chance.choice((depth, depth, depth - 1))
        where = self.chance.choice(("alone", "metadata", "context", "parameters", "prompt", "prompt content", "output"))
        if where == "alone":
            return self.request("nested", deep, stores=True)  # in a batch it is a row that is refused
        if where == "prompt content":
            return self.request(
                "nested", self.with_raw("prompt", b'[{"role":"user","content":%s}]' % deep), stores=True
            )
        return self.request("nested", self.with_raw(where, deep), stores=True)

    def numbers(self) -> Request:
        return self.request(
            "numbers", self.with_raw(self.chance.choice(FIELDS), self.chance.choice(NUMBERS)), stores=True
        )

    def types(self) -> Request:
        value = self.chance.choice(VALUES)
        return self.request(
            "types", self.body(**{self.chance.choice((*FIELDS, "extra", "__class__", "id")): value}), stores=True
        )

    def encodings(self) -> Request:
        body = self.body(external_id="@@")
        if self.chance.random() < 0.2:
            return self.request("encodings", body.decode().encode(self.chance.choice(("utf-16", "utf-32", "cp500"))))
        return self.request(
            "encodings", body.replace(b"@@", self.chance.choice(BROKEN) * self.chance.choice((1, 3))), stores=True
        )

    def texts(self) -> Request:
        text = self.chance.choice(TEXTS) * self.chance.choice((1, 1, 7, 600))
        field = self.chance.choice(FIELDS)
        value: Any = text
        if field in ("metadata", "parameters"):
            value = {text: [text, {text: text}]}
        elif field == "prompt" and self.chance.random() < 0.5:
            value = [{"role": text, "content": text, text: text}]
        return self.request("texts", self.body(**{field: value}), stores=True)

    def doubled(self) -> Request:
        field = self.chance.choice(FIELDS)
        body = self.body()[:-1] + b', "%s": "first", "%s": "second"}' % (field.encode(), field.encode())
        return self.request("doubled", body, stores=True)

    def cut(self) -> Request:
        body = self.body(metadata={"a": [1, {"b": "é"}]})
        return self.request("cut", body[: self.chance.randrange(len(body))])

    def flipped(self) -> Request:
        body = bytearray(self.body(metadata={"a": [1.5, True, None]}, cost_usd=0.1))
        for _ in range(self.chance.choice((1, 2, 8))):
            body[self.chance.randrange(len(body))] = self.chance.randrange(256)
        return self.request("flipped", bytes(body), stores=True)

    def packed(self) -> Request:
        body = gzip.compress(b"[" * 1_000_000 if self.chance.random() < 0.3 else self.body())
        coding = self.chance.choice(("gzip", "br", "deflate", "identity", "gzip, gzip", ""))
        return Request("packed", (self.head("POST", ROUTES[0], length=len(body), Content_Encoding=coding) + body,))

    def chunks(self) -> Request:
        body, pieces = self.body(), []
        while body:
            size = self.chance.choice((1, 7, 50, 1_000))
            piece, body = body[:size], body[size:]
            pieces.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        head = self.head("POST", ROUTES[0], Transfer_Encoding="chunked")
        if self.chance.random() < 0.3:
            pieces.insert(
                self.chance.randrange(len(pieces) + 1),
                self.chance.choice((b"zz\r\n", b"-1\r\n", b"ffffffffffffffff\r\n")),
            )
            return Request("chunks", (head, *pieces), hangs_up=True)
        return Request("chunks", (head, *pieces, b"0\r\n\r\n"), stores=True)

    def half_sent(self) -> Request:
        body = self.body()
        head = self.head("POST", self.chance.choice(ROUTES), length=len(body) + 1_000)
        return Request("half sent", (head, *(body[at : at + 1] for at in range(40))), hangs_up=True)

    def lies(self) -> Request:
        body = self.body()
        if self.chance.random() < 0.5:
            return self.request("lies", body, length=self.chance.choice((0, 1, len(body) - 1)))
        said = self.chance.choice(("-1", "1e3", "0x10", "99999999999999999999999", "4194305", " "))
        head = self.head("POST", ROUTES[0], Content_Length=said)
        return Request("lies", (head + body,), hangs_up=said not in ("4194305",))

    def rows(self) -> Request:
        some: list[Any] = [
            self.chance.choice(
                (self.whole(), self.whole(external_id="same"), {}, [], None, 7, "x", self.whole(output=1))
            )
            for _ in range(self.chance.choice((0, 1, 3, 30)))
        ]
        if self.chance.random() < 0.05:
            some = some[:1] * 1_001
        return self.request("rows", json.dumps(some).encode(), ROUTES[1], stores=True)

    def queries(self) -> Request:
        odd = (
            "-1",
            "0",
            "1e9",
            "%00",
            "nan",
            "1_0",
            "%F0%9F",
            "9" * 40,
            "7-7-7",
            "-",
            "7-",
            "a-b",
            "%",
            "1&limit=x",
            "[]",
        )
        name, value = self.chance.choice(("limit", "after", "wait")), self.chance.choice(odd)
        item = self.chance.choice(
            ("0" * 32, "g" * 32, "..%2f..", "%00", "A" * 32, "x" * 3_000, "%F0%28", "batch", "' OR 1=1")
        )
        path = self.chance.choice(
            (f"/api/v1/releases?{name}={value}", f"/api/v1/items/{item.replace(' ', '+')}?{name}={value}")
        )
        return Request(
            "queries", (self.head(self.chance.choice(("GET", "GET", "DELETE", "PATCH", "PUT")), path),), stores=True
        )

    def keys(self) -> Request:
        mine = self.key.encode()
        shown = self.chance.choice((*NO_KEYS, b"bearer " + mine + b" x", b"Bearer " + mine[:-1]))
        body = self.body()
        return Request("keys", (self.head("POST", ROUTES[0], length=len(body), key=shown) + body,))

    def declared(self) -> Request:
        kind = self.chance.choice(DECLARED)
        body = self.body()
        return Request(
            "declared", (self.head("POST", ROUTES[0], length=len(body), Content_Type=kind) + body,), stores=True
        )
