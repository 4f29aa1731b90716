"""Neuro Review: the gate between a team's language models and its customers.

Nothing heavy is imported here, so that the client and the integrations stay small.
"""

__version__ = "0.1.0"
