"""What the page of a run shows, put together from the present moment of an execution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.pages.differences import Piece, differences
from gateway.pages.stations import OVER, Station, stations

if TYPE_CHECKING:
    from gateway.pages.moment import Moment

Json = dict[str, Any]

_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Text:
    """A text of the run.

    Attributes:
        item_id: The item that holds it.
        field: What it is: `texts[0]`, `interception`, `optimization[1]` …
        text: The words.
        kind: `texts`, `interception` or `optimization`.
        number: Of the input from 0, or of the output from 1.
    """

    item_id: str
    field: str
    text: str

    @property
    def kind(self) -> str:
        """The field without its number."""
        return self.field.partition("[")[0]

    @property
    def number(self) -> int:
        """The number in the field."""
        match = _NUMBER.search(self.field)
        return int(match[1]) if match else 0


@dataclass(frozen=True)
class RunView:
    """What the page of a run shows.

    Attributes:
        moment: Where it stands.
        execution: The same without its items.
    """

    moment: Moment

    @property
    def execution(self) -> Json:
        """The execution as the orchestrator tells it."""
        return self.moment.execution

    @property
    def id(self) -> str:
        """The execution's id."""
        return str(self.execution["execution_id"])

    @property
    def state(self) -> str:
        """Its state."""
        return str(self.execution["state"])

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in OVER

    @property
    def version(self) -> str:
        """Changes with everything that is shown."""
        outputs = "".join(out["state"][0:2] for out in self.outputs)
        last = self.execution.get("last_sequence_number", 0)
        length = len(self.moment.text_so_far)
        return f"{self.execution['epoch']}-{last}-{self.state}-{length}-{outputs}"

    @property
    def stations(self) -> list[Station]:
        """The four boxes."""
        return stations(self.execution)

    @property
    def outputs(self) -> list[Json]:
        """What is made."""
        outputs: list[Json] = self.execution.get("outputs", [])
        return outputs

    @property
    def shown_outputs(self) -> list[Json]:
        """The outputs that there is something to say about: not those that were never begun."""
        if self.is_over:
            return [out for out in self.outputs if out["state"] not in ("pending", "cancelled")]
        return self.outputs

    @property
    def inputs(self) -> list[str]:
        """The person's texts, as they came."""
        return [item["content"] for item in self._inputs() if item.get("content")]

    @property
    def pictures(self) -> list[Json]:
        """Items with the person's pictures."""
        items = self.moment.of_type("user_input_image")
        return [item for item in items if item.get("media")]

    @property
    def idea(self) -> str:
        """The first text as it stands now, with the person's changes."""
        edits = [
            item.get("content", "")
            for item in self.moment.of_type("user_edit")
            if str(item.get("metadata", {}).get("field", "")).startswith("texts[0]")
        ]
        return (edits or self.inputs or [""])[-1 if edits else 0]

    @property
    def drafts(self) -> list[Text]:
        """Texts that the person may change now."""
        if self.state != "awaiting_edit":
            return []
        found = [
            Text(draft["item_id"], draft["field"], draft.get("text", ""))
            for draft in self.execution.get("drafts", [])
        ]
        furthest = "interception" if any(d.kind == "interception" for d in found) else "texts"
        return [draft for draft in found if draft.kind in (furthest, "optimization")]

    @property
    def has_rewriting(self) -> bool:
        """Whether stage 2 has given a text."""
        return any(draft.kind == "interception" for draft in self.drafts)

    @property
    def writing(self) -> str:
        """What is being written at this moment."""
        return self.moment.text_so_far if self.state == "running" else ""

    @property
    def rewriting(self) -> str:
        """The text of stage 2."""
        return str(self.execution.get("interception_text", ""))

    @property
    def passes(self) -> list[Json]:
        """The passes of a loop, each with its language if it has one."""
        return [
            {
                "number": item.get("stage_iteration", place),
                "text": item["content"],
                "language": item.get("metadata", {}).get("language", ""),
            }
            for place, item in enumerate(self.moment.of_type("interception_iteration"), 1)
            if item.get("content")
        ]

    @property
    def changes(self) -> list[Piece]:
        """What stage 2 made of the idea, word by word."""
        older, newer = self.idea, self.rewriting
        return differences(older, newer) if older and newer and older != newer else []

    @property
    def own_changes(self) -> list[list[Piece]]:
        """What the person changed, one comparison an edit."""
        texts = {item["item_id"]: item.get("content", "") for item in self.moment.items}
        found = []
        for item in self.moment.of_type("user_edit"):
            before = texts.get(item.get("metadata", {}).get("of_item", ""), "")
            if before and item.get("content"):
                found.append(differences(before, item["content"]))
        return found

    @property
    def message(self) -> Json:
        """What to tell the person at a block or failure, by language; empty: nothing is known."""
        if told := self.execution.get("message"):
            return dict(told)
        for item in self.moment.of_type("stage1_blocked", "stage2_blocked"):
            if told := item.get("metadata", {}).get("educational_message"):
                return dict(told)
        return {}

    @property
    def error(self) -> str:
        """One English sentence about a failure that has no other words; empty: none."""
        for item in self.moment.of_type("pipeline_error"):
            return str(item.get("metadata", {}).get("error_message", ""))
        return ""

    def _inputs(self) -> list[Json]:
        return self.moment.of_type("user_input_text")
