"""From a request to an execution: everything that can be refused is refused here, at once.

Nothing is recorded and no model is asked before a request has passed.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from orchestrator.configs.languages import is_language
from orchestrator.configs.planning import PlanRequest, build_plan
from orchestrator.execution import Execution
from orchestrator.journal import new_id
from orchestrator.levels import effective_level
from servicekit.errors import AlreadyExistsError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.configs.model import ConfigSet
    from orchestrator.configs.plan import Plan
    from orchestrator.model import MediaFile, SafetyLevel
    from orchestrator.ports import Records
    from orchestrator.registry import Executions
    from orchestrator.stages.run import Services
    from servicekit.principals import Principal

log = structlog.get_logger(__name__)

MAX_TEXT_LENGTH = 20_000
MAX_PARAMETERS = 32
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")
SEED_BITS = 63
"""Drawn seeds fit a signed 64-bit integer, which every backend takes."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for; see RunExecutionRequest of the contract."""

    config: str
    texts: tuple[str, ...]
    image_hashes: tuple[str, ...]
    safety_level: SafetyLevel
    outputs: tuple[str, ...] = ()
    text_only: bool = False
    context: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    language: str = ""
    idempotency_key: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """The tracker's answer about an idempotency key."""

    execution_id: str
    epoch: int
    existing: bool


class Claims(Protocol):
    """Where an execution is claimed, so that a key runs once across replicas."""

    async def claim(self, execution_id: str, idempotency_key: str) -> Claim:
        """Claim an execution.

        Raises:
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        ...


class Models(Protocol):
    """Tells which model a role means now."""

    async def resolve(self, roles: Sequence[str]) -> dict[str, str]:
        """Return role to model, as far as it can be found out now."""
        ...


class Intake:
    """Turns requests into running executions."""

    def __init__(
        self,
        *,
        configs: Callable[[], ConfigSet],
        executions: Executions,
        services: Services,
        records: Records,
        claims: Claims,
        models: Models,
        deployment_max: SafetyLevel,
        max_outputs: int,
        default_language: str,
        software_version: str,
    ) -> None:
        self._configs = configs
        self._executions = executions
        self._services = services
        self._records = records
        self._claims = claims
        self._models = models
        self._deployment_max = deployment_max
        self._max_outputs = max_outputs
        self._default_language = default_language
        self._software_version = software_version

    async def begin(self, request: RunRequest, principal: Principal) -> Execution | str:
        """Start an execution, or find the one that its idempotency key was used for.

        Returns:
            The execution, or only its id when it does not run in this process.

        Raises:
            ServiceError: As documented at RunExecution.
        """
        _check(request)
        key = request.idempotency_key
        if key and (known := self._executions.find_by_key(principal, key)) is not None:
            return _same_request(known, request)
        self._executions.require_room(principal)
        language = await self._language(request)
        plan = self._plan(request, language)
        images = [
            await self._services.generation.media_info(sha256) for sha256 in request.image_hashes
        ]
        plan = plan.with_models(await self._models.resolve(plan.roles))
        claim = Claim(new_id(), 1, existing=False)
        if key:
            claim = await self._claims.claim(claim.execution_id, key)
            if claim.existing:
                known = self._executions.find(claim.execution_id, principal)
                return _same_request(known, request) if known else claim.execution_id
        return self._start(request, principal, plan, images, language, claim)

    def _start(
        self,
        request: RunRequest,
        principal: Principal,
        plan: Plan,
        images: list[MediaFile],
        language: str,
        claim: Claim,
    ) -> Execution:
        self._executions.require_room(principal)
        execution = Execution(
            execution_id=claim.execution_id,
            epoch=claim.epoch,
            owner=principal,
            plan=plan,
            level=effective_level(request.safety_level, principal, self._deployment_max),
            texts=list(request.texts),
            images=images,
            language=language,
            seed=secrets.randbits(SEED_BITS) if request.seed is None else request.seed,
            services=self._services,
            records=self._records,
            software_version=self._software_version,
            request_digest=request.digest,
        )
        self._executions.start(execution, request.idempotency_key)
        log.info(
            "execution_started",
            started_execution_id=execution.id,
            config=plan.config_id,
            level=execution.run.level.word,
            outputs=len(plan.outputs),
        )
        return execution

    async def _language(self, request: RunRequest) -> str:
        """The person's language: as said, else that of the first text, else the house's."""
        if request.language:
            return request.language
        if not request.texts:
            return self._default_language
        found = await self._services.languages.detect(request.texts[0], self._default_language)
        return found.code or self._default_language

    def _plan(self, request: RunRequest, language: str) -> Plan:
        wanted = PlanRequest(
            config=request.config,
            language=language,
            text_count=len(request.texts),
            image_count=len(request.image_hashes),
            outputs=request.outputs,
            text_only=request.text_only,
            context=request.context,
            parameters=request.parameters,
        )
        return build_plan(self._configs(), wanted, max_outputs=self._max_outputs)


def _check(request: RunRequest) -> None:
    for index, text in enumerate(request.texts):
        _check_text(text, f"texts[{index}]")
    if request.context is not None and request.context.strip():
        _check_text(request.context, "context")
    if request.language and not is_language(request.language):
        raise InvalidArgumentError(
            "LANGUAGE_INVALID", "Use an ISO 639-1 code such as `de`.", field="language"
        )
    if request.idempotency_key and not _IDEMPOTENCY_KEY.fullmatch(request.idempotency_key):
        raise InvalidArgumentError(
            "IDEMPOTENCY_KEY_INVALID",
            "Use 1 to 128 printable ASCII characters without spaces.",
            field="idempotency_key",
        )
    if len(request.parameters) > MAX_PARAMETERS:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE",
            f"Give at most {MAX_PARAMETERS} parameters.",
            field="parameters",
        )


def _check_text(text: str, where: str) -> None:
    if not text.strip():
        raise InvalidArgumentError("EMPTY_TEXT", "Write what you imagine.", field=where)
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidArgumentError(
            "TEXT_TOO_LONG",
            f"The text has {len(text)} characters; use at most {MAX_TEXT_LENGTH}.",
            field=where,
        )


def _same_request(execution: Execution, request: RunRequest) -> Execution:
    if execution.request_digest != request.digest:
        raise AlreadyExistsError(
            "IDEMPOTENCY_KEY_REUSED",
            "This key was used for another request; take a new one.",
            field="idempotency_key",
        )
    return execution
