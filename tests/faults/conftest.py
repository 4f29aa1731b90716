"""Here SQLite waits for the disk, as it does for customers."""

import pytest


@pytest.fixture(autouse=True)
def disk() -> None:
    """Leave the settings of the house as they are."""
