"""A cell of a CSV file that no spreadsheet takes for a formula, and the way back to the text.

A text that a spreadsheet could execute gets an apostrophe in front; so does a text that has one there already. To get
every text back as it was, take one leading apostrophe away wherever there is one.
"""

import re

# Spreadsheets trim what is blank or invisible before they interpret a cell. Written out, because Python and Arrow mean
# different things by \s; full-width forms count, because some spreadsheets read them as the plain ones.
BLANK = "[\x01-\x20\x7f-\xa0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]"
RISKY = f"^(?:['\t\r\n]|{BLANK}*[=+\\-@|%＝＋－＠｜％])"
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_RISKY = re.compile(RISKY)
HOW_TO_READ = (
    "UTF-8, comma, CRLF, RFC 4180. Null is an empty cell without quotes, an empty text has quotes. A text that a"
    " spreadsheet could take for a formula, and a text that begins with an apostrophe, has one apostrophe put in front:"
    " take one leading apostrophe away from every text cell to get the text back exactly."
)


def escape_cell(text: str) -> str:
    """Return a text as a spreadsheet may read it: never a formula; a plain number stays one."""
    if _RISKY.match(text) and not PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return text


def unescape_cell(cell: str) -> str:
    """Return the text that `escape_cell` was given."""
    return cell.removeprefix("'")
