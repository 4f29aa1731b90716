"""A cell of a CSV file that no spreadsheet takes for a formula, and the way back to the text.

A text that a spreadsheet could execute gets an apostrophe in front; so does a text that has one there already. To get
every text back as it was, take one leading apostrophe away wherever there is one.
"""

import re

# The first character that is not blank, or an invisible one, decides; a spreadsheet trims before it interprets.
# Full-width forms count, because spreadsheets in some languages read them as the plain ones.
RISKY = re.compile("['\t\r\n]|[\\s\x00-\x20\x7f-\x9f\u200b-\u200f\u2060\ufeff]*[=+\\-@|%＝＋－＠｜％]")
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
HOW_TO_READ = (
    "UTF-8, comma, CRLF, RFC 4180. Null is an empty cell, an empty text is a quoted one. A text cell that a spreadsheet"
    " could take for a formula, and one that begins with an apostrophe, has one apostrophe put in front:"
    " take one leading apostrophe away to get the text back exactly."
)


def escape_cell(text: str) -> str:
    """Return a text as a spreadsheet may read it: never a formula; a plain number stays one."""
    if RISKY.match(text) and not PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return text


def unescape_cell(cell: str) -> str:
    """Return the text that `escape_cell` was given."""
    return cell.removeprefix("'")


def quoted(text: str | None) -> str:
    """Return a cell with the quotes around it; nothing for null."""
    if text is None:
        return ""
    if RISKY.match(text) and not PLAIN_NUMBER.fullmatch(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"'
