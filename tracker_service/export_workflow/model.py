"""A workflow and what is recorded of its three stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from tracker_service.export_workflow.paths import general_text, path_text

if TYPE_CHECKING:
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.paths import Step
    from tracker_service.export_workflow.summary.model import Language, Summary


class Stage(IntEnum):
    """The stages, in their order."""

    INITIAL_AI_SUMMARY = 1
    USER_MODIFICATIONS = 2
    FINAL_SUMMARY_AND_DELIVERABLE = 3


class Status(StrEnum):
    """What a workflow waits for."""

    AWAITING_USER_REVIEW = "awaiting_user_review"
    AWAITING_FINAL_PROCESSING = "awaiting_final_processing"
    COMPLETED = "completed"


STATUS_AFTER = {
    Stage.INITIAL_AI_SUMMARY: Status.AWAITING_USER_REVIEW,
    Stage.USER_MODIFICATIONS: Status.AWAITING_FINAL_PROCESSING,
    Stage.FINAL_SUMMARY_AND_DELIVERABLE: Status.COMPLETED,
}


@dataclass(frozen=True, slots=True)
class Source:
    """What the data of a workflow were taken from, and how.

    Attributes:
        document_type: `execution`, `execution_selection`, or the caller's word.
        extraction_method: How the data were read.
        extraction_confidence: 0 to 1; None: nobody measured it.
        extraction_fields_count: Fields of the data.
        provenance: What the caller told of where the data come from; None: nothing.
        execution_ids: The executions that the data were taken from.
        safety_level: The strictest of theirs; empty: not known, so the strictest there is.
    """

    document_type: str
    extraction_method: str
    extraction_confidence: float | None
    extraction_fields_count: int
    provenance: JsonValue = None
    execution_ids: tuple[str, ...] = ()
    safety_level: str = ""


@dataclass(frozen=True, slots=True)
class InitialSummary:
    """Stage 1: what the machine read, and what it said of it.

    Attributes:
        source: Where the data come from.
        data: The data.
        summary: The summary.
    """

    source: Source
    data: JsonValue
    summary: Summary


class ChangeType(StrEnum):
    """What became of a field."""

    MODIFICATION = "modification"
    ADDITION = "addition"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference between two versions of data.

    Attributes:
        path: Where: in the data before for a deletion, else in those after.
        change_type: What became of it.
        old: The value before; None in an addition.
        new: The value after; None in a deletion.
        moved_from: Path in the data before of a list item that has another place now, and is
            otherwise told of by changes of its own; None: it was not moved.
    """

    path: tuple[Step, ...]
    change_type: ChangeType
    old: JsonValue = None
    new: JsonValue = None
    moved_from: tuple[Step, ...] | None = None

    @property
    def field(self) -> str:
        """The path as text."""
        return path_text(self.path)

    @property
    def general_field(self) -> str:
        """The path without indexes: the same for all items of a list."""
        return general_text(self.path)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person wants of the document; empty: not chosen.

    Attributes:
        transformation_instructions: What the final summary should heed.
        export_format: The format.
        document_template: The template.
    """

    transformation_instructions: str = ""
    export_format: str = ""
    document_template: str = ""

    def completed_by(self, later: Preferences) -> Preferences:
        """Return what is wanted after somebody has wanted something else, or left it open."""
        return Preferences(
            later.transformation_instructions or self.transformation_instructions,
            later.export_format or self.export_format,
            later.document_template or self.document_template,
        )


@dataclass(frozen=True, slots=True)
class UserActions:
    """How much a person did.

    Attributes:
        fields_edited_count: Number of changes.
        editing_time_seconds: As the client measured, at most the time since the record before;
            None: it was not told.
    """

    fields_edited_count: int
    editing_time_seconds: float | None

    @property
    def edits_per_minute(self) -> float | None:
        """Changes per minute of editing; None: no time was told."""
        if not self.editing_time_seconds:
            return None
        return self.fields_edited_count * 60.0 / self.editing_time_seconds


@dataclass(frozen=True, slots=True)
class UserModifications:
    """Stage 2: what a person made of the data.

    Attributes:
        data: The data after.
        preferences: What is wanted of the document.
        changes: What differs from the version before.
        actions: How much was done.
    """

    data: JsonValue
    preferences: Preferences
    changes: tuple[FieldChange, ...]
    actions: UserActions


@dataclass(frozen=True, slots=True)
class Deliverable:
    """A file that was made.

    Attributes:
        filename: A safe name.
        file_size_bytes: Its size.
        file_format: Its format.
        mime_type: Its MIME type.
        content_hash: `sha256:` and 64 hexadecimal digits.
        stored: Whether the tracker has its bytes.
    """

    filename: str
    file_size_bytes: int
    file_format: str
    mime_type: str
    content_hash: str
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Quality:
    """A judgement of a deliverable.

    Attributes:
        score: 0 to 1.
        assessed_by: The person's pseudonym, or the check's name.
        is_check: Whether it was a check.
    """

    score: float
    assessed_by: str
    is_check: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A workflow as a whole at the time of a deliverable.

    Attributes:
        total_time_us: From the first record to this one, microseconds.
        ai_processing_accuracy: Unchanged ÷ machine-made fields; None: the machine made none.
        reviewed: Whether stage 2 was recorded.
        final_output_quality: What a person or a check said; None: nobody did.
    """

    total_time_us: int
    ai_processing_accuracy: float | None
    reviewed: bool
    final_output_quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class FinalDeliverable:
    """Stage 3: what was delivered.

    Attributes:
        summary: The final summary.
        deliverable: The file.
        whole: The workflow as a whole.
        document_template: Template of the document.
        modification_version: Version of the data that it shows; 0: the machine's.
        instructions: What the summary was to heed.
    """

    summary: Summary
    deliverable: Deliverable
    whole: WorkflowSummary
    document_template: str
    modification_version: int
    instructions: str = ""


Content = InitialSummary | UserModifications | FinalDeliverable


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What was recorded of one stage, once.

    Attributes:
        record_id: A UUID.
        create_time_us: When, microseconds since 1970 UTC.
        version: Number among the records of its stage, from 1.
        content: What.
        digest: Hash of the request that it was made for, to know a repetition.
    """

    record_id: str
    create_time_us: int
    version: int
    content: Content
    digest: str

    @property
    def stage(self) -> Stage:
        """The stage that it is of."""
        match self.content:
            case InitialSummary():
                return Stage.INITIAL_AI_SUMMARY
            case UserModifications():
                return Stage.USER_MODIFICATIONS
            case FinalDeliverable():
                return Stage.FINAL_SUMMARY_AND_DELIVERABLE


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow, as far as it has come.

    Attributes:
        export_workflow_id: A UUID.
        document_id: What the data are of.
        owner: Pseudonym of the person it belongs to.
        status: What it waits for.
        create_time_us: Time of its first record, microseconds since 1970 UTC.
        update_time_us: When the tracker stored a record of it last.
        document_type: Kind of the source.
        language: Of summaries and documents.
        foreign: Whether a foreign system does its stages.
        modification_version: Number of the latest version of the data; 0: untouched.
        deliverable_count: Number of the latest deliverable; 0: none.
        document_template: Of that; empty: none.
        deliverable: That; None: none.
        ai_processing_accuracy: When that was made.
        key: The store's number of it; 0: not stored yet.
    """

    export_workflow_id: str
    document_id: str
    owner: str
    status: Status
    create_time_us: int
    update_time_us: int
    document_type: str
    language: Language
    foreign: bool = False
    modification_version: int = 0
    deliverable_count: int = 0
    document_template: str = ""
    deliverable: Deliverable | None = None
    ai_processing_accuracy: float | None = None
    key: int = field(default=0, compare=False)
