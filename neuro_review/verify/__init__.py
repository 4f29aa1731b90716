"""Check the audit chain against itself, against the rows it speaks of, and against the seals.

* report    what does not fit, the earliest first
* run       the walk over all events: each one's hash and link
* rows      that what an event says is what its row says, and that a stored text still has the hash it was given
* lives     that an item is what its events made of it
* seals     that no row lacks its event, and that every seal still fits

Page by page, in constant memory. Triggers stop accidents and ordinary code; this finds who went around them.
"""

from neuro_review.verify.report import Broken, Report
from neuro_review.verify.run import PAGE, verify

__all__ = ["PAGE", "Broken", "Report", "verify"]
