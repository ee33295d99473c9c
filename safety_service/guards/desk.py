"""Asks the guard of a role: within limits, never twice the same, and never with a soft failure.

A class presses the same button in the same second, and a guard is the slowest check there is. So
few are asked at once, few may wait, everything has an end, and an answer is kept for whoever asks
the same again: the output check of a text that the input check has seen, or a neighbour.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from safety_service.guards.interface import GuardFailedError, Rating
from safety_service.guards.judge import Judge
from safety_service.guards.llama_guard import LLAMA_GUARD_3, LLAMA_GUARD_4
from safety_service.guards.moderation import OpenAIModeration
from safety_service.guards.neutral import neutralise, windows
from safety_service.guards.qwen3guard import Qwen3Guard
from safety_service.model import text_digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from safety_service.guards.interface import (
        GuardAnswer,
        GuardFormat,
        GuardModel,
        GuardModels,
        GuardPrompt,
    )
    from safety_service.model import Level

    Ask = Callable[[GuardModel], Awaitable[GuardAnswer]]

log = structlog.get_logger(__name__)

FORMATS: Mapping[str, GuardFormat] = {
    "llama-guard-3": LLAMA_GUARD_3,
    "llama-guard-4": LLAMA_GUARD_4,
    "qwen3guard": Qwen3Guard(),
    "judge": Judge(),
    "openai-moderation": OpenAIModeration(),
}
"""By the kind that the models file names."""

_SEVERITY = (Rating.SAFE, Rating.CONTROVERSIAL, Rating.UNSAFE)


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What a guard may take.

    Attributes:
        timeout_seconds: For a text or picture, waiting included.
        concurrent: How many are judged at once.
        waiting: How many may wait; more are refused.
        kept_answers: How many answers are kept.
    """

    timeout_seconds: float = 30.0
    concurrent: int = 4
    waiting: int = 64
    kept_answers: int = 1_000


class GuardDesk:
    """Asks the guard of one role."""

    def __init__(self, role: str, models: GuardModels, limits: GuardLimits) -> None:
        """Ask nothing yet.

        Args:
            role: `text_guard` or `image_guard`.
            models: Reaches the model.
            limits: What it may take.
        """
        self._role = role
        self._models = models
        self._limits = limits
        self._places = asyncio.Semaphore(limits.concurrent)
        self._waiting = 0
        self._model: GuardModel | None = None
        self._kept: OrderedDict[tuple[str, ...], GuardAnswer] = OrderedDict()

    async def judge_text(
        self, text: str, level: Level, medium: str, policy_version: str
    ) -> GuardAnswer:
        """Judge a text; its worst part decides.

        Args:
            text: Any text.
            level: For whom it must be fit.
            medium: What will be made of it; empty: unknown.
            policy_version: Answers that were given under another policy are not taken up.

        Raises:
            GuardFailedError: There is no answer, whatever the reason.
        """
        parts = windows(neutralise(text))
        key = (text_digest(text), level, medium, policy_version)
        return await self._judge(key, lambda model: self._ask_text(model, parts, level, medium))

    async def judge_picture(
        self, sha256: str, picture: bytes, level: Level, policy_version: str
    ) -> GuardAnswer:
        """Judge a picture.

        Args:
            sha256: Of the file that it was made from.
            picture: It, as a small JPEG without metadata.
            level: For whom it must be fit.
            policy_version: As for texts.

        Raises:
            GuardFailedError: There is no answer, whatever the reason.
        """
        key = (sha256, level, policy_version)
        return await self._judge(key, lambda model: self._ask_picture(model, picture, level))

    async def _judge(self, asked: tuple[str, ...], ask: Ask) -> GuardAnswer:
        """Ask, unless the same was asked before; every failure there is becomes one."""
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                model = await self._resolve()
                key = (*asked, model.name, model.kind)
                if (kept := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    return kept
                answer = await self._in_turn(model, ask)
        except TimeoutError as exc:
            raise self._failed(GuardFailedError("timeout")) from exc
        except GuardFailedError as exc:
            raise self._failed(exc) from exc
        except Exception as exc:  # whatever it is, it is no answer
            log.exception("guard_broke", role=self._role)
            raise self._failed(GuardFailedError("internal")) from exc
        self._keep(key, answer)
        return answer

    async def _in_turn(self, model: GuardModel, ask: Ask) -> GuardAnswer:
        """Wait for a place, within the bound, and ask."""
        if self._places.locked() and self._waiting >= self._limits.waiting:
            raise GuardFailedError("busy")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            return replace(await ask(model), model=model.name)
        finally:
            self._places.release()

    async def _ask_text(
        self, model: GuardModel, parts: Sequence[str], level: Level, medium: str
    ) -> GuardAnswer:
        """Ask about one part after the other, up to the first that is unsafe."""
        answers = []
        for part in parts:
            prompt = FORMATS[model.kind].ask_text(
                part, level, medium, server_template=model.server_template
            )
            answers.append(await self._ask(model, prompt, level))
            if answers[-1].rating is Rating.UNSAFE:
                break
        return max(answers, key=lambda answer: _SEVERITY.index(answer.rating))

    async def _ask_picture(self, model: GuardModel, picture: bytes, level: Level) -> GuardAnswer:
        return await self._ask(model, FORMATS[model.kind].ask_picture(picture, level), level)

    async def _ask(self, model: GuardModel, prompt: GuardPrompt, level: Level) -> GuardAnswer:
        said = await self._models.ask(self._role, model, prompt, level)
        return FORMATS[model.kind].read(said, prompt)

    async def _resolve(self) -> GuardModel:
        if self._model is None:
            model = await self._models.resolve(self._role)
            if model.kind not in FORMATS:
                raise GuardFailedError("unknown_kind")
            self._model = model
        return self._model

    def _failed(self, error: GuardFailedError) -> GuardFailedError:
        """Note a failure; the role may mean another model by the next time."""
        log.warning("guard_failed", role=self._role, why=error.why)
        self._model = None
        return error

    def _keep(self, key: tuple[str, ...], answer: GuardAnswer) -> None:
        self._kept[key] = answer
        while len(self._kept) > self._limits.kept_answers:
            self._kept.popitem(last=False)
