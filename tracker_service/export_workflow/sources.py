"""Where the data of a workflow come from: executions, or what somebody hands in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from servicekit.context import new_id
from servicekit.errors import InvalidArgumentError, NotFoundError
from tracker_service.access import audience_of
from tracker_service.export_workflow.deliverables.extraction import (
    METHOD,
    extract,
    extraction_confidence,
)
from tracker_service.export_workflow.documents import JsonValue, check_document, count_fields
from tracker_service.export_workflow.model import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servicekit.principals import Principal
    from tracker_service.access import Audience
    from tracker_service.export_workflow.workbench import Workbench
    from tracker_service.records import ExecutionRecord
    from tracker_service.store.interface import (
        ExecutionFilter,
        ExecutionPage,
        KeyedRecord,
        PageKey,
    )
    from tracker_service.views import View

MAX_EXECUTIONS: Final = 100
MAX_READ_LENGTH: Final = 64 * 1024 * 1024
"""Characters of all texts and metadata of the executions, of which few get into the data."""
GIVEN: Final = "given"
"""How data were extracted that somebody handed in without a word about it."""
_LEVELS: Final = ("kids", "youth", "adult", "off")


@dataclass(frozen=True, slots=True)
class Selection:
    """Executions.

    Attributes:
        document_type: `execution` or `execution_selection`.
        execution_ids: Just these; empty: all that match.
        wanted: The filter.
    """

    document_type: str
    execution_ids: tuple[str, ...]
    wanted: ExecutionFilter


@dataclass(frozen=True, slots=True)
class GivenDocument:
    """Data that somebody hands in.

    Attributes:
        document_type: What kind they are.
        document_id: Their name; empty: they have none.
        data: A checked object or list.
        provenance: What was told of where they come from; None: nothing.
        extraction_method: How a machine made them; empty: not told.
        extraction_confidence: How sure it was; None: not told.
    """

    document_type: str
    document_id: str
    data: JsonValue
    provenance: JsonValue
    extraction_method: str
    extraction_confidence: float | None


@dataclass(frozen=True, slots=True)
class Obtained:
    """What was obtained from a source.

    Attributes:
        document_id: What the data are of.
        source: Where they come from.
        data: The data.
    """

    document_id: str
    source: Source
    data: JsonValue


class Records(Protocol):
    """Where executions are read; a part of the store."""

    async def record_of(self, execution_id: str, audience: Audience) -> KeyedRecord:
        """Return an execution.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND.
        """

    async def page(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> ExecutionPage:
        """Return a page of executions."""


class ViewMaker(Protocol):
    """Knows how callers see executions."""

    def of(self, principal: Principal) -> View:
        """Return what a caller sees.

        Raises:
            FailedPreconditionError: PSEUDONYM_KEY_MISSING.
        """


class Sources:
    """Obtains data from sources."""

    def __init__(self, records: Records, views: ViewMaker, bench: Workbench) -> None:
        """Read executions from `records`, as `views` shows them to the caller."""
        self._records = records
        self._views = views
        self._bench = bench

    async def obtain(self, wanted: Selection | GivenDocument, principal: Principal) -> Obtained:
        """Obtain the data of a source.

        Args:
            wanted: The source.
            principal: Who asks; nobody sees more in a workflow than elsewhere.

        Raises:
            NotFoundError: EXECUTION_NOT_FOUND or NO_EXECUTIONS.
            InvalidArgumentError: TOO_MANY_EXECUTIONS, or the data are over a limit.
            FailedPreconditionError: PSEUDONYM_KEY_MISSING.
        """
        if isinstance(wanted, GivenDocument):
            return _given(wanted)
        records = await self._read(wanted, principal)
        return await self._bench.do(lambda: _extracted(wanted.document_type, records))

    async def _read(self, selection: Selection, principal: Principal) -> list[ExecutionRecord]:
        view, audience = self._views.of(principal), audience_of(principal)
        names: Sequence[str] = tuple(dict.fromkeys(selection.execution_ids))
        if not names:
            wanted = replace(await view.wanted(selection.wanted), oldest_first=True, erased=False)
            page = await self._records.page(wanted, audience, MAX_EXECUTIONS + 1, None)
            names = [one.execution_id for one in page.executions]
        if not names:
            raise NotFoundError("NO_EXECUTIONS", "No execution matches the selection.")
        if len(names) > MAX_EXECUTIONS:
            raise InvalidArgumentError(
                "TOO_MANY_EXECUTIONS",
                f"Choose at most {MAX_EXECUTIONS} executions.",
                field="selection",
            )
        found: list[ExecutionRecord] = []
        room = MAX_READ_LENGTH
        for name in names:
            record = (await self._records.record_of(name, audience)).record
            if record.summary.erased:
                raise NotFoundError("EXECUTION_NOT_FOUND", "One of the executions was erased.")
            room -= sum(len(item.content or "") + len(item.metadata_json) for item in record.items)
            if room < 0:
                raise InvalidArgumentError(
                    "DOCUMENT_TOO_LARGE",
                    "The executions hold too much to be read at once; choose fewer.",
                    field="selection",
                )
            found.append(view.record(record))
        return found


def _given(document: GivenDocument) -> Obtained:
    source = Source(
        document_type=document.document_type,
        extraction_method=document.extraction_method or GIVEN,
        extraction_confidence=document.extraction_confidence,
        extraction_fields_count=count_fields(document.data),
        provenance=document.provenance,
    )
    return Obtained(document.document_id or new_id(), source, document.data)


def _extracted(document_type: str, records: Sequence[ExecutionRecord]) -> Obtained:
    data = extract(records)
    check_document(data, "selection")
    names = tuple(one.summary.execution_id for one in records)
    source = Source(
        document_type=document_type,
        extraction_method=METHOD,
        extraction_confidence=extraction_confidence(records),
        extraction_fields_count=count_fields(data),
        execution_ids=names,
        safety_level=_strictest([one.summary.safety_level for one in records]),
    )
    return Obtained(names[0] if len(names) == 1 else new_id(), source, data)


def _strictest(levels: Sequence[str]) -> str:
    """Return the strictest of some levels; empty, which is stricter still, if one is not known."""
    if not all(level in _LEVELS for level in levels):
        return ""
    return min(levels, key=_LEVELS.index)
