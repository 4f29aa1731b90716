"""Text of others in a label or a heading."""

import re

import pytest

from neuro_review import ui


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil.example/i.png)", "www.evil.example", "a@evil.example", ":smile: :red[x]", "$x$", "<b>x</b>",
        "# x", "a -> b", "`x`", "1) x",
    ],
)  # fmt: skip
def test_text_of_others_in_a_label_is_escaped_and_reads_the_same(text: str) -> None:
    escaped = ui.md_escape(text)

    assert escaped.replace("\\", "").replace(ui.JOINER, "") == text
    assert not re.search(r"(?<!\\)[!-/:-@\[\]^-`{-~]", escaped)
    # What Streamlit looks for after Markdown has taken the backslashes away.
    assert not re.search(r"https?:|www\.|[:@]\w|->", escaped.replace("\\", ""))
