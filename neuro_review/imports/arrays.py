"""The elements of a JSON array, one at a time, each as the bytes that stand in the file.

Why not an event parser such as ijson: it ends at the first broken element and takes the rest of the file with it, it
puts “?” where an escape names half a surrogate pair, and it reads an element of any size into memory. Here only the
borders are looked for; each element is then read like a line of JSON lines, by the same code and as strictly.
"""

import re
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple, Protocol

CHUNK = 1 << 18
# Nothing here backtracks (`*+`), so that a text full of escapes costs no memory.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A whole string, a bracket, a comma; or a quote whose string goes on beyond what has been read.
TOKEN = re.compile(STRING + rb'|[\[\]{},]|"', re.DOTALL)


def _nested(depth: int) -> bytes:
    inner = rb'[^"\[\]{}]++|' + STRING + (b"|" + _nested(depth - 1) if depth else b"")
    return rb"[\[{](?:" + inner + rb")*+[\]}]"


# An element that is not nested deeply and is here to its end: found in one step, ten times as fast as token by token.
WHOLE = re.compile(rb"\s*+(" + _nested(4) + rb")\s*+,", re.DOTALL)
OPEN, CLOSE = b"[{", b"]}"
OPENS = re.compile(rb"\s*+:\s*+\[")
SOON = 1 << 10
"""A key whose array does not open within so many bytes has none."""


class Element(NamedTuple):
    """One element, as it stands in the file."""

    raw: bytes
    over: bool = False
    """It is over the limit and cut short."""
    after: bool = False
    """It is none: it stands behind the end of the array."""


def elements(file: IO[bytes], limit: int) -> Iterator[Element]:
    """Yield each element of the array at which the file stands; what is left of one that breaks off is the last."""
    scan = _Scan(file, limit)
    scan.skip_to_first()
    yield from scan
    if scan.closed:
        yield from scan.after()


class Readable(Protocol):
    """What can be read from."""

    def read(self, most: int, /) -> bytes:
        """Return the next bytes, so many at the most; none at the end."""


def elements_under(file: Readable, limit: int, names: Collection[bytes]) -> Iterator[Element]:
    """Yield each element of every array that stands under one of these keys, however deep, as `b'"spans"'`."""
    scan = _Scan(file, limit)
    while scan.skip_to(names):
        yield from scan


class _Scan:
    """The state of one pass: what has been read, where the element began, how deep it is."""

    def __init__(self, file: "Readable", limit: int) -> None:
        self.file, self.limit = file, limit
        self.data = b""
        self.start = self.at = self.depth = 0
        self.closed = False
        self.cut: bytes | None = None
        """The beginning of an element over the limit, whose middle is not kept."""

    def skip_to_first(self) -> None:
        """Pass the bracket that opens the array."""
        while b"[" not in self.data and self._more():
            pass
        self.start = self.at = self.data.index(b"[") + 1

    def skip_to(self, names: Collection[bytes]) -> bool:
        """Pass the bracket that opens the next array under one of these keys; False where there is none."""
        while True:
            self.start, self.cut = self.at, None
            found = TOKEN.search(self.data, self.at)
            if found is None or found[0] == b'"':
                self.at = self.start = found.start() if found else len(self.data)
                if not self._more():
                    return False
                continue
            if found[0] in names:
                opens = OPENS.match(self.data, found.end())
                if opens is None and len(self.data) - found.end() < SOON:
                    self.at = self.start = found.start()
                    if self._more():
                        continue
                elif opens:
                    self.start = self.at = opens.end()
                    return True
            self.at = found.end()

    def __iter__(self) -> Iterator[Element]:
        self.closed = False
        while True:
            if self.at == self.start and self.cut is None and (whole := WHOLE.match(self.data, self.at)):
                self.start = self.at = whole.end()
                yield Element(whole[1], len(whole[1]) > self.limit)
                continue
            found = TOKEN.search(self.data, self.at)
            if found is None or found[0] == b'"':
                self.at = found.start() if found else len(self.data)
                if self._more():
                    continue
                if (rest := self._take(len(self.data))).raw:
                    yield rest
                return
            self.at = found.end()
            sign = found[0]
            if sign in OPEN:
                self.depth += 1
            elif sign in CLOSE:
                self.depth -= 1
                if self.depth < 0:
                    if (last := self._take(found.start())).raw:
                        yield last
                    self.depth, self.closed = 0, True
                    return
            elif sign == b"," and self.depth == 0:
                yield self._take(found.start())

    def _take(self, end: int) -> Element:
        raw = self.cut if self.cut is not None else self.data[self.start : end].strip()
        over = self.cut is not None or len(raw) > self.limit
        self.cut, self.start = None, self.at
        return Element(raw, over)

    def _more(self) -> bool:
        """Read on, and forget what is done with: elements given out, and the middle of one over the limit."""
        more = self.file.read(CHUNK)
        if not more:
            return False
        if len(self.data) - self.start > self.limit:
            self.cut = self.cut if self.cut is not None else self.data[self.start : self.start + CHUNK]
            open_string = self.data[self.at : self.at + 1] == b'"'
            # Of a string that goes on only the quote matters, and a backslash that escapes what comes next.
            tail = len(self.data) - len(self.data.rstrip(b"\\"))
            self.data = (b'"' + b"\\" * (tail % 2) if open_string else b"") + more
            self.start = self.at = 0
            return True
        self.data = self.data[self.start :] + more
        self.at -= self.start
        self.start = 0
        return True

    def after(self) -> Iterator[Element]:
        """Yield what stands behind the end of the array, where there is something."""
        rest = self.data[self.at :].strip()
        while not rest and (more := self.file.read(CHUNK)):
            rest = more.strip()
        if rest:
            yield Element(rest[: self.limit], after=True)
