"""Markdown for reading: a text as a tree of a few harmless elements, never as HTML.

The browser builds the tree with `createElement` and `textContent`, so that nothing in a text can run, load or pose as
a part of the screen: no HTML, no image, no link, no style; a link's address stands as text behind its words.
"""

from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

Tree = list[Any]
"""An element's name, and what is in it: texts and further trees."""
ELEMENTS = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th",
    "td", "strong", "em", "s",
})  # fmt: skip
MOST_NESTED = 20
DEEPEST = 40  # elements in elements; emphasis nests without a bound of its own
# A row of a table is filled up to the width of its head: a few characters can ask for a million cells.
MOST_CELLS = 20_000
WITHOUT_TABLES = MarkdownIt("commonmark", {"html": False, "maxNesting": MOST_NESTED}).enable("strikethrough")
PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": MOST_NESTED}).enable(["table", "strikethrough"])


def rendered(text: str) -> Tree:
    """Return a text, read as Markdown, as a tree under one `div`."""
    root: Tree = ["div"]
    lines = text.split("\n")
    cells = len(lines) * max(line.count("|") for line in lines)
    _grow(root, (PARSER if cells <= MOST_CELLS else WITHOUT_TABLES).parse(text))
    return root


def _grow(root: Tree, tokens: list[Token]) -> None:
    stack = [root]
    addresses: list[str] = []
    for token in tokens:
        if token.hidden:  # the paragraphs of a tight list
            continue
        if token.type == "inline":
            _grow(stack[-1], token.children or [])
        elif token.type == "link_open":
            addresses.append(str(token.attrGet("href") or ""))
        elif token.type == "link_close":
            stack[-1].append(f" ({addresses.pop()})")
        elif token.nesting == 1 and token.tag in ELEMENTS:
            if len(stack) < DEEPEST:
                stack[-1].append([token.tag])
            stack.append(stack[-1][-1] if len(stack) < DEEPEST else stack[-1])
        elif token.nesting == -1 and token.tag in ELEMENTS:
            stack.pop()
        elif token.type in LEAVES:
            stack[-1].append(LEAVES[token.type](token))
        elif token.content:
            stack[-1].append(token.content)


LEAVES: dict[str, Callable[[Token], str | Tree]] = {
    "image": lambda token: f"[image: {token.content}] ({token.attrGet('src')})",
    "fence": lambda token: ["pre", ["code", token.content]],
    "code_block": lambda token: ["pre", ["code", token.content]],
    "code_inline": lambda token: ["code", token.content],
    "softbreak": lambda token: "\n",
    "hardbreak": lambda token: ["br"],
    "hr": lambda token: ["hr"],
}
