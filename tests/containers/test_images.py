"""The images by themselves."""

from __future__ import annotations

import pytest

from tests.containers.engine import podman
from tests.containers.images import image

LARGEST_MB = 300
LARGER_MB = {"tracker": 380, "generation-embedded": 560}
"""Arrow and typst take half of the one, the language model half of the other."""


@pytest.mark.parametrize(
    "service",
    ["orchestrator", "safety", "generation", "generation-embedded", "tracker", "gateway", "cli"],
)
def test_images_stay_small(built: None, service: str) -> None:
    """Unpacked, an image is as large as docs/operations says, or smaller."""
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image(service)))
    assert size <= LARGER_MB.get(service, LARGEST_MB) * 1_000_000
