"""From data, a summary and a person's changes to a document: the four templates."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from servicekit.errors import InvalidArgumentError
from tracker_service.export.facts import time_text
from tracker_service.export_workflow.deliverables.cleaning import cell_of, clean, line
from tracker_service.export_workflow.deliverables.journeys import Teller, executions_of
from tracker_service.export_workflow.deliverables.limits import check_size
from tracker_service.export_workflow.deliverables.model import (
    Document,
    Fact,
    Facts,
    Note,
    Section,
    Table,
    Template,
    Text,
)
from tracker_service.export_workflow.deliverables.tables import (
    facts_of,
    is_rows,
    sections_of,
    table_of,
)
from tracker_service.export_workflow.paths import path_text
from tracker_service.export_workflow.summary.model import Method
from tracker_service.export_workflow.texts import words as words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker_service.export_workflow.deliverables.model import Block, Cell
    from tracker_service.export_workflow.documents import JsonValue
    from tracker_service.export_workflow.model import FieldChange
    from tracker_service.export_workflow.summary.model import Language, Summary

MAX_CHANGES: Final = 200
"""Changes that a document lists; the record of the workflow has all."""
_FIRST_PICTURES: Final = 3


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a document comes from.

    Attributes:
        export_workflow_id: The workflow.
        document_id: What the data were taken from.
        document_type: Its type, such as `executions`.
        owner: Pseudonym of the person; empty: not told.
        extraction_method: How the data were obtained.
        version: How many times the data were edited.
        created_us: Time of the version of the data, microseconds since 1970 UTC. A stored time:
            the same document must bear the same one whenever it is made.
        software_version: Of the tracker.
        told: What whoever handed in the data told of where they come from; None: nothing.
    """

    export_workflow_id: str
    document_id: str
    document_type: str
    owner: str
    extraction_method: str
    version: int
    created_us: int
    software_version: str
    told: JsonValue = None


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """Everything that a document says.

    Attributes:
        template: What the document is for.
        language: Of its own words.
        data: As they are now, with the changes.
        summary: Of these data.
        provenance: Where they come from.
        changes: From what the machine had extracted to what they are.
        title: Its title; empty: that of the data (`title`), else the template's.
        media: SHA-256 of the files that may be shown; see `media_of`. Of data that somebody
            handed in: none.
    """

    template: Template
    language: Language
    data: JsonValue
    summary: Summary
    provenance: Provenance
    changes: tuple[FieldChange, ...] = ()
    title: str = ""
    media: frozenset[str] = field(default_factory=frozenset)


def media_of(extracted: JsonValue) -> frozenset[str]:
    """Return the files that data name.

    Args:
        extracted: What was extracted from executions, before anybody edited it.
    """
    return frozenset(
        media["sha256"]
        for execution in executions_of(extracted)
        for step in execution["steps"]
        if (media := step.get("media")) and media["sha256"]
    )


def build(source: DocumentSource) -> Document:
    """Make a document; the same source makes the same one.

    Args:
        source: What it says.

    Raises:
        InvalidArgumentError: TEMPLATE_NOT_APPLICABLE: the template tells executions, and the data
            have none. DOCUMENT_TOO_LARGE: it would be larger than a document may be.
    """
    document = _Builder(source).document()
    check_size(document)
    return document


class _Builder:
    def __init__(self, source: DocumentSource) -> None:
        self._source = source
        self._words = words_of(source.language)
        self._cut = self._words.sentences["cut"]
        self._executions = executions_of(source.data)
        self._teller = Teller(self._words, source.media)

    def document(self) -> Document:
        source, sentences = self._source, self._words.sentences
        provenance = source.provenance
        created = f"{time_text(provenance.created_us)[:16].replace('T', ' ')} UTC"
        return Document(
            title=self._title(),
            subtitle=line(
                sentences["subtitle"].format(
                    type=self._words.titles[source.template], created=created
                )
            ),
            template=source.template,
            language=source.language,
            created_us=provenance.created_us,
            sections=tuple(
                section
                for section in (*self._content(), self._changes(), self._provenance(created))
                if section.blocks
            ),
            footer=line(
                sentences["footer"].format(
                    version=provenance.software_version,
                    created=created,
                    workflow=provenance.export_workflow_id,
                )
            ),
        )

    def _title(self) -> str:
        """The title wanted, else the data's own, else the template's."""
        data = self._source.data
        own = data.get("title") if isinstance(data, dict) else None
        titles = (self._source.title, own, self._words.titles[self._source.template])
        return next(line(one) for one in titles if isinstance(one, str) and line(one))

    def _content(self) -> Iterator[Section]:
        template = self._source.template
        if template is Template.DATA_TABLE:
            yield Section(title=self._words.sections["data"], blocks=(self._main_table(),))
        yield self._summary()
        if template is Template.LEARNING_JOURNEY:
            yield from self._journey()
            return
        yield self._figures()
        if template is Template.EXECUTIVE_SUMMARY:
            yield Section(
                title=self._words.sections["pictures"],
                blocks=self._teller.pictures(self._executions, _FIRST_PICTURES),
            )
        if template is Template.FULL_REPORT:
            yield from self._report()

    def _summary(self) -> Section:
        summary, sentences = self._source.summary, self._words.sentences
        metadata = summary.metadata
        is_written = metadata.extraction_method is Method.GENERATIVE
        told = [
            sentences["by_model"].format(model=metadata.ai_model)
            if is_written
            else sentences["extracted"]
        ]
        if metadata.confidence_score is not None:
            percent = int(metadata.confidence_score * 100)  # never rounded up to "all"
            told.append(sentences["confidence"].format(percent=percent))
        return Section(
            title=self._words.sections["summary"],
            blocks=(Text(text=clean(summary.text, self._cut)), Note(text=line(" ".join(told)))),
        )

    def _figures(self) -> Section:
        """The totals of executions, and other facts that are no lists."""
        data = self._source.data
        facts: list[Fact] = []
        if isinstance(data, dict):
            figures = {key: value for key, value in data.items() if not isinstance(value, list)}
            if self._executions and isinstance(figures.get("totals"), dict):
                facts += self._teller.figures(figures.pop("totals")).facts
            if figures:
                facts += facts_of(figures, self._words).facts
        blocks = (Facts(facts=tuple(facts)),) if facts else ()
        return Section(title=self._words.sections["figures"], blocks=blocks)

    def _journey(self) -> Iterator[Section]:
        if not self._executions:
            raise InvalidArgumentError(
                "TEMPLATE_NOT_APPLICABLE",
                "A learning journey tells executions, and these data have none under "
                "`executions`; take another template.",
                field="document_template",
            )
        yield Section(
            title=self._words.sections["overview"],
            blocks=(self._teller.overview(self._executions),),
        )
        yield from self._teller.journey(self._executions)

    def _report(self) -> Iterator[Section]:
        data = self._source.data
        if not self._executions:
            yield from sections_of(data, self._words)
            return
        yield Section(
            title=self._words.sections["overview"],
            blocks=(self._teller.overview(self._executions),),
        )
        yield from self._teller.report(self._executions)
        rest = {key: data[key] for key in data if key not in ("executions", "totals")}
        if rest:
            yield from sections_of(rest, self._words)

    def _main_table(self) -> Table:
        data = self._source.data
        if self._executions:
            return self._teller.table(self._executions)
        if is_rows(data):
            return table_of(self._words.sections["data"], data, self._words)
        lists = (
            {key: value for key, value in data.items() if is_rows(value)}
            if isinstance(data, dict)
            else {}
        )
        if lists:
            key = max(lists, key=lambda key: len(lists[key]))
            return table_of(key, lists[key], self._words)
        facts = facts_of(data, self._words).facts
        columns = (self._words.columns["field"], self._words.columns["value"])
        rows = tuple((fact.label, fact.value) for fact in facts)
        return Table(title=self._words.sections["data"], columns=columns, rows=rows)

    def _changes(self) -> Section:
        changes, sentences = self._source.changes, self._words.sentences
        blocks: list[Block] = []
        if not changes:
            blocks.append(Note(text=sentences["no_changes"]))
        else:
            blocks += [
                Note(text=sentences["changes"].format(count=len(changes))),
                self._change_table(changes[:MAX_CHANGES]),
            ]
        if len(changes) > MAX_CHANGES:
            blocks.append(Note(text=sentences["more"].format(count=len(changes) - MAX_CHANGES)))
        return Section(title=self._words.sections["changes"], blocks=tuple(blocks))

    def _change_table(self, changes: tuple[FieldChange, ...]) -> Table:
        columns = ("field", "change", "before", "after")
        return Table(
            title=self._words.sections["changes"],
            columns=tuple(self._words.columns[column] for column in columns),
            rows=tuple(map(self._change_row, changes)),
        )

    def _change_row(self, change: FieldChange) -> tuple[Cell, ...]:
        field = line(change.field)
        if change.moved_from is not None:
            # What it holds stands in the data; here only its place is told.
            return field, self._words.changes["moved"], path_text(change.moved_from), field
        kind = self._words.changes[change.change_type]
        return field, kind, cell_of(change.old, self._cut), cell_of(change.new, self._cut)

    def _provenance(self, created: str) -> Section:
        provenance, metadata = self._source.provenance, self._source.summary.metadata
        version = str(provenance.version) if provenance.version else None
        told = {
            "workflow": provenance.export_workflow_id,
            "document": provenance.document_id,
            "type": provenance.document_type,
            "owner": provenance.owner,
            "method": provenance.extraction_method,
            "version": version or self._words.sentences["untouched"],
            "digest": digest(self._source.data),
            "summary_method": metadata.extraction_method.value,
            "model": metadata.ai_model,
            "created": created,
            "software": provenance.software_version,
        }
        facts = [
            Fact(label=self._words.labels[key], value=line(value))
            for key, value in told.items()
            if value
        ]
        if provenance.told is not None:
            facts += facts_of(provenance.told, self._words).facts
        return Section(
            title=self._words.sections["provenance"], blocks=(Facts(facts=tuple(facts)),)
        )


def digest(data: JsonValue) -> str:
    """Return the SHA-256 of data, in hexadecimal: of their JSON text, ASCII, keys sorted, compact.

    Anyone can compute it: `json.dumps(data, sort_keys=True, separators=(",", ":"))`.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
