"""Labels and eval sets, made as the tests of the verbs make them."""

from tests.evals.conftest import make, record

__all__ = ["make", "record"]
