"""What a caller sees of an item that it may read."""

from __future__ import annotations

import json

import pytest

from servicekit.principals import Principal, Role
from tests.unit.tracker_service.builders import make_item
from tracker_service.access import audience_of

FACTS = {"error_type": "INTERNAL", "stack_trace": "Traceback"}


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.LEARNER, False), (Role.TEACHER, False), (Role.RESEARCHER, True), (Role.ADMIN, True)],
)
def test_stack_traces_are_for_researchers_and_admins(role: Role, sees: bool) -> None:
    """Learners and teachers read what failed, not where in our code."""
    item = make_item("e", 2, "pipeline_error", stage=2, metadata=FACTS)
    audience = audience_of(Principal("a", role, "s", "g", role))
    facts = json.loads(audience.shown(item).metadata_json)
    assert ("stack_trace" in facts) == sees
    assert facts["error_type"] == "INTERNAL"
