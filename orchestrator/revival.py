"""Executions of the past, alive once more: taken up after an interruption, or one output anew."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from orchestrator.commission import Commission
from orchestrator.execution import execution_closed, not_step_by_step
from orchestrator.journal import new_id
from orchestrator.levels import effective_level
from orchestrator.model import Decision, Mode, SafetyLevel
from orchestrator.progress import Draft, Progress
from orchestrator.recall import Recalled, recall
from orchestrator.stages.run import StoredVerdict
from servicekit.errors import FailedPreconditionError, InvalidArgumentError
from servicekit.principals import Role, acting_as

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from orchestrator.configs.plan import Plan, PlannedOutput
    from orchestrator.events import Item
    from orchestrator.execution import Execution
    from orchestrator.intake import Claim
    from orchestrator.launch import Launcher
    from orchestrator.seeds import SessionSeeds
    from servicekit.principals import Principal

SETTLE_SECONDS = 2.0
"""How long what a process before us has left in the spool may take to reach the tracker."""
_SETTLE_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Recorded:
    """An execution as the tracker has it.

    Attributes:
        items: All inside the numbering, in order.
        ended: It has its terminal item.
    """

    execution_id: str
    items: tuple[Item, ...]
    plan: Plan
    ended: bool
    start_time: datetime


class Past(Protocol):
    """Knows executions that do not run here."""

    async def claim_next(self, execution_id: str) -> Claim:
        """Become the owner of an execution that nobody runs.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            FailedPreconditionError: EXECUTION_CLOSED or LEASE_HELD.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        ...

    async def recorded(self, execution_id: str) -> Recorded:
        """Return what is recorded of an execution.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            FailedPreconditionError: NOT_RESUMABLE: it has no beginning, or no plan.
            UnavailableError: TRACKER_UNAVAILABLE.
        """
        ...


@dataclass(frozen=True, slots=True)
class Regeneration:
    """An output that a person wants once more."""

    execution_id: str
    loop_iteration: int
    seed: int | None = None


class Revival:
    """Brings executions back."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        past: Past,
        seeds: SessionSeeds,
        pending_items: Callable[[], int],
        deployment_max: SafetyLevel,
    ) -> None:
        """Prepare.

        Args:
            launcher: Starts what comes back.
            past: The tracker.
            seeds: Chooses the seed of what is made anew.
            pending_items: How many items are on their way to the tracker.
            deployment_max: The laxest level of this deployment.
        """
        self._launcher = launcher
        self._past = past
        self._seeds = seeds
        self._pending_items = pending_items
        self._deployment_max = deployment_max
        # Two who want to go on with the same execution at once must not both run it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def resume(self, execution_id: str, principal: Principal) -> Execution:
        """Go on with an interrupted execution; one that runs here is returned as it is.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            FailedPreconditionError: EXECUTION_CLOSED, LEASE_HELD or NOT_RESUMABLE.
            ResourceExhaustedError: TOO_MANY_EXECUTIONS.
            UnavailableError: TRACKER_UNAVAILABLE or DRAINING.
        """
        async with self._locks.setdefault(execution_id, asyncio.Lock()):
            here = self._launcher.executions.find(execution_id, principal)
            if here is not None and not here.state.ended:
                return here
            return await self._take_up(execution_id, principal)

    async def resume_for_step(self, execution_id: str, principal: Principal) -> Execution:
        """Go on with an interrupted execution until it awaits a person's step.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            FailedPreconditionError: EXECUTION_CLOSED, LEASE_HELD, NOT_RESUMABLE or
                NOT_STEP_BY_STEP.
            ResourceExhaustedError: TOO_MANY_EXECUTIONS.
            UnavailableError: TRACKER_UNAVAILABLE or DRAINING.
        """
        await self._settle()
        recorded = await self._past.recorded(execution_id)
        if recorded.ended:
            raise execution_closed()
        if recall(recorded.items, recorded.plan).mode is not Mode.STEPS:
            raise not_step_by_step()
        execution = await self.resume(execution_id, principal)
        await execution.persons_turn()
        return execution

    async def _take_up(self, execution_id: str, principal: Principal) -> Execution:
        self._launcher.executions.require_room(principal)
        await self._settle()
        await self._past.recorded(execution_id)  # nobody owns what cannot be gone on with
        claim = await self._past.claim_next(execution_id)
        recorded = await self._past.recorded(execution_id)
        recalled = recall(recorded.items, recorded.plan)
        await self._find_languages(recalled)
        owner = _owner(recalled, principal)
        commission = Commission(
            execution_id=execution_id,
            owner=owner,
            plan=recorded.plan,
            level=min(recalled.level, self._deployment_max),
            progress=recalled.progress,
            images=recalled.images,
            language=recalled.language,
            seed=recalled.seed,
            mode=recalled.mode,
            epoch=claim.epoch,
            first_number=claim.first_number,
            parent_execution_id=str(recalled.facts.get("parent_execution_id", "")),
            outputs=recalled.outputs,
            start_time=recorded.start_time,
            stage=recalled.stage,
        )
        with acting_as(owner):
            return self._launcher.launch(commission)

    async def regenerate(self, wish: Regeneration, principal: Principal) -> Execution:
        """Make one output once more, as a new execution that begins at stage 3.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
            FailedPreconditionError: NOT_REGENERABLE.
            InvalidArgumentError: OUTPUT_UNKNOWN.
            ResourceExhaustedError: TOO_MANY_EXECUTIONS.
            UnavailableError: TRACKER_UNAVAILABLE or DRAINING.
        """
        self._launcher.executions.require_room(principal)
        await self._settle()
        parent = await self._past.recorded(wish.execution_id)
        output = _output(parent.plan, wish.loop_iteration)
        recalled = recall(parent.items, parent.plan)
        draft = _text_of(recalled, output)
        wish_sha256 = str(recalled.facts.get("wish_sha256", ""))
        commission = Commission(
            execution_id=new_id(),
            owner=principal,
            plan=parent.plan.with_only(output),
            level=effective_level(recalled.level, principal, self._deployment_max),
            progress=Progress([], interception=replace(draft, item_id="")),
            images=recalled.images,
            language=recalled.language,
            seed=await self._seeds.choose(principal.session, wish_sha256, wish.seed),
            mode=Mode.REGENERATION,
            parent_execution_id=wish.execution_id,
            of_item=draft.item_id,
            wish_sha256=wish_sha256,
            stored_verdict=_stored_verdict(parent.items, wish.loop_iteration),
        )
        return self._launcher.launch(commission)

    async def _settle(self) -> None:
        """Let items that were recorded here, perhaps by a process that died, reach the tracker."""
        give_up = asyncio.get_running_loop().time() + SETTLE_SECONDS
        # The recorder's threads count; nobody tells this loop when they are through.
        while self._pending_items() and asyncio.get_running_loop().time() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_SETTLE_PAUSE_SECONDS)

    async def _find_languages(self, recalled: Recalled) -> None:
        """Find the language of a text whose item does not say it."""
        draft = recalled.progress.interception
        if draft is not None and not draft.language:
            languages = self._launcher.services.languages
            found = await languages.detect(draft.text, recalled.language)
            language = found.code or recalled.language
            recalled.progress.interception = replace(draft, language=language)


def _owner(recalled: Recalled, principal: Principal) -> Principal:
    """Return whose execution it is: perhaps a learner's, for whom a teacher takes it up."""
    user, session, group = (
        str(recalled.facts.get(name, "")) for name in ("user_id", "session_id", "group_id")
    )
    own = (user, session) == (principal.id, principal.session)
    role = principal.role if own else Role.LEARNER
    return replace(principal, id=user, session=session, group=group, role=role)


def _output(plan: Plan, loop_iteration: int) -> PlannedOutput:
    if not 1 <= loop_iteration <= len(plan.outputs):
        raise InvalidArgumentError(
            "OUTPUT_UNKNOWN",
            f"This run has no output {loop_iteration}.",
            field="loop_iteration",
        )
    return plan.outputs[loop_iteration - 1]


def _text_of(recalled: Recalled, output: PlannedOutput) -> Draft:
    """Return the text that an output was or would have been made from."""
    number = output.loop_iteration
    progress = recalled.progress
    draft = progress.optimized.get(number) or progress.interception
    if draft is None:
        raise FailedPreconditionError(
            "NOT_REGENERABLE", "This run has no text to begin with; run it again."
        )
    prompt = progress.prompts.get(number)
    if prompt is None:
        return replace(draft, language=draft.language or recalled.language)
    # What was sent is in a language that the output understands, whatever was translated.
    return Draft(prompt, output.prompt_languages[0], recalled.outputs[number - 1].item_id)


def _stored_verdict(items: tuple[Item, ...], loop_iteration: int) -> StoredVerdict | None:
    """Return the latest ALLOW about the text of an output."""
    for item in reversed(items):
        facts = item.metadata
        if (
            item.item_type == "stage3_safety_check"
            and item.loop_iteration == loop_iteration
            and facts.get("decision") == Decision.ALLOW.value
        ):
            return StoredVerdict(
                item.item_id,
                str(facts.get("content_sha256", "")),
                SafetyLevel[str(facts.get("safety_level", "off")).upper()],
                str(facts.get("policy_version", "")),
            )
    return None
