"""The gate as an application sees it: what it hands in, what it sees of it, and what becomes of it.

* entering  many submissions at once, each on the word of a key, each held or refused by itself
* views     one item: its status, and its text where it may be sent
* feed      what became of all of them, in order
"""
