"""The embedded text backend: from a task to an answer that has passed its guards.

The small model is asked piece by piece, a few times at most for each; what it cannot do stays as
the learner wrote it, and `finish_reason` says `composed`, so that nobody takes it for the model's.
"""

from __future__ import annotations

import math
import random
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from generation_service.text.embedded.engine import (
    CompletionStream,
    completion_body,
    sampling_options,
)
from generation_service.text.embedded.guards import (
    find_fault,
    first_repetition,
    lost_words,
    shorten,
    tidy,
)
from generation_service.text.http_backend import Piece, stream_pieces
from generation_service.text.interface import (
    ModelAnswerInvalidError,
    ModelNotFoundError,
    ModelTimeoutError,
    ModelUnavailableError,
    PromptForm,
    PromptFormNotOfferedError,
    TextDelta,
    TextMessage,
    TextResult,
    TextTask,
)
from generation_service.text.limits import AnswerClock, ModelSlots, ProviderLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from generation_service.text.embedded.process import ModelProcess
    from generation_service.text.embedded.prompts import PromptWriter
    from generation_service.text.embedded.steps import Prompt, Step
    from generation_service.text.interface import TextParameters, TextRequest

log = structlog.get_logger()

ATTEMPTS = 3

MAX_RETRIES = 5
"""Of one request; a long text would else cost everybody's time."""

MAX_TIMEOUTS = 3
"""After so many requests in a row without an answer in time the child is taken for hung."""


@dataclass
class _Answer:
    """An answer in the making."""

    parameters: TextParameters
    clock: AnswerClock
    seed: int
    text: str = ""
    shown: str = ""
    finish_reason: str = "stop"
    sent: list[TextMessage] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0

    def count(self, piece: Piece) -> None:
        self.prompt_tokens += piece.prompt_token_count or 0
        self.completion_tokens += piece.completion_token_count or 0

    def record(self, prompt: Prompt, options: dict[str, object]) -> None:
        """Note what is sent: examples once, then each text; both in a row are the prompt."""
        self.options = options
        examples = TextMessage("system", prompt.examples)
        if examples not in self.sent:
            self.sent.append(examples)
        self.sent.append(TextMessage("user", prompt.tail))


class EmbeddedBackend:
    """Asks the model in the child process."""

    name = "embedded"
    leaves_site = False
    follows_instructions = False

    def __init__(
        self, process: ModelProcess, prompts: PromptWriter, model: str, limits: ProviderLimits
    ) -> None:
        """Take what it works with.

        Args:
            process: The child; closed with the backend.
            prompts: Writes the few-shot prompts.
            model: Name of the one model that there is.
            limits: How many may ask, and how long answers may take.
        """
        self._process = process
        self._prompts = prompts
        self._model = model
        self._limits = limits
        self._slots = ModelSlots(limits)
        self._stream = CompletionStream()
        self._timeouts = 0

    async def generate(
        self, model: str, request: TextRequest
    ) -> AsyncGenerator[TextDelta | TextResult, None]:
        """Ask the model: deltas, then one result. See `TextBackend.generate`."""
        if model != self._model:
            raise ModelNotFoundError(f"{self.name}/{model}")
        if request.form is not PromptForm.CHAT:
            raise PromptFormNotOfferedError(f"{self.name}/{model}")
        started = perf_counter()
        wished = request.parameters.seed
        seed = random.getrandbits(32) if wished is None else wished
        steps = self._prompts.steps(request.role, request.task or _task(request), seed)
        async with self._slots.place(model):
            answer = _Answer(request.parameters, AnswerClock(self._limits, started), seed)
            try:
                for step in steps:
                    async with aclosing(self._step(step, answer)) as deltas:
                        async for delta in deltas:
                            yield delta
            except ModelTimeoutError:
                self._note_timeout()
                raise
            self._timeouts = 0
        yield self._result(answer)

    async def close(self) -> None:
        """End the child."""
        await self._process.close()

    async def _step(self, step: Step, answer: _Answer) -> AsyncGenerator[TextDelta, None]:
        """Work on one piece; leaves its text in `answer`."""
        untouched = step.prompt is None and not step.composed
        best = _Verdict(step.text, "stop" if untouched else "composed", None)
        for attempt in range(ATTEMPTS if step.prompt is not None else 0):
            assert step.prompt is not None
            heard: list[Piece] = []
            async with aclosing(self._ask(step.prompt, answer, attempt)) as pieces:
                async for piece in pieces:
                    heard.append(piece)
                    if piece.text:
                        answer.shown += piece.text
                        yield TextDelta(piece.text)
            verdict = _judge(step.prompt, heard, last=attempt + 1 == ATTEMPTS)
            best = min(best, verdict, key=lambda v: math.inf if v.lost is None else v.lost)
            if best.lost == 0 or answer.retries == MAX_RETRIES:
                break
            answer.retries += 1
            yield self._restart(answer)
        answer.text += best.text
        if best.reason != "stop" and answer.finish_reason != "composed":
            answer.finish_reason = best.reason
        if answer.shown != answer.text:
            yield self._restart(answer)
        if step.separator:
            answer.text += step.separator
            answer.shown += step.separator
            yield TextDelta(step.separator)

    async def _ask(
        self, prompt: Prompt, answer: _Answer, attempt: int
    ) -> AsyncGenerator[Piece, None]:
        """Ask once, beginning with what of the answer is there already."""
        options = sampling_options(prompt, answer.parameters, answer.seed, attempt)
        answer.record(prompt, options)
        body = completion_body(prompt, options)
        if prompt.beginning:
            yield Piece(text=prompt.beginning)
        begun = bool(prompt.beginning)
        async with aclosing(self._pieces(body, answer.clock)) as pieces:
            async for piece in pieces:
                answer.count(piece)
                text = piece.text if begun else piece.text.lstrip()
                begun = begun or bool(text)
                yield replace(piece, text=text)

    async def _pieces(self, body: bytes, clock: AnswerClock) -> AsyncGenerator[Piece, None]:
        """Post to the child; once more where it died before it said anything.

        A child's death is seen a moment after its connections break. Whoever asks in between, or
        waited behind the request that killed it, shall not pay for that.
        """
        model = f"{self.name}/{self._model}"
        for deaths in range(2):
            client = await clock.wait(self._process.connection())
            heard = False
            try:
                async with aclosing(
                    stream_pieces(client, self._stream, model, body, clock)
                ) as pieces:
                    async for piece in pieces:
                        heard = True
                        yield piece
                return
            except ModelUnavailableError:
                died = await self._process.lost(client)
                if heard or deaths or not died:
                    raise

    def _restart(self, answer: _Answer) -> TextDelta:
        """Show the answer as it stands now."""
        answer.shown = answer.text
        return TextDelta(answer.text, restart=True)

    def _note_timeout(self) -> None:
        self._timeouts += 1
        if self._timeouts >= MAX_TIMEOUTS:
            log.warning("embedded_model_hung", timeout_count=self._timeouts)
            self._timeouts = 0
            self._process.kill()

    def _result(self, answer: _Answer) -> TextResult:
        text = answer.text.strip()
        if not text:
            raise ModelAnswerInvalidError("The embedded model was given nothing to work on.")
        return TextResult(
            text=text,
            messages=tuple(answer.sent),
            parameters=_applied(answer),
            model=f"{self.name}/{self._model}",
            backend=self.name,
            prompt_token_count=answer.prompt_tokens,
            completion_token_count=answer.completion_tokens,
            run_seconds=answer.clock.run_seconds,
            first_token_seconds=answer.clock.first_token_seconds,
            finish_reason=answer.finish_reason,
        )


@dataclass(frozen=True)
class _Verdict:
    """An answer to one piece, why it ended, and how many words it lost; None: it is unusable."""

    text: str
    reason: str
    lost: int | None


def _judge(prompt: Prompt, heard: list[Piece], *, last: bool) -> _Verdict:
    """Make the pieces an answer."""
    raw = "".join(piece.text for piece in heard).removeprefix(prompt.beginning)
    reason = heard[-1].finish_reason if heard else "stop"
    answer = tidy(raw, prompt)
    if reason == "length":
        answer = shorten(answer)
    fault = find_fault(answer, prompt)
    if fault == "repetition" and last:
        answer = shorten(answer[: first_repetition(answer)])
        reason, fault = "length", find_fault(answer, prompt)
    if fault:
        log.debug("embedded_answer_refused", fault=fault, length=len(answer))
        return _Verdict("", "composed", None)
    return _Verdict(f"{prompt.beginning}{answer}", reason, lost_words(answer, prompt))


def _applied(answer: _Answer) -> dict[str, object]:
    """Name the parameters as other backends do, with the seed of the request as it came."""
    options = dict(answer.options)
    if options:
        options["max_tokens"] = options.pop("n_predict")
        options["seed"] = answer.seed
    return options


def _task(request: TextRequest) -> TextTask:
    """Make a task of a conversation: its last word, under the rule of its system messages."""
    said = [message.content for message in request.messages if message.role != "system"]
    rules = [message.content for message in request.messages if message.role == "system"]
    return TextTask(text=said[-1] if said else rules[-1], context="\n".join(rules))
