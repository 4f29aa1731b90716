"""Labels, eval sets and models tried on them, made as the tests of the verbs make them."""

from tests.evals.conftest import make, record, served, tried

__all__ = ["make", "record", "served", "tried"]
