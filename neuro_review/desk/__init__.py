"""The desk: what lies before a reviewer's eyes, and what comes of their keys.

The browser holds a window of leased items and decides on them without waiting; what it says is trusted for nothing.

* cards   what is shown of an item before the verdict
* work    what a browser asks for: verdicts, leases, drafts, one after the other
"""
