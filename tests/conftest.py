"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples every time, so that a test fails for a change and not for its luck, and no
# limit of time, since machines differ;
# `pytest --hypothesis-profile=default` looks for new and for more ones.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")
