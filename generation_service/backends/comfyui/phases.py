"""In which phase a prompt is: waiting, loading or running, and how long it may stay there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.backends.comfyui.prompt import Durations

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.backends.comfyui.mailbox import Mailbox
    from generation_service.backends.comfyui.progress import ProgressMeter
    from generation_service.backends.comfyui.prompt import Deadlines


@dataclass(frozen=True)
class Deadline:
    """When a phase must be over.

    Attributes:
        phase: `waiting`, `loading` or `running`.
        seconds: How long it may last.
        at: The end, by the loop's clock.
    """

    phase: str
    seconds: float
    at: float


class Phases:
    """Keeps the times of one prompt."""

    def __init__(
        self,
        deadlines: Deadlines,
        meter: ProgressMeter,
        box: Mailbox,
        clock: Callable[[], float],
    ) -> None:
        """Begin with waiting, now.

        Args:
            deadlines: Of each phase.
            meter: Knows which nodes load models.
            box: What is heard about the prompt.
            clock: Seconds that only grow.
        """
        self._deadlines = deadlines
        self._meter = meter
        self._box = box
        self._clock = clock
        self._was_loading = False
        self._posted_at = clock()
        self._running_at: float | None = None
        self._loaded_at: float | None = None
        self._ended_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether the worker has begun."""
        return self._running_at is not None

    @property
    def is_loading(self) -> bool:
        """Whether it has begun and models are being read."""
        return self.is_running and self._loaded_at is None

    def note_running(self) -> None:
        """It was seen to run."""
        if self._running_at is None:
            self._running_at = self._clock()

    def note(self) -> None:
        """Take in what was heard."""
        heard_at = self._box.heard_at
        if heard_at is not None and self._running_at is None:
            self._running_at = heard_at
        if not self.is_loading or heard_at is None:
            return
        if self._meter.is_loading(self._box):
            self._was_loading = True
        else:
            self._loaded_at = self._clock() if self._was_loading else self._running_at

    def note_end(self) -> None:
        """It has ended."""
        self.note()
        self._ended_at = self._clock()

    def deadline(self) -> Deadline:
        """When the present phase must be over.

        Of a run of which nothing is heard, nobody knows when loading was over: it may take the
        time of both phases.
        """
        allowed = self._deadlines
        if self._running_at is None:
            return _deadline("waiting", allowed.wait_seconds, self._posted_at)
        if self._box.heard_at is None:
            both = allowed.load_seconds + allowed.run_seconds
            return _deadline("running", both, self._running_at)
        if self._loaded_at is None:
            return _deadline("loading", allowed.load_seconds, self._running_at)
        return _deadline("running", allowed.run_seconds, self._loaded_at)

    def durations(self) -> Durations:
        """How long each phase lasted until the end, or until now."""
        end = self._ended_at if self._ended_at is not None else self._clock()
        running = self._running_at if self._running_at is not None else end
        loaded = self._loaded_at if self._loaded_at is not None else running
        return Durations(
            wait=running - self._posted_at,
            load=max(0.0, loaded - running),
            run=max(0.0, end - loaded),
        )


def _deadline(phase: str, seconds: float, since: float) -> Deadline:
    return Deadline(phase, seconds, since + seconds)
