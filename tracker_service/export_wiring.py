"""Puts exports and imports together, from settings to servicer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.version import software_version
from tracker_service.export.exports import Exports, Keeper
from tracker_service.export_servicer import ExportServicer
from tracker_service.importing.imports import Importer
from tracker_service.importing.intake import ImportIntake
from tracker_service.views import Views

if TYPE_CHECKING:
    from tracker_service.export.kept_files import KeptFiles
    from tracker_service.generation_client import GenerationMedia
    from tracker_service.store.interface import Store


def open_exports(
    store: Store,
    files: KeptFiles,
    media: GenerationMedia,
    pseudonym_key: bytes,
) -> ExportServicer:
    """Return what hands out exports and takes in imports.

    Args:
        store: What is exported.
        files: Keeps what was built.
        media: Reads media and takes over imported ones.
        pseudonym_key: Of the pseudonyms; empty: the deployment has none.
    """
    keeper = Keeper(
        files=files,
        media=media,
        pseudonym_key=pseudonym_key,
        software_version=software_version(),
    )
    intake = ImportIntake(Importer(store, media), files)
    return ExportServicer(Exports(store, keeper), intake, Views(store, pseudonym_key))
