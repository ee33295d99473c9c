"""Telling what happens to a prompt, in doses: steps come faster than people can look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from generation_service.backends.comfyui.progress import ProgressMeter
from generation_service.backends.comfyui.prompt import Previewed, Progressed, Started, Waiting

if TYPE_CHECKING:
    from generation_service.backends.comfyui.mailbox import Mailbox
    from generation_service.backends.comfyui.phases import Phases
    from generation_service.backends.comfyui.prompt import Happening, Prompt, Report, RunLimits


class Reporter:
    """Reports on one prompt.

    Attributes:
        meter: Weighs its nodes.
    """

    def __init__(self, prompt: Prompt, box: Mailbox, report: Report, limits: RunLimits) -> None:
        """Build it.

        Args:
            prompt: The prompt.
            box: What is heard about it.
            report: Told what happens.
            limits: How often, and how large previews may be.
        """
        self.meter = ProgressMeter(prompt.workflow.graph)
        self._wants_previews = prompt.previews
        self._box = box
        self._report = report
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._last: Happening | None = None
        self._has_started = False
        self._next_progress = 0.0
        self._next_preview = 0.0

    def tell(self, happening: Happening) -> None:
        """Tell something, unless it was the last thing told."""
        if happening != self._last and not (self._has_started and isinstance(happening, Waiting)):
            self._last = happening
            self._report(happening)

    def tell_progress(self, phases: Phases) -> None:
        """Tell how far it is, and show the newest preview, if it is time."""
        if not phases.is_running:
            return
        if not self._has_started:
            self._has_started = True
            self._report(Started())
        now = self._clock()
        if now >= self._next_progress and self._box.node_id:
            self._next_progress = now + self._limits.report_seconds
            percent = round(self.meter.percent(self._box), 1)
            node = self.meter.node_name(self._box.node_id)
            self.tell(Progressed(percent, node, phases.is_loading))
        if now >= self._next_preview:
            self._tell_preview(now)

    def _tell_preview(self, now: float) -> None:
        preview = self._box.take_preview()
        fits = preview is not None and len(preview.data) <= self._limits.max_preview_bytes
        if preview is not None and fits and self._wants_previews:
            self._next_preview = now + self._limits.preview_seconds
            self._report(Previewed(preview))
