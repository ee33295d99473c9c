"""Takes requests for media: checks them, settles their plan, puts them into the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generation_service.backends.interface import BackendNotFoundError
from generation_service.order_limits import oversized
from generation_service.queue.jobs import Job
from servicekit.context import current_call, is_valid_id, new_id, remaining_seconds
from servicekit.errors import InvalidArgumentError
from servicekit.principals import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.backends.interface import MediaPlan, MediaRequest
    from generation_service.inputs import InputFiles
    from generation_service.offsite import OffsitePolicy
    from generation_service.queue.interface import JobQueue
    from servicekit.principals import Principal

MAX_PROMPT_CHARACTERS = 20_000
MAX_KEY_CHARACTERS = 128
MAX_PRIORITY = 9
_MAY_PRIORITISE = frozenset({Role.TEACHER, Role.ADMIN, Role.SERVICE})


class Planner(Protocol):
    """What the intake needs of a backend."""

    @property
    def photographic(self) -> bool:
        """Whether what it makes may look like a photograph."""

    @property
    def leaves_site(self) -> bool:
        """Whether prompts leave the site with this backend."""

    def plan(self, request: MediaRequest) -> MediaPlan:
        """See `MediaBackend.plan`."""


@dataclass(frozen=True)
class Order:
    """A request for media, with everything around what is to be made.

    Attributes:
        backend: Name of the backend.
        request: What is to be made; its medium is empty when the caller named none.
        execution_id: The execution it belongs to.
        loop_iteration: Number of the output, from 1.
        output_config: Id of the output config.
        item_id: The item that will hold the first file; empty: not known.
        detach: The job goes on when the caller leaves.
        idempotency_key: Empty: none.
        priority: 0 to 9.
        previews: Whether pictures of what is not yet done are wanted.
        safety_level: Of the execution, such as `kids`; empty: not told, so the strictest.
    """

    backend: str
    request: MediaRequest
    execution_id: str
    loop_iteration: int = 0
    output_config: str = ""
    item_id: str = ""
    detach: bool = False
    idempotency_key: str = ""
    priority: int = 0
    previews: bool = False
    safety_level: str = ""


@dataclass(frozen=True)
class Receipt:
    """An order that was taken.

    Attributes:
        job_id: The job.
        warnings: What the intake itself did not apply, one sentence each.
    """

    job_id: str
    warnings: tuple[str, ...]


class Intake:
    """The way into the queue."""

    def __init__(
        self,
        backends: Mapping[str, Planner],
        queue: JobQueue,
        inputs: InputFiles,
        offsite: OffsitePolicy,
    ) -> None:
        """Build the intake.

        Args:
            backends: By name.
            queue: Before their workers.
            inputs: Files that something may be made from.
            offsite: Whose prompts may leave the site.
        """
        self._backends = backends
        self._queue = queue
        self._inputs = inputs
        self._offsite = offsite

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of all backends."""
        return tuple(self._backends)

    async def take(self, order: Order, caller: Principal) -> Receipt:
        """Queue an order of `caller`.

        Raises:
            InvalidArgumentError: EMPTY_PROMPT, PROMPT_TOO_LONG, MEDIA_TYPE_UNSPECIFIED,
                EXECUTION_MISSING, PARAMETER_OUT_OF_RANGE, or what the backend finds.
            NotFoundError: BACKEND_NOT_FOUND, MODEL_NOT_FOUND or MEDIA_NOT_FOUND.
            FailedPreconditionError: NO_WORKER, WORKER_LACKS or OFFSITE_NOT_ALLOWED.
            QueueFullError: Too many wait.
        """
        _check(order)
        backend = self._backends.get(order.backend)
        if backend is None:
            raise BackendNotFoundError(order.backend)
        if backend.leaves_site:
            self._offsite.check(f"{order.backend}/{order.request.model}", order.safety_level)
        await self._inputs.check(order.request.parameters.input_media, caller)
        plan = backend.plan(order.request)
        may_prioritise = caller.role in _MAY_PRIORITISE
        job = Job(
            job_id=new_id(),
            owner=caller,
            execution_id=order.execution_id,
            loop_iteration=order.loop_iteration,
            output_config=order.output_config,
            item_id=order.item_id,
            plan=plan,
            photographic=(backend.photographic if plan.photographic is None else plan.photographic),
            priority=order.priority if may_prioritise else 0,
            detach=order.detach,
            idempotency_key=order.idempotency_key,
            wait_seconds=None if order.detach else remaining_seconds(),
            previews=order.previews,
            request_id=current_call().request_id,
            traceparent=current_call().span.traceparent,
        )
        refused = order.priority > 0 and not may_prioritise
        warning = ("priority is a teacher's to give and was not applied.",) if refused else ()
        return Receipt(await self._queue.submit(job), warning)


def _check(order: Order) -> None:
    prompt = order.request.prompt
    if not prompt.strip():
        raise InvalidArgumentError("EMPTY_PROMPT", "There is no prompt.", field="prompt")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidArgumentError(
            "PROMPT_TOO_LONG",
            f"The prompt has more than {MAX_PROMPT_CHARACTERS} characters.",
            field="prompt",
        )
    if not order.request.media_type:
        raise InvalidArgumentError(
            "MEDIA_TYPE_UNSPECIFIED", "Say which medium is to be made.", field="media_type"
        )
    if not is_valid_id(order.execution_id):
        raise InvalidArgumentError(
            "EXECUTION_MISSING", "Name the execution by its id.", field="execution_id"
        )
    violations = list(oversized(order.request.parameters))
    if not 0 <= order.priority <= MAX_PRIORITY:
        violations.append(("priority", f"Must be 0 to {MAX_PRIORITY}."))
    if len(order.idempotency_key) > MAX_KEY_CHARACTERS:
        violations.append(("idempotency_key", f"At most {MAX_KEY_CHARACTERS} characters."))
    if order.item_id and not is_valid_id(order.item_id):
        violations.append(("item_id", "Must be an id."))
    if violations:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A field is out of range.", violations=violations
        )
