"""A text read as Markdown: whatever it is, a shallow tree of texts and harmless elements."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_review.rendering import DEEPEST, ELEMENTS, rendered

KNOWN = ELEMENTS | {"div", "pre", "code", "br", "hr"}
HOSTILE = (
    "![remote](https://evil.example/a.png)", "[click](https://evil.example/b)", "[run](javascript:alert(1))",
    "<img src=https://evil.example/c.png onerror=alert(1)>", "<form action=https://evil.example/d><input></form>",
    "<style>@import 'https://evil.example/e.css'</style>", "<script>alert(1)</script>", "<svg onload=alert(1)>",
    "<https://evil.example/g>", "[a]: https://evil.example/h\n\n[a] ![a]", "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "$$\\frac{1}{2}$$ :red[alarm] :material/home:", "| a | b |\n|---|---|\n| <b>1</b> | ![i](x) |",
    "&lt;b&gt; &#x3c;b>",
    "# Heading\n\n> * 1. *a **b** ~~c~~*\n\n```js\nalert(1)\n```\n\n    <b>\n\n---", "a  \nb\\\nc",
    "\x00\u202e\u200b",
    "[![img](https://evil.example/i.png)](https://evil.example/j)", "[]()", "![]()", "", " ", "\n",
)  # fmt: skip
MARKUP = st.lists(st.sampled_from([*HOSTILE, *"*_~`[]()!<>|#-+=\\ \n\t1.&;:aé\u202e"]), max_size=60).map("".join)
DEEP = ("*a " * 3000 + "b* " * 3000, "~~a " * 3000 + "b~~" * 3000, ">" * 9000, "- " * 9000, "[" * 9000, "![" * 5000,
        "_a " * 2000 + "*b **c " * 2000 + "c** b* a_ " * 2000, "`" * 9001, "[a](" * 5000)  # fmt: skip


def check(tree: Any, depth: int = 0) -> int:
    """Return how deep a tree is; fail where anything but a text or a known element is in it."""
    if isinstance(tree, str):
        return depth
    name, *inside = tree
    assert name in KNOWN
    return max([depth + 1, *(check(one, depth + 1) for one in inside)])


def texts(tree: Any) -> str:
    return tree if isinstance(tree, str) else "".join(texts(one) for one in tree[1:])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_becomes_texts_and_harmless_elements(text: str) -> None:
    tree = rendered(text)

    check(tree)
    assert tree[0] == "div"


@settings(max_examples=200, deadline=None)
@given(MARKUP | st.text())
def test_nothing_but_texts_and_harmless_elements_comes_of_any_text(text: str) -> None:
    assert check(rendered(text)) <= DEEPEST + 2


@pytest.mark.parametrize("text", DEEP)
def test_what_is_nested_without_end_ends(text: str) -> None:
    began = time.process_time()

    tree = rendered(text)

    assert check(tree) <= DEEPEST + 2
    assert orjson.loads(orjson.dumps(tree)) == tree
    assert time.process_time() - began < 5


def test_a_table_that_would_be_filled_up_to_a_million_cells_stays_text() -> None:
    wide = "|".join("a" * 300) + "\n" + "|".join("-" * 300) + "\n" + "a\n" * 218 + "\n"
    began = time.process_time()

    tree = rendered(wide * 60)

    assert time.process_time() - began < 5
    assert "table" not in {part[0] for part in tree[1:]}
    assert rendered("| a | b |\n|---|---|\n| 1 | 2 |")[1][0] == "table"


def test_an_address_stands_as_text_behind_its_words() -> None:
    assert rendered("See [the *rules*](https://a.example/?b).") == [
        "div", ["p", "See ", "the ", ["em", "rules"], " (https://a.example/?b)", "."],
    ]  # fmt: skip
    assert rendered("![a plan](https://a.example/b.png)") == ["div", ["p", "[image: a plan] (https://a.example/b.png)"]]


def test_html_stays_what_was_written() -> None:
    said = "<b>bold</b> <img src=x onerror=alert(1)>"

    assert rendered(said) == ["div", ["p", said]]


def test_what_a_writer_means_is_there() -> None:
    text = "## Steps\n\n1. **First**\n2. `second`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n"

    assert rendered(text) == [
        "div", ["h2", "Steps"],
        ["ol", ["li", ["strong", "First"]], ["li", ["code", "second"]]],
        ["table", ["thead", ["tr", ["th", "a"], ["th", "b"]]], ["tbody", ["tr", ["td", "1"], ["td", "2"]]]],
        ["pre", ["code", "code\n"]],
    ]  # fmt: skip
    assert texts(rendered("a\nb")) == "a\nb"
