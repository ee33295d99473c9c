"""From data to the bytes of a document."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from servicekit.errors import FailedPreconditionError, UnavailableError
from tracker_service.export_workflow.deliverables import building
from tracker_service.export_workflow.model import Deliverable
from tracker_service.export_workflow.recorded import data_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
    from tracker_service.export_workflow.deliverables.model import Document, Template
    from tracker_service.export_workflow.deliverables.rendering import RenderedFile
    from tracker_service.export_workflow.model import (
        FieldChange,
        FinalDeliverable,
        InitialSummary,
        StageRecord,
        Workflow,
    )
    from tracker_service.export_workflow.summary.model import Summary
    from tracker_service.export_workflow.workbench import Workbench

MAX_FILE_BYTES: Final = 32 * 1024 * 1024


class DocumentRenderer(Protocol):
    """Makes files of documents."""

    async def render(
        self, document: Document, form: DeliverableFormat, folder: Path
    ) -> RenderedFile:
        """Make a file in an empty folder."""


class BuildFolder(Protocol):
    """A folder that goes when it is not needed any more."""

    @property
    def folder(self) -> Path:
        """The folder."""


class BuildFolders(Protocol):
    """Makes folders for what is being built; what a killed process left is removed at the start."""

    def building(self) -> AbstractContextManager[BuildFolder]:
        """Return a folder of its own, removed in the end.

        Raises:
            OSError: It cannot be made.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be delivered.

    Attributes:
        template: The template.
        form: The format.
        instructions: What the final summary should heed.
    """

    template: Template
    form: DeliverableFormat
    instructions: str

    def made(self, final: FinalDeliverable) -> bool:
        """Tell whether a deliverable is of this choice."""
        return (
            final.document_template == self.template
            and final.deliverable.file_format == self.form
            and final.instructions == self.instructions
        )


@dataclass(frozen=True, slots=True)
class Basis:
    """What a deliverable is made of.

    Attributes:
        initial: Stage 1.
        current: The record with the data as they are now.
        changes: From the machine's data to these.
    """

    initial: InitialSummary
    current: StageRecord
    changes: tuple[FieldChange, ...]


class DocumentMaker:
    """Makes documents and their files."""

    def __init__(
        self,
        renderer: DocumentRenderer,
        folders: BuildFolders,
        bench: Workbench,
        software_version: str,
    ) -> None:
        """Take what it works with.

        Args:
            renderer: Makes files.
            folders: Where files are made.
            bench: Makes documents.
            software_version: Of this tracker; documents bear it.
        """
        self._renderer = renderer
        self._folders = folders
        self._bench = bench
        self._software_version = software_version

    async def make(
        self, workflow: Workflow, basis: Basis, choice: Choice, summary: Summary
    ) -> tuple[Deliverable, bytes]:
        """Make a document.

        Args:
            workflow: The workflow.
            basis: Its data.
            choice: Template and format.
            summary: Of the data.

        Raises:
            ServiceError: As FinishExportWorkflow says of making the document.
        """
        source = self._document_source(workflow, basis, choice, summary)
        document = await self._bench.do(lambda: building.build(source))
        return await self._render(document, choice.form)

    def _document_source(
        self, workflow: Workflow, basis: Basis, choice: Choice, summary: Summary
    ) -> building.DocumentSource:
        source = basis.initial.source
        return building.DocumentSource(
            template=choice.template,
            language=workflow.language,
            data=data_of(basis.current),
            summary=summary,
            provenance=building.Provenance(
                export_workflow_id=workflow.export_workflow_id,
                document_id=workflow.document_id,
                document_type=workflow.document_type,
                owner=workflow.owner,
                extraction_method=source.extraction_method,
                version=workflow.modification_version,
                created_us=basis.current.create_time_us,
                software_version=self._software_version,
                told=source.provenance,
            ),
            changes=basis.changes,
            # Names of files in data that somebody handed in or edited open nothing.
            media=(building.media_of(basis.initial.data) if source.execution_ids else frozenset()),
        )

    async def _render(
        self, document: Document, form: DeliverableFormat
    ) -> tuple[Deliverable, bytes]:
        try:
            with self._folders.building() as place:
                made = await self._renderer.render(document, form, place.folder)
                if made.size_bytes > MAX_FILE_BYTES:
                    raise FailedPreconditionError(
                        "DELIVERABLE_TOO_LARGE",
                        "The file would be over 32 MiB; choose fewer executions or a template "
                        "without pictures.",
                    )
                data = await asyncio.to_thread(made.path.read_bytes)
        except OSError as exc:
            raise UnavailableError(
                "EXPORT_DISK_UNAVAILABLE",
                "The tracker cannot write the file; try again later.",
                retry_seconds=60,
            ) from exc
        deliverable = Deliverable(
            filename=made.filename,
            file_size_bytes=made.size_bytes,
            file_format=form.value,
            mime_type=made.mime_type,
            content_hash=f"sha256:{made.sha256}",
        )
        return deliverable, data
