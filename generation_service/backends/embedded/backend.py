"""The media backend `embedded`: every medium made from words, without GPU or weights."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from generation_service.backends.embedded.offers import MAX_SEED, OFFERS
from generation_service.backends.interface import (
    MadeFile,
    MediaModelNotFoundError,
    MediaPlan,
)
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.backends.embedded.offers import Offer
    from generation_service.backends.embedded.process import RenderPool
    from generation_service.backends.interface import MediaParameters, MediaRequest, Report


class EmbeddedBackend:
    """Plans and renders what `offers.OFFERS` lists."""

    name = "embedded"
    photographic = False
    leaves_site = False

    def __init__(self, pool: RenderPool, *, make_seed: Callable[[], int]) -> None:
        """Build the backend.

        Args:
            pool: Where things are rendered; closed with the backend.
            make_seed: Gives a seed, 0 to 2**63 - 1, where the request has none.
        """
        self._pool = pool
        self._make_seed = make_seed

    async def start(self) -> None:
        """Start a child ahead, so that the first work need not wait for it."""
        await self._pool.start()

    def plan(self, request: MediaRequest) -> MediaPlan:
        """See `MediaBackend.plan`."""
        model = f"{self.name}/{request.model}"
        offer = OFFERS.get(request.model)
        if offer is None or request.media_type != offer.media_type:
            raise MediaModelNotFoundError(model, request.media_type)
        asked = _asked(request.parameters)
        applied = _settled(offer, asked, no_object=request.parameters.extra is None)
        if applied["seed"] is None:
            applied["seed"] = self._make_seed()
        return MediaPlan(
            backend=self.name,
            model=model,
            prompt=request.prompt,
            applied=offer.finish(request.prompt, applied),
            warnings=tuple(
                f"{name} is unknown to {model} and was not applied."
                for name in asked
                if name not in applied
            ),
        )

    async def make(self, plan: MediaPlan, report: Report) -> tuple[MadeFile, ...]:
        """See `MediaBackend.make`."""
        model = plan.model.removeprefix(f"{self.name}/")
        report(0.0, model)
        data = await self._pool.render({**plan.applied, "model": model, "prompt": plan.prompt})
        report(100.0, model)
        return (MadeFile(data),)

    async def close(self) -> None:
        """End the child processes."""
        await self._pool.close()


def _asked(parameters: MediaParameters) -> dict[str, object]:
    """All that was asked for by name, wherever in the request it stood."""
    typed = {
        field.name: getattr(parameters, field.name)
        for field in dataclasses.fields(parameters)
        if field.name not in ("others", "extra")
    }
    typed = {name: value for name, value in typed.items() if value not in (None, "", ())}
    named = {**typed, **parameters.others}
    return {**named, **{k: v for k, v in (parameters.extra or {}).items() if k not in named}}


def _settled(offer: Offer, asked: Mapping[str, object], *, no_object: bool) -> dict[str, object]:
    violations = []
    applied: dict[str, object] = {}
    for setting in offer.settings:
        try:
            wish = asked.get(setting.name)
            applied[setting.name] = setting.default if wish is None else setting.settle(wish)
        except ValueError as exc:
            violations.append((f"parameters.{setting.name}", str(exc)))
    applied["seed"] = seed = asked.get("seed")
    if seed is not None and not (isinstance(seed, int) and 0 <= seed <= MAX_SEED):
        violations.append(("parameters.seed", "Must fit into 64 bits, unsigned."))
    if no_object:
        violations.append(("parameters.extra_json", "Must be a JSON object."))
    violations += [] if violations else offer.check(applied)
    if violations:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A parameter is out of range.", violations=violations
        )
    return applied
