"""Puts exports together, from settings to servicer."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from servicekit.channel import open_channel
from tracker_service.export.exports import Exports, Keeper
from tracker_service.export.kept_files import KeptFiles
from tracker_service.export_servicer import ExportServicer
from tracker_service.generation_client import GenerationMedia

if TYPE_CHECKING:
    from servicekit.server import Owned
    from tracker_service.settings import TrackerSettings
    from tracker_service.store.interface import Store

EXPORTS_FOLDER: Final = "exports"
MEDIA_SECONDS: Final = 120.0
"""Limit of reading one file."""


async def open_exports(settings: TrackerSettings, store: Store, owned: Owned) -> ExportServicer:
    """Return what hands out exports.

    Args:
        settings: Where built files lie, where media come from.
        store: What is exported.
        owned: Closes what was opened.
    """
    key = settings.service_key.get_secret_value() if settings.service_key else None
    channel = await owned.enter_async_context(
        open_channel(settings.generation_address, service_key=key)
    )
    files = await asyncio.to_thread(
        KeptFiles, settings.data_dir / EXPORTS_FOLDER, settings.export_keep_seconds
    )
    owned.push_async_callback(files.forget)
    keeper = Keeper(
        files=files,
        media=GenerationMedia(channel, timeout_seconds=MEDIA_SECONDS),
        pseudonym_key=settings.pseudonym_key.get_secret_value().encode(),
        software_version=_software_version(),
    )
    return ExportServicer(Exports(store, keeper))


def _software_version() -> str:
    try:
        return version("stellwerk")
    except PackageNotFoundError:
        return "unknown"
