"""What the integrations are tried against: a real gate, a model that says what a test wants, an app of its own."""

from collections.abc import Iterator

import pytest

from tests.client.conftest import gate, served
from tests.client.test_readme import installed
from tests.llm_server import LanguageModel, language_model

__all__ = ["gate", "installed", "llm", "served"]


@pytest.fixture
def llm() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model
