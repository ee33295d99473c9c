"""What the page of an export workflow shows, put together from what was recorded of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.pages.export_form import MOST_FIELDS, Node, field_count, tree
from gateway.workflows import FORMATS, TEMPLATES

if TYPE_CHECKING:
    from gateway.workflows import Workflow

Json = dict[str, Any]

SHOWN_FORMATS = frozenset({"html", "markdown", "csv", "json"})
"""What a browser can show of itself."""
FEW_FIELDS = 40
_OF_EXECUTIONS = frozenset({"execution", "execution_selection"})


@dataclass(frozen=True)
class ExportView:
    """What the page of a workflow shows.

    Attributes:
        workflow: It, with all that was recorded.
    """

    workflow: Workflow

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.workflow.facts["export_workflow_id"])

    @property
    def facts(self) -> Json:
        """How far it is."""
        return self.workflow.facts

    @property
    def is_closed(self) -> bool:
        """Whether there is a document, so that the data stay as they are."""
        return bool(self.facts.get("deliverable_count"))

    @property
    def summary(self) -> Json:
        """What the machine read and said."""
        [first, *_] = self.workflow.of_stage("initial_ai_summary")
        return dict(first["initial_ai_summary"])

    @property
    def version(self) -> int:
        """Number of the newest version of the data; 0: the machine's."""
        return int(self.facts.get("modification_version", 0))

    @property
    def versions(self) -> list[Json]:
        """Records of what the person changed, each with its content under `made`."""
        return [
            record | {"made": record["user_modifications"]}
            for record in self.workflow.of_stage("user_modifications")
        ]

    @property
    def data(self) -> Any:
        """The newest version of the data."""
        if self.versions:
            return self.versions[-1]["made"]["modified_data"]
        return self.summary["initial_extracted_data"]

    @property
    def preferences(self) -> Json:
        """What the person wanted last."""
        wanted = [each["made"].get("user_preferences", {}) for each in self.versions]
        return dict(wanted[-1]) if wanted else {}

    @property
    def form(self) -> Node | None:
        """The data as a form; None: there are too many fields."""
        data = self.data
        return tree(data) if field_count(data) <= MOST_FIELDS else None

    @property
    def is_small(self) -> bool:
        """Whether a form of all fields can be overlooked."""
        return field_count(self.data) <= FEW_FIELDS

    @property
    def data_text(self) -> str:
        """The data as JSON for people."""
        return json.dumps(self.data, ensure_ascii=False, indent=2)

    @property
    def deliverables(self) -> list[Json]:
        """Records of what was delivered, the latest first, each with its content under `made`."""
        records = self.workflow.of_stage("final_summary_and_deliverable")
        return [
            record | {"made": record["final_summary_and_deliverable"]}
            for record in reversed(records)
        ]

    @property
    def templates(self) -> list[str]:
        """Kinds of documents that can be made of such data."""
        tells_a_way = self.facts.get("document_type") in _OF_EXECUTIONS
        return [each for each in TEMPLATES if tells_a_way or each != "learning_journey"]

    @property
    def formats(self) -> tuple[str, ...]:
        """Forms of files."""
        return FORMATS


@dataclass(frozen=True)
class Difference:
    """A difference between two versions.

    Attributes:
        path: Of the field.
        kind: `modification`, `addition` or `deletion`.
        before: The value as JSON, or a text as it is; empty: there was none.
        after: The same after it.
        moved_from: Where a moved item of a list stood; empty: it was not moved.
    """

    path: str
    kind: str
    before: str
    after: str
    moved_from: str


def differences_of(changes: list[Json]) -> list[Difference]:
    """Return changes as the tracker tells them, for people."""
    return [
        Difference(
            path=change.get("field", ""),
            kind=change.get("change_type", ""),
            before=_shown(change, "old"),
            after=_shown(change, "new"),
            moved_from=change.get("moved_from", ""),
        )
        for change in changes
    ]


def _shown(change: Json, name: str) -> str:
    if name not in change:
        return ""
    value = change[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
