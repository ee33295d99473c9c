"""PROV-JSON: for provenance tools. Every execution is a bundle.

The `prov` library writes each bundle; the bundles are put together here, one after the other, so
that memory holds one at a time.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from prov.model import PROV, XSD, Literal, Namespace, ProvDocument

from tracker_service.export.facts import ITEM_COLUMNS, RECORD_COLUMNS, Kind, plain_text, rows_of
from tracker_service.export.provenance import is_input, is_verdict, sources_of
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from prov.model import ProvBundle, ProvEntity

    from tracker_service.export.writers import ExportNote
    from tracker_service.items import ExecutionItem
    from tracker_service.records import ExecutionRecord

TERMS: Final = Namespace("stellwerk", "urn:stellwerk:terms:")
EXECUTIONS: Final = Namespace("execution", "urn:stellwerk:execution:")
ITEMS: Final = Namespace("item", "urn:uuid:")
AGENTS: Final = Namespace("agent", "urn:stellwerk:agent:")
_NAMESPACES: Final = (TERMS, EXECUTIONS, ITEMS, AGENTS)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_XSD_TYPES: Final = {
    Kind.INTEGER: XSD["long"],
    Kind.SECONDS: XSD["double"],
    Kind.TIME: XSD["dateTime"],
    Kind.FLAG: XSD["boolean"],
}


class ProvWriter(WithoutMedia):
    """Writes `{"prefix": …, "bundle": {…}}`."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._file = path.open("w", encoding="utf-8")
        prefixes = {space.prefix: space.uri for space in _NAMESPACES}
        self._file.write(f'{{"prefix": {json.dumps(prefixes)}, "bundle": {{')
        self._is_first = True

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a bundle per record."""
        for record in records:
            text = bundle_json(record)
            self._file.write(f"{'' if self._is_first else ','}\n{text}")
            self._is_first = False

    def close(self) -> None:
        """Finish the file."""
        self._file.write("\n}}\n")
        self._file.close()

    def abandon(self) -> None:
        """Close the file."""
        self._file.close()


def bundle_json(record: ExecutionRecord) -> str:
    """Return the bundle of a record, as it stands inside of `bundle`."""
    document = ProvDocument()
    for space in _NAMESPACES:
        document.add_namespace(space)
    name = quote(record.summary.execution_id, safe="")
    bundle = document.bundle(EXECUTIONS[f"{name}/record"])
    _fill(bundle, record, name)
    written: dict[str, Any] = json.loads(document.serialize(format="json") or "{}")["bundle"]
    return json.dumps(written, ensure_ascii=False)[1:-1]


def _fill(bundle: ProvBundle, record: ExecutionRecord, name: str) -> None:
    summary = record.summary
    rows = list(rows_of(record))
    width = len(RECORD_COLUMNS)
    execution = bundle.activity(
        EXECUTIONS[name],
        _moment(summary.start_time_us),
        _moment(summary.end_time_us),
        _attributes(RECORD_COLUMNS, rows[0][:width]),
    )
    software = bundle.agent(
        AGENTS[f"software/{quote(summary.software_version or 'unknown', safe='')}"],
        {PROV["type"]: PROV["SoftwareAgent"]},
    )
    bundle.wasAssociatedWith(execution, software)
    person = bundle.agent(
        AGENTS[f"user/{quote(summary.user_id or 'unknown', safe='')}"],
        {PROV["type"]: PROV["Person"]},
    )
    sources = sources_of(record.items)
    entities: dict[str, ProvEntity] = {}
    for item, row in zip(record.items, rows, strict=False):
        attributes = _attributes(ITEM_COLUMNS, row[width:])
        attributes.append((PROV["type"], TERMS[item.item_type]))
        entity = bundle.entity(ITEMS[item.item_id], attributes)
        entities[item.item_id] = entity
        if is_input(item):
            bundle.wasAttributedTo(entity, person)
            bundle.used(execution, entity)
        else:
            activity = _work(bundle, item, sources.get(item.item_id, ())) or execution
            bundle.wasGeneratedBy(entity, activity, _moment(item.occur_time_us))
        for source in sources.get(item.item_id, ()):
            bundle.wasDerivedFrom(
                entity,
                entities[source.item_id],
                other_attributes={PROV["type"]: TERMS["judges"]} if is_verdict(item) else None,
            )


def _work(bundle: ProvBundle, item: ExecutionItem, sources: Sequence[ExecutionItem]) -> Any:
    """Return the activity that made an item; None: nobody but the execution itself."""
    if not (item.model_used or item.backend_used or item.run_duration_us is not None):
        return None
    started_us = item.occur_time_us - (item.run_duration_us or 0)
    activity = bundle.activity(
        EXECUTIONS[f"work/{item.item_id}"], _moment(started_us), _moment(item.occur_time_us)
    )
    for source in sources:
        bundle.used(activity, ITEMS[source.item_id])
    if item.model_used:
        model = bundle.agent(
            AGENTS[f"model/{quote(item.model_used, safe='')}"],
            {PROV["type"]: PROV["SoftwareAgent"], TERMS["model"]: item.model_used},
        )
        bundle.wasAssociatedWith(activity, model)
    return activity


def _attributes(columns: Sequence[Any], values: Sequence[Any]) -> list[tuple[Any, Any]]:
    attributes = []
    for column, value in zip(columns, values, strict=True):
        if value is None:
            continue
        kind = _XSD_TYPES.get(column.kind)
        text = plain_text(value, column.kind)
        attributes.append((TERMS[column.name], text if kind is None else Literal(text, kind)))
    return attributes


def _moment(time_us: int | None) -> datetime | None:
    return None if time_us is None else _EPOCH + timedelta(microseconds=time_us)
