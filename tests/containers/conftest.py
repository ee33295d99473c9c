"""Overlays that run: images are built once, since that takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.containers import images
from tests.containers.cluster import running
from tests.containers.engine import is_there
from tests.deploy.rendering import rendered_from
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.containers.cluster import Cluster


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark everything in this folder, give it the time that builds take, and run it when asked."""
    asked = "containers" in config.getoption("markexpr")
    for item in items:
        if "tests/containers/" in item.path.as_posix():
            item.add_marker(pytest.mark.containers)
            item.add_marker(pytest.mark.timeout(3600))
            if not asked:
                item.add_marker(pytest.mark.skip(reason="run by `make e2e-containers`"))


@pytest.fixture(scope="session")
def built() -> None:
    """All images, of the code that is here."""
    if not is_there():
        pytest.skip("podman is not installed")
    images.build()


@pytest.fixture(scope="module")
def played(
    built: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The overlay in the module's folder `OVERLAY` as containers, rendered and started once."""
    manifests = rendered_from(request.module.OVERLAY)
    with running(manifests, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def classroom(played: Cluster) -> Cluster:
    """The overlay with all pods ready, whatever a test before did to them."""
    await eventually(played.all_ready, within_seconds=180)
    return played
