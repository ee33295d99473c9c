"""From a request to an execution: everything that can be refused is refused here, at once.

Nothing is recorded and no model is asked before a request has passed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.audience import as_learner
from orchestrator.commission import Commission
from orchestrator.configs.languages import is_language
from orchestrator.configs.planning import PlanRequest
from orchestrator.journal import new_id
from orchestrator.levels import effective_level
from orchestrator.model import Mode
from orchestrator.progress import Draft, Progress
from servicekit.errors import AlreadyExistsError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.execution import Execution
    from orchestrator.launch import Launcher
    from orchestrator.model import SafetyLevel
    from orchestrator.plans import Plans
    from orchestrator.seeds import SessionSeeds
    from servicekit.principals import Principal

MAX_TEXT_LENGTH = 20_000
MAX_PARAMETERS = 32
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")


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
    mode: Mode = Mode.WHOLE

    @property
    def wish_sha256(self) -> str:
        """SHA-256 of what changes a result, beside the seed: config, words and pictures."""
        wish = [self.config, self.texts, self.image_hashes, self.context]
        return hashlib.sha256(json.dumps(wish).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """The tracker's answer about who runs an execution.

    Attributes:
        first_number: The first sequence number that the owner may use.
        existing: Somebody else owns it: its idempotency key was used before.
    """

    execution_id: str
    epoch: int
    existing: bool
    first_number: int = 1


class Claims(Protocol):
    """Where an execution is claimed, so that a key runs once across replicas."""

    async def claim(self, execution_id: str, idempotency_key: str) -> Claim:
        """Claim an execution.

        Raises:
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        ...


class Intake:
    """Turns requests into running executions."""

    def __init__(
        self,
        *,
        plans: Plans,
        launcher: Launcher,
        claims: Claims,
        seeds: SessionSeeds,
        deployment_max: SafetyLevel,
        default_language: str,
    ) -> None:
        self._plans = plans
        self._launcher = launcher
        self._executions = launcher.executions
        self._services = launcher.services
        self._claims = claims
        self._seeds = seeds
        self._deployment_max = deployment_max
        self._default_language = default_language

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
        plan = await self._plans.make(_plan_request(request, language, principal))
        images = [
            await self._services.generation.media_info(sha256) for sha256 in request.image_hashes
        ]
        claim = Claim(new_id(), 1, existing=False)
        if key:
            claim = await self._claims.claim(claim.execution_id, key)
            if claim.existing:
                known = self._executions.find(claim.execution_id, principal)
                return _same_request(known, request) if known else claim.execution_id
        wish = request.wish_sha256
        commission = Commission(
            execution_id=claim.execution_id,
            epoch=claim.epoch,
            owner=principal,
            plan=plan,
            level=effective_level(request.safety_level, principal, self._deployment_max),
            progress=Progress([Draft(text) for text in request.texts]),
            images=images,
            language=language,
            seed=await self._seeds.choose(principal.session, wish, request.seed),
            mode=request.mode,
            request_digest=request.digest if key else "",
            wish_sha256=wish,
        )
        return self._launcher.launch(commission, key)

    async def _language(self, request: RunRequest) -> str:
        """The person's language: as said, else that of the first text, else the house's."""
        if request.language:
            return request.language
        if not request.texts:
            return self._default_language
        found = await self._services.languages.detect(request.texts[0], self._default_language)
        return found.code or self._default_language


def _plan_request(request: RunRequest, language: str, principal: Principal) -> PlanRequest:
    return PlanRequest(
        config=request.config,
        language=language,
        text_count=len(request.texts),
        image_count=len(request.image_hashes),
        outputs=request.outputs,
        text_only=request.text_only,
        context=request.context,
        parameters=request.parameters,
        learner=as_learner(principal),
    )


def _check(request: RunRequest) -> None:
    for index, text in enumerate(request.texts):
        check_text(text, f"texts[{index}]")
    if request.context is not None and request.context.strip():
        check_text(request.context, "context")
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


def check_text(text: str, where: str) -> None:
    """Refuse a text that nothing can be made of.

    Raises:
        InvalidArgumentError: EMPTY_TEXT or TEXT_TOO_LONG, naming the field `where`.
    """
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
