"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# The same examples every time, so that a test fails for a change and not for its luck;
# `pytest --hypothesis-profile=default` looks for new ones.
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")
