"""The media backend `embedded`: pictures composed from words, without GPU or weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generation_service.backends.embedded.variants import MAX_EDGE, MIN_EDGE, Variant
from generation_service.backends.interface import (
    MadeFile,
    MediaModelNotFoundError,
    MediaPlan,
)
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.embedded.process import RenderPool
    from generation_service.backends.interface import MediaParameters, MediaRequest, Report

DEFAULT_EDGE = 768
_MAX_SEED = 2**64 - 1


class EmbeddedBackend:
    """Plans and renders `picture-a` (painted collage) and `picture-b` (geometric print)."""

    name = "embedded"
    photographic = False

    def __init__(self, pool: RenderPool, *, make_seed: Callable[[], int]) -> None:
        """Build the backend.

        Args:
            pool: Where pictures are rendered; closed with the backend.
            make_seed: Gives a seed, 0 to 2**63 - 1, where the request has none.
        """
        self._pool = pool
        self._make_seed = make_seed

    async def start(self) -> None:
        """Start a child ahead, so that the first picture need not wait for it."""
        await self._pool.start()

    def plan(self, request: MediaRequest) -> MediaPlan:
        """See `MediaBackend.plan`."""
        model = f"{self.name}/{request.model}"
        if request.model not in list(Variant) or request.media_type != "image":
            raise MediaModelNotFoundError(model, request.media_type)
        asked = request.parameters
        _check(asked)
        applied = {
            "width": DEFAULT_EDGE if asked.width is None else asked.width,
            "height": DEFAULT_EDGE if asked.height is None else asked.height,
            "seed": self._make_seed() if asked.seed is None else asked.seed,
        }
        ignored = [*asked.others, *(asked.extra or {})]
        return MediaPlan(
            backend=self.name,
            model=model,
            prompt=request.prompt,
            applied=applied,
            warnings=tuple(
                f"{name} is unknown to {model} and was not applied." for name in ignored
            ),
        )

    async def make(self, plan: MediaPlan, report: Report) -> tuple[MadeFile, ...]:
        """See `MediaBackend.make`."""
        variant = plan.model.removeprefix(f"{self.name}/")
        report(0.0, variant)
        data = await self._pool.render({**plan.applied, "variant": variant, "prompt": plan.prompt})
        report(100.0, variant)
        return (MadeFile(data),)

    async def close(self) -> None:
        """End the child processes."""
        await self._pool.close()


def _check(asked: MediaParameters) -> None:
    violations = []
    for name, value in (("width", asked.width), ("height", asked.height)):
        if value is not None and not MIN_EDGE <= value <= MAX_EDGE:
            violations.append((f"parameters.{name}", f"Must be {MIN_EDGE} to {MAX_EDGE} pixels."))
    if asked.seed is not None and not 0 <= asked.seed <= _MAX_SEED:
        violations.append(("parameters.seed", "Must fit into 64 bits, unsigned."))
    if asked.extra is None:
        violations.append(("parameters.extra_json", "Must be a JSON object."))
    if violations:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A parameter is out of range.", violations=violations
        )
