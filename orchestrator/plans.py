"""Plans of executions: made from the present configs and models, and not made twice.

A class works with the same few configs all morning, so the plans that were made lately are kept.
Plans that hold words or wishes of a person are never kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from orchestrator.configs.planning import PlanRequest, build_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from orchestrator.configs.model import ConfigSet
    from orchestrator.configs.plan import Plan

KEPT_PLANS = 256


class Models(Protocol):
    """Tells which model a role means now."""

    async def resolve(self, roles: Sequence[str]) -> dict[str, str]:
        """Return role to model, as far as it can be found out now."""
        ...


class Plans:
    """Makes plans. Belongs to one event loop."""

    def __init__(
        self, configs: Callable[[], ConfigSet], models: Models, *, max_outputs: int
    ) -> None:
        """Begin with none.

        Args:
            configs: Returns the present generation.
            models: Asked for each plan, also for one that is kept.
            max_outputs: Most outputs of one execution.
        """
        self._configs = configs
        self._models = models
        self._max_outputs = max_outputs
        self._kept: OrderedDict[Hashable, Plan] = OrderedDict()

    async def make(self, wanted: PlanRequest) -> Plan:
        """Return the plan of a request, with the models that its roles mean now.

        Raises:
            ServiceError: As of `build_plan`.
        """
        configs = self._configs()
        key = _key(configs.digest, wanted)
        plan = self._kept.get(key)
        if plan is None:
            plan = build_plan(configs, wanted, max_outputs=self._max_outputs)
        models = await self._models.resolve(plan.roles)
        if plan.models != models:
            plan = plan.with_models(models)
        if key is not None:
            self._kept[key] = plan
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_PLANS:
                self._kept.popitem(last=False)
        return plan


def _key(configs_digest: str, wanted: PlanRequest) -> Hashable:
    """Return under which a plan is kept; None: it has something of a person in it."""
    if wanted.context is not None or wanted.parameters:
        return None
    return (
        configs_digest,
        wanted.config,
        wanted.language,
        wanted.text_count,
        wanted.image_count,
        wanted.outputs,
        wanted.text_only,
        wanted.learner,
    )
