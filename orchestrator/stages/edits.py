"""A person's edits between the steps: recorded with what they changed, and checked like any input.

A machine's text that a person has touched is the person's text; nothing of it reaches a model
before its verdict.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import Decision, Direction
from orchestrator.progress import INTERCEPTION, Draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.events import Item
    from orchestrator.stages.run import Run

_WORDS = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, slots=True)
class Edit:
    """A text that a person changed.

    Attributes:
        of_item: The item that holds the text as it was.
        text: The text as it is to be.
        editing_seconds: How long the person worked on it; None: not known.
    """

    of_item: str
    text: str
    editing_seconds: float | None = None


async def apply_edits(run: Run, edits: Sequence[Edit]) -> None:
    """Record and check edits at once, then let them take the place of what was there.

    Args:
        run: The execution; every `of_item` holds one of its present texts.
        edits: What was changed; a text that is the same as before is no edit.

    Raises:
        Blocked: One of them does not fit the level.
        StageFailure: A verdict could not be had.
    """
    drafts = run.progress.drafts
    changed = []
    for edit in edits:
        slot = run.progress.slot_of(edit.of_item)
        if slot is None:
            raise LookupError(edit.of_item)
        if drafts[slot].text != edit.text:
            changed.append((slot, drafts[slot], edit))
    if not changed:
        return
    async with run.in_stage(2, run.services.limits.input_check_seconds):
        drawn = []
        for slot, draft, edit in changed:
            found = await run.services.languages.detect(edit.text, draft.language)
            changes = await asyncio.to_thread(changes_between, draft.text, edit.text)
            item = _record(run, slot, edit, changes)
            drawn.append((slot, Draft(edit.text, found.code or draft.language, item.item_id)))
        await _require_allowed(run, [draft for _, draft in drawn])
        for slot, draft in drawn:
            run.progress.put(slot, draft)
            if slot == INTERCEPTION:
                run.shown_text = draft.text


def changes_between(before: str, after: str) -> list[dict[str, object]]:
    """Return what was taken out and put in, word by word.

    Returns:
        One object a change: `at`, the code point in `before` where it begins; `removed`; `added`.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    starts = [0]
    for word in old:
        starts.append(starts[-1] + len(word))
    matcher = difflib.SequenceMatcher(a=old, b=new)
    return [
        {"at": starts[i1], "removed": "".join(old[i1:i2]), "added": "".join(new[j1:j2])}
        for kind, i1, i2, j1, j2 in matcher.get_opcodes()
        if kind != "equal"
    ]


def _record(run: Run, slot: str, edit: Edit, changes: list[dict[str, object]]) -> Item:
    number = slot.partition("[")[2].rstrip("]") if slot.startswith("optimization") else ""
    return run.journal.record(
        2,
        "user_edit",
        loop_iteration=int(number) if number else None,
        media_type="text",
        content=edit.text,
        metadata={
            "of_item": edit.of_item,
            "field": slot,
            "changes": changes,
            "editing_seconds": edit.editing_seconds,
        },
    )


async def _require_allowed(run: Run, drafts: Sequence[Draft]) -> None:
    verdicts = await run.services.safety.check_texts(
        [(draft.text, draft.language) for draft in drafts],
        level=run.level,
        direction=Direction.INPUT,
    )
    pairs = list(zip(drafts, verdicts, strict=True))
    for draft, verdict in pairs:
        run.record_verdict(2, "stage2_safety_check", verdict, of_item=draft.item_id)
    # A refusal is said before an outage, as in stage 1.
    for _, verdict in sorted(pairs, key=lambda pair: pair[1].decision is not Decision.BLOCK):
        run.require_allowed(verdict, 2)
