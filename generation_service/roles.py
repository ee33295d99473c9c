"""Roles: who asks names a role, this module finds the model and a stand-in when it fails.

Keeping the choice in one place means that no config and no other service names a model, and that
every switch to a fallback is seen and recorded.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from generation_service.text.interface import (
    BackendSwitch,
    ModelNotFoundError,
    RoleNotFoundError,
    TextDelta,
    TextResult,
)
from generation_service.text.validation import check_request
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from generation_service.offsite import OffsitePolicy
    from generation_service.text.interface import TextBackend, TextRequest
    from generation_service.text.models_file import RoleModels

log = structlog.get_logger()


@dataclass(frozen=True)
class ResolvedRole:
    """What a role means now.

    Attributes:
        model: The model asked first, `<backend>/<model>`.
        backend: Its backend.
        fallback_models: Models asked in turn when the first cannot answer.
        leaves_site: Whether texts leave the site with the first model.
        profile: The profile in force.
        follows_instructions: Whether the first model answers messages.
        guard: Of which kind the first model is, as a guard; empty: it is none.
        server_template: Whether the guard is asked by chat instead of with raw prompts.
    """

    model: str
    backend: str
    fallback_models: tuple[str, ...]
    leaves_site: bool
    profile: str
    follows_instructions: bool
    guard: str = ""
    server_template: bool = False


class TextGenerator:
    """Answers requests by role. Open it with `open_text_generator`."""

    def __init__(
        self,
        profile: str,
        roles: Mapping[str, RoleModels],
        backends: Mapping[str, TextBackend],
        offsite: OffsitePolicy,
    ) -> None:
        """Take a profile and the backends of its models.

        Args:
            profile: Its name.
            roles: Its models by role.
            backends: By name; closed with the generator.
            offsite: Whose texts may leave the site.
        """
        self._profile = profile
        self._roles = roles
        self._backends = backends
        self._offsite = offsite

    def resolve(self, role: str) -> ResolvedRole:
        """Tell which model a role means now.

        Args:
            role: Such as `interception`.

        Raises:
            RoleNotFoundError: The profile has no model for it.
        """
        models = self._models_of(role)
        backend = self._backend(models.model)
        return ResolvedRole(
            model=models.model,
            backend=backend.name,
            fallback_models=models.fallbacks,
            leaves_site=backend.leaves_site,
            profile=self._profile,
            follows_instructions=backend.follows_instructions,
            guard=models.guard.kind if models.guard else "",
            server_template=bool(models.guard and models.guard.server_template),
        )

    async def generate(self, request: TextRequest) -> AsyncGenerator[TextDelta | TextResult, None]:
        """Ask the role's model, then its fallbacks: deltas, then one result.

        The request is checked first (all violations in one InvalidArgumentError, fields named as
        in GenerateTextRequest), so the caller need not. Close the iterator (`aclosing`) to leave.

        Args:
            request: What to ask. A model that it names is asked instead of the role's first.

        Raises:
            InvalidArgumentError: NO_MESSAGES, ROLE_MISSING, MESSAGE_ROLE_INVALID, TEXT_TOO_LONG
                or PARAMETER_OUT_OF_RANGE.
            RoleNotFoundError: The profile has no model for the role.
            ModelNotFoundError: There is no backend for the model that the request names.
            OffsiteNotAllowedError: The first model is outside the site, where this text must not
                go, and no other model answered.
            ServiceError: The first model's error, when no model answered: see `TextBackend`.
        """
        check_request(request)
        role = self._models_of(request.role)
        candidates = [request.model or role.model, *role.fallbacks]
        self._backend(candidates[0])
        switches: list[BackendSwitch] = []
        errors: list[ServiceError] = []
        for number, model in enumerate(candidates):
            shown = False
            try:
                async with aclosing(self._ask(model, request)) as events:
                    async for event in events:
                        if isinstance(event, TextResult):
                            yield replace(event, switches=tuple(switches))
                            return
                        shown = True
                        yield event
            except ServiceError as exc:
                errors.append(exc)
                log.warning("model_failed", role=request.role, model=model, reason=exc.reason)
            if number + 1 < len(candidates):
                switches.append(BackendSwitch(model, candidates[number + 1], errors[-1].reason))
            if shown:
                yield TextDelta("", restart=True)
        # The first model is the one that somebody has to look after.
        raise errors[0]

    async def close(self) -> None:
        """End the child process and close the connections."""
        for backend in self._backends.values():
            await backend.close()

    def _models_of(self, role: str) -> RoleModels:
        if role not in self._roles:
            raise RoleNotFoundError(role, self._profile)
        return self._roles[role]

    def _backend(self, model: str) -> TextBackend:
        backend = self._backends.get(model.partition("/")[0])
        if backend is None:
            raise ModelNotFoundError(model)
        return backend

    def _ask(
        self, model: str, request: TextRequest
    ) -> AsyncGenerator[TextDelta | TextResult, None]:
        backend = self._backend(model)
        if backend.leaves_site:
            self._offsite.check(model, request.safety_level)
        return backend.generate(model.partition("/")[2], request)
