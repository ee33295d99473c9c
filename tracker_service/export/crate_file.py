"""RO-Crate: records for archives and repositories, after Process Run Crate 0.5.

The crate holds every record in its JSON form, which has every fact, and every file. Its metadata
tell of the executions in the words of schema.org: who did what with which software, and what was
made from what (`isBasedOn`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.person import Person
from rocrate.rocrate import ROCrate

from tracker_service.export.archive import (
    MANIFEST,
    Archive,
    MediaChoice,
    media_name,
    record_name,
)
from tracker_service.export.facts import time_text
from tracker_service.export.provenance import is_input, is_output, is_verdict, sources_of
from tracker_service.records import ExecutionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tracker_service.export.writers import ExportNote
    from tracker_service.items import ExecutionItem, MediaRef
    from tracker_service.records import ExecutionRecord, ExecutionSummary

PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_RIGHTS: Final = (
    "Texts and media belong to the people who made them; ask those who handed out this crate "
    "before you pass it on."
)


class CrateWriter:
    """Writes a crate in a ZIP file, with the sums of `ZipWriter`."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._archive = Archive(path, note.created_us)
        self._choice = MediaChoice()
        self._missing: set[str] = set()
        self._crate = ROCrate(version="1.1")  # what the profile stands on
        self._describe_root(note)

    def _describe_root(self, note: ExportNote) -> None:
        crate = self._crate
        crate.name = "Executions recorded by Stellwerk"
        crate.description = (
            "Recorded runs of creative-AI pipelines: inputs, intermediate texts, verdicts, "
            "parameters and media."
        )
        crate.datePublished = time_text(note.created_us)
        crate.license = self._add("#rights", "CreativeWork", name="Rights", description=_RIGHTS)
        crate.root_dataset["conformsTo"] = self._add(
            PROFILE, "CreativeWork", name="Process Run Crate", version="0.5"
        )
        operator = self._add(
            "#operator",
            "Organization",
            name="Operator of this Stellwerk",
            description="Whoever ran the deployment that the records come from.",
        )
        crate.publisher = operator
        crate.root_dataset["author"] = operator
        crate.add_file(
            dest_path=MANIFEST,
            properties={"name": "SHA-256 sums of all files", "encodingFormat": "text/plain"},
        )

    def wanted_media(self, records: Sequence[ExecutionRecord]) -> list[MediaRef]:
        """Want every file once."""
        return self._choice.fresh(records)

    def add_media(self, media: MediaRef, path: Path | None) -> None:
        """Add a file."""
        self._archive.add_media(media, path)
        if path is None:
            self._missing.add(media.sha256)

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Add records and what is told of them."""
        for record in records:
            self._archive.add_record(record)
            self._describe(record)

    def close(self) -> None:
        """Add the metadata and finish the file."""
        graph = self._crate.metadata.generate()
        text = json.dumps(graph, ensure_ascii=False, indent=2, sort_keys=True)
        self._archive.add_text("ro-crate-metadata.json", text + "\n")
        self._archive.close()

    def abandon(self) -> None:
        """Close what is open."""
        self._archive.abandon()

    # --- what is told ----------------------------------------------------------------------------

    def _describe(self, record: ExecutionRecord) -> None:
        summary, items = record.summary, record.items
        sources = sources_of(items)
        entities = {
            item.item_id: self._item_entity(item)
            for item in items
            if item.content is not None or item.media is not None
        }
        record_file = self._crate.add_file(
            dest_path=record_name(record),
            properties={
                "name": f"Record of execution {summary.execution_id}",
                "encodingFormat": "application/json",
            },
        )
        action = self._execution_action(summary)
        action["object"] = _single(_each(entities, filter(is_input, items)))
        action["result"] = _single([*_each(entities, filter(is_output, items)), record_file])
        record_file["about"] = action
        self._crate.root_dataset.append_to("mentions", action)
        for item in items:
            made_from = _each(entities, sources.get(item.item_id, ()))
            entity = entities.get(item.item_id)
            if entity is None or not made_from:
                continue
            entity["about" if is_verdict(item) else "isBasedOn"] = _single(made_from)
            self._crate.root_dataset.append_to(
                "mentions", self._work_action(item, summary, entity, made_from)
            )

    def _execution_action(self, summary: ExecutionSummary) -> Any:
        name = quote(summary.execution_id, safe="")
        action = self._add(
            f"#execution/{name}",
            "CreateAction",
            name=f"Execution {summary.execution_id}",
            description=f"Config {summary.config_name or 'unknown'}, ended {summary.state.value}.",
            identifier=summary.execution_id,
            actionStatus=_status(summary.state),
        )
        action["instrument"] = self._software(summary)
        action["agent"] = self._person(summary)
        if summary.start_time_us is not None:
            action["startTime"] = _action_time(summary.start_time_us)
        if summary.end_time_us is not None:
            action["endTime"] = _action_time(summary.end_time_us)
        if summary.state not in (ExecutionState.COMPLETED, ExecutionState.RUNNING):
            action["error"] = summary.error or summary.state.value
        return action

    def _work_action(
        self, item: ExecutionItem, summary: ExecutionSummary, result: Any, made_from: list[Any]
    ) -> Any:
        started_us = item.occur_time_us - (item.run_duration_us or 0)
        action = self._add(
            f"#work/{item.item_id}",
            "CreateAction",
            name=f"{item.item_type} of execution {summary.execution_id}",
            description=f"Item {item.sequence_number}, stage {item.stage}.",
            startTime=_action_time(started_us),
            endTime=_action_time(item.occur_time_us),
            actionStatus="http://schema.org/CompletedActionStatus",
        )
        software = self._model(item.model_used) if item.model_used else self._software(summary)
        action["instrument"] = software
        action["agent"] = self._person(summary)
        action["object"] = _single(made_from)
        action["result"] = result
        return action

    def _item_entity(self, item: ExecutionItem) -> Any:
        facts: dict[str, Any] = {
            "additionalType": item.item_type,
            "identifier": item.item_id,
            "dateCreated": time_text(item.occur_time_us),
            "position": item.sequence_number,
        }
        if item.content is not None:
            facts["text"] = item.content
        media = item.media
        if media is None or not media.sha256 or media.sha256 in self._missing:
            name = f"{item.item_type} {item.sequence_number}"
            return self._add(f"#item/{item.item_id}", "CreativeWork", name=name, **facts)
        place = media_name(media)
        known = self._crate.dereference(place)
        if known is not None:  # the same bytes again: one file that several items refer to
            return known
        facts["encodingFormat"] = media.mime_type or "application/octet-stream"
        facts["contentSize"] = str(media.size_bytes)
        facts["sha256"] = media.sha256
        facts["name"] = media.filename or f"{item.item_type} {item.loop_iteration or ''}".strip()
        return self._crate.add_file(dest_path=place, properties=facts)

    def _software(self, summary: ExecutionSummary) -> Any:
        version = summary.software_version or "unknown"
        return self._add(
            f"#software/{quote(version, safe='')}",
            "SoftwareApplication",
            name="Stellwerk",
            description="Runs creative-AI pipelines and records every run.",
            softwareVersion=version,
        )

    def _model(self, model: str) -> Any:
        return self._add(
            f"#model/{quote(model, safe='')}",
            "SoftwareApplication",
            name=model,
            description="A model, as its backend names it.",
            softwareVersion=model.rpartition(":")[2],
        )

    def _person(self, summary: ExecutionSummary) -> Any:
        user = summary.user_id or "unknown"
        identifier = f"#user/{quote(user, safe='')}"
        known = self._crate.dereference(identifier)
        if known is None:
            known = self._crate.add(
                Person(self._crate, identifier, properties={"name": f"{user} (pseudonym)"})
            )
        return known

    def _add(self, name: str, kind: str, /, **facts: Any) -> Any:
        """Return an entity that is part of no file; one of that name that is there stays."""
        known = self._crate.dereference(name)
        if known is not None:
            return known
        entity = ContextEntity(self._crate, name, properties={"@type": kind, **facts})
        return self._crate.add(entity)


def _each(entities: dict[str, Any], items: Iterable[ExecutionItem]) -> list[Any]:
    found = [entities[item.item_id] for item in items if item.item_id in entities]
    return list({entity.id: entity for entity in found}.values())


def _action_time(time_us: int) -> str:
    """The profile wants milliseconds and a numeric zone; the record has the microseconds."""
    return f"{time_text(time_us)[:-4]}+00:00"


def _single(values: list[Any]) -> Any:
    """JSON-LD has no lists of one."""
    return values[0] if len(values) == 1 else values


def _status(state: ExecutionState) -> str:
    if state is ExecutionState.COMPLETED:
        return "http://schema.org/CompletedActionStatus"
    if state in (ExecutionState.RUNNING, ExecutionState.AWAITING_EDIT):
        return "http://schema.org/ActiveActionStatus"
    return "http://schema.org/FailedActionStatus"
