"""The shipped policy, loaded once for all tests of this folder."""

from __future__ import annotations

import pytest

from safety_service.policy import Policy, load_policy
from safety_service.text_check import TextChecker


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The shipped policy."""
    return load_policy()


@pytest.fixture(scope="session")
def checker(policy: Policy) -> TextChecker:
    """Judges by the shipped policy."""
    return TextChecker(policy)
