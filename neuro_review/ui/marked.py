"""What is new in a text of others and what is gone from it, on screen: every character of it stays text."""

import html
import re
from collections.abc import Iterable

from neuro_review.likeness import Kind, Part, differences

MARK = {Kind.SAME: "span", Kind.ADDED: "ins", Kind.REMOVED: "del"}
TOO_LONG = 200_000  # characters of both: comparing more would take seconds
# They cannot be seen, so a difference in them would not be one on screen.
UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
STYLE = """
<style>
.nr-marked { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; line-height: 1.6; }
.nr-marked ins { background: light-dark(#c7efe9, #134e48); text-decoration: none; border-bottom: 2px solid #0f766e; }
.nr-marked del { background: light-dark(#fbdcd9, #5c211d); }
</style>
"""


def difference(one: str, other: str) -> str | None:
    """Return the second text as HTML, with what differs from the first marked; None where they are too long."""
    return None if len(one) + len(other) > TOO_LONG else marked(differences(one, other))


def marked(parts: Iterable[Part]) -> str:
    """Return parts as HTML in which every character of theirs is text: what is new and what is gone is marked."""
    inner = "".join(f"<{MARK[part.kind]}>{_inert(part)}</{MARK[part.kind]}>" for part in parts)
    return f'{STYLE}<div class="nr-marked" dir="auto">{inner}</div>'


def _inert(part: Part) -> str:
    shown = html.escape(UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", part.text))
    return shown if part.kind is Kind.SAME else shown.replace("\n", "↵\n")
