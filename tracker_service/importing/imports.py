"""Imports a file: reads records one by one, brings their media, stores them, and reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from servicekit.errors import UnavailableError
from tracker_service.importing.loading import Loader
from tracker_service.importing.model import ForeignRecord, Owner, Report, ReportEntry, Unreadable
from tracker_service.importing.sources import records_in
from tracker_service.metadata import is_withheld
from tracker_service.taxonomy import RULES, Taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker_service.importing.model import MediaStore
    from tracker_service.importing.sources import Found
    from tracker_service.items import ExecutionItem
    from tracker_service.store.interface import Store

_END: Final = None


class Importer:
    """Imports files into one store."""

    def __init__(self, store: Store, media: MediaStore) -> None:
        """Import into `store`, and files into `media`."""
        self._store = store
        self._media = media

    async def import_file(self, path: Path, name: str, *, dry_run: bool) -> Report:
        """Import everything that a file holds.

        Args:
            path: The file; helping files may be written beside it.
            name: What its owner calls it.
            dry_run: Only say what would be done.

        Returns:
            What was read, what was skipped, and why.

        Raises:
            UnavailableError: STORE_UNAVAILABLE, or MEDIA_UNAVAILABLE. What was stored stays; the
                import can be repeated.
            OSError: The disk is full.
        """
        report = Report(dry_run)
        loader = Loader(self._store, Taxonomy())
        found = records_in(path, name)
        while (one := await asyncio.to_thread(_next, found)) is not _END:
            if isinstance(one, Unreadable):
                report.skip(ReportEntry(one.source, "", one.reason, one.message))
            else:
                await self._import_record(one, loader, report, path.with_name("media"))
        return report

    async def _import_record(
        self, record: ForeignRecord, loader: Loader, report: Report, copy: Path
    ) -> None:
        report.read_count += 1
        execution_id = record.summary.execution_id
        for reason, subject in record.warnings:
            report.warn(reason, subject)
        known = await loader.stored(execution_id)
        stored_ids = {item.item_id for item in known.items} if known else set()
        if not report.dry_run:
            record = await self._with_media(record, stored_ids, report, copy)
        record, refused = loader.checked(record)
        for item in record.items:
            if item.item_type not in RULES:
                report.warn("ITEM_TYPE_UNKNOWN", item.item_type)
        missing_count = sum(item.item_id not in stored_ids for item in record.items)
        if report.dry_run:
            report.item_count += missing_count
            report.imported_count += bool(missing_count)
            report.present_count += not missing_count
        else:
            loaded = await loader.load(record, known)
            refused += loaded.refused
            report.item_count += loaded.stored_count
            report.imported_count += bool(loaded.stored_count)
            if loaded.skipped is not None:
                report.skip(ReportEntry(record.source, execution_id, *loaded.skipped))
            elif not missing_count:
                report.present_count += 1
        for item_id, reason, message in refused:
            source = f"{record.source} item {item_id}"
            report.skip(ReportEntry(source, execution_id, reason, message))

    async def _with_media(
        self, record: ForeignRecord, stored_ids: set[str], report: Report, copy: Path
    ) -> ForeignRecord:
        """Bring the files of items that are not stored yet."""
        if record.files is None or not record.media:
            return record
        items = []
        for item in record.items:
            name = record.media.get(item.item_id)
            if name is None or item.item_id in stored_ids:
                items.append(item)
            else:
                items.append(await self._brought(record, item, name, report, copy))
        return replace(record, items=tuple(items))

    async def _brought(
        self, record: ForeignRecord, item: ExecutionItem, name: str, report: Report, copy: Path
    ) -> ExecutionItem:
        assert record.files is not None and item.media is not None
        if not await asyncio.to_thread(record.files.copy, name, copy):
            report.warn("MEDIA_MISSING", name)
            return item
        summary = record.summary
        owner = Owner(
            execution_id=summary.execution_id,
            item_id=item.item_id,
            user_id=summary.user_id,
            session_id=summary.session_id,
            group_id=summary.group_id,
            released=not is_withheld(item.metadata_json),
        )
        try:
            media = await self._media.bring(copy, item.media, owner)
        except UnavailableError:
            report.warn("MEDIA_UNAVAILABLE", "the media store")
            return item
        finally:
            await asyncio.to_thread(copy.unlink, missing_ok=True)
        if media is None:
            report.warn("MEDIA_REFUSED", name)
            return item
        report.media_count += 1
        if item.media.sha256 and media.sha256 != item.media.sha256:
            report.warn("MEDIA_CHANGED", name)
        return item._replace(media=media)


def _next(found: Iterator[Found]) -> Found | None:
    return next(found, _END)
