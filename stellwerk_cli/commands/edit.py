"""`stellwerk edit`: an idea step by step, with a look at every text and a chance to change it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stellwerk.tracker.v1 import execution_pb2 as record_pb2
from stellwerk_cli.commands.run import Idea, request_of
from stellwerk_cli.console import say
from stellwerk_cli.following import Follower, Following
from stellwerk_cli.options import (
    DEFAULT_OUT,
    DEFAULT_SERVER,
    ApiKeyOption,
    LanguageOption,
    Level,
    OutOption,
    ServerOption,
)
from stellwerk_cli.remote import run_remote
from stellwerk_cli.render import ScreenPrinter
from stellwerk_client.client import StellwerkClient
from stellwerk_client.steps import text_edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stellwerk.orchestrator.v1.event_pb2 import Draft, ExecutionEvent
    from stellwerk.orchestrator.v1.orchestrator_service_pb2 import TextEdit
    from stellwerk_cli.exits import Exit

AWAITING_EDIT = record_pb2.EXECUTION_STATE_AWAITING_EDIT
_KEYS = "Enter goes on, t TEXT changes the text, r repeats the last step, q cancels"


def edit(
    text: Annotated[str | None, typer.Argument(help="Your idea.")] = None,
    config: Annotated[str, typer.Option(help="How to rewrite it; see `configs list`.")] = "dada",
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output", help="An output config; repeatable. Unset: as the config says."),
    ] = None,
    level: Annotated[
        Level | None, typer.Option(help="For whom it must be fit. Unset: as the server offers.")
    ] = None,
    execution: Annotated[
        str, typer.Option(help="Go on with this execution instead of a new one.")
    ] = "",
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Also look at the text as fitted to an output.")
    ] = False,
    lang: LanguageOption = "",
    out: OutOption = DEFAULT_OUT,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Run an idea step by step; after each one, look at the text and change it.

    At the prompt: Enter goes on, `t TEXT` changes the text and goes on, `r` repeats the last step,
    `q` cancels. Exits as `run` does.
    """
    if (text is None) == (not execution):
        raise typer.BadParameter("give an idea, or --execution ID to go on with one")
    idea = Idea(
        config=config, texts=[text or ""], outputs=outputs or [], level=level, language=lang
    )

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            printer = ScreenPrinter(Console(highlight=False), lang)
            sitting = _Sitting(client, printer, out, optimizes=optimize)
            if execution:
                await sitting.go_on(execution)
            else:
                await sitting.follow(client.steps.start(await request_of(client, idea)))
            return await sitting.work()

    run_remote(work, server=server, as_json=False)


@dataclass
class _Sitting:
    """One person at work on one execution.

    Attributes:
        optimizes: Whether phase 2 is a step of its own; else it is a part of rendering.
        head: The newest text that the person has seen.
        step: Number of the step that comes next, from 0.
    """

    client: StellwerkClient
    printer: ScreenPrinter
    out: Path
    optimizes: bool = False
    following: Following = field(default_factory=Following.of)
    head: str = ""
    step: int = 0

    async def go_on(self, execution_id: str) -> None:
        """Take up an execution that somebody began; one that nobody runs is resumed first."""
        execution = await self.client.get_execution(execution_id)
        if execution.state == record_pb2.EXECUTION_STATE_INTERRUPTED:
            await self.follow(self._until_turn(self.client.resume(execution_id)))
            execution = await self.client.get_execution(execution_id)
        self.following.execution_id = execution_id
        self.following.state, self.head = execution.state, execution.head_item_id
        self.step = 1 if any(draft.field == "interception" for draft in execution.drafts) else 0

    async def work(self) -> Exit:
        """Ask before each step what to do, until the end."""
        steps = self.client.steps
        middle = (steps.optimize,) if self.optimizes else ()
        takes = (steps.intercept, *middle, steps.render)
        while self.following.state == AWAITING_EDIT:
            draft = await self._draft()
            say(f"\n{draft.text}\n")
            started = time.monotonic()
            answer = typer.prompt(_KEYS, default="", show_default=False).strip()
            edits: list[TextEdit] = []
            if answer == "q":
                self.following.state = (await self.client.cancel(self._id)).state
                break
            if answer == "r":
                self.step = max(0, self.step - 1)
            elif answer.startswith("t "):
                edits = [text_edit(draft.item_id, answer[2:], time.monotonic() - started)]
            take = takes[self.step]
            self.step = min(self.step + 1, len(takes) - 1)
            await self.follow(take(self._id, self.head, edits))
        self.printer.close()
        return self.following.exit

    async def follow(self, events: AsyncIterator[ExecutionEvent]) -> None:
        """Show what happens in one step."""
        await Follower(self.client, self.printer, self.out).take(
            self.following, self._noted(events)
        )

    async def _noted(self, events: AsyncIterator[ExecutionEvent]) -> AsyncIterator[ExecutionEvent]:
        async for event in events:
            if event.state_changed.head_item_id:
                self.head = event.state_changed.head_item_id
            yield event

    @staticmethod
    async def _until_turn(events: AsyncIterator[ExecutionEvent]) -> AsyncIterator[ExecutionEvent]:
        async for event in events:
            yield event
            if event.state_changed.state == AWAITING_EDIT:
                return

    async def _draft(self) -> Draft:
        """Return the newest text."""
        drafts = (await self.client.get_execution(self._id)).drafts
        return next((each for each in drafts if each.item_id == self.head), drafts[0])

    @property
    def _id(self) -> str:
        return self.following.execution_id
