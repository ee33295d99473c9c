"""Puts the media library together from what an operator has chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from generation_service.media.delivery import Delivery
from generation_service.media.folder import FolderMediaStore
from generation_service.media.interface import StoreUnavailableError
from generation_service.media.ledger import MediaLedger
from generation_service.media.ledger_base import SqliteLedgerBase
from generation_service.media.library import LibraryRules, MediaLibrary
from generation_service.media.marking import open_marker
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path

    from pydantic import SecretStr

    from generation_service.media.bucket import Bucket
    from generation_service.media.interface import MediaStore
    from generation_service.media.ledger_base import LedgerBase

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MarkOptions:
    """How machine-made media are marked.

    Attributes:
        enabled: Mark them, if the extra is installed.
        rules: Also what was made by rules, without a trained model.
        name: Who marks, in a self-made certificate.
        certificate: The deployment's own chain in PEM; None: a self-made one.
        key: Its key in PEM.
    """

    enabled: bool = True
    rules: bool = False
    name: str = "A Stellwerk deployment"
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class MediaOptions:
    """What an operator chooses about media.

    Attributes:
        data_dir: Folder of the ledger, of a self-made certificate, and of the files if they are
            not in a bucket.
        rules: Limits and rights.
        bucket: Where the files are; None: in the folder.
        mark: How they are marked.
        database_url: PostgreSQL of the ledger; None: a file in the folder.
    """

    data_dir: Path
    rules: LibraryRules = field(default_factory=LibraryRules)
    bucket: Bucket | None = None
    mark: MarkOptions = field(default_factory=MarkOptions)
    database_url: SecretStr | None = None


async def open_library(options: MediaOptions, owned: AsyncExitStack) -> MediaLibrary:
    """Open the library, and finish what an interrupted erasure left.

    Args:
        options: What was chosen.
        owned: Gets what must be closed.

    Raises:
        ConfigurationError: An extra is not installed, or a certificate cannot be used.
    """
    mark = options.mark
    marker = None
    if mark.enabled:
        marker = open_marker(
            options.data_dir, name=mark.name, certificate=mark.certificate, key=mark.key
        )
    store = _store(options)
    owned.push_async_callback(store.close)
    ledger = MediaLedger(_ledger_base(options))
    owned.push_async_callback(ledger.close)
    library = MediaLibrary(
        store, ledger, Delivery(store, marker, marks_rules=mark.rules), options.rules
    )
    try:
        erased = await library.finish_erasing()
    except StoreUnavailableError:
        log.warning("erasure_postponed")  # the next start tries again
    else:
        if erased:
            log.info("erasure_finished", file_count=erased)
    return library


def _ledger_base(options: MediaOptions) -> LedgerBase:
    if options.database_url is None:
        return SqliteLedgerBase(options.data_dir / "media.sqlite3")
    if find_spec("psycopg") is None:
        raise ConfigurationError(
            "GENERATION_MEDIA_DATABASE_URL needs the extra postgres: pip install "
            "'stellwerk[postgres]'."
        )
    from generation_service.media.ledger_postgres import PostgresLedgerBase

    return PostgresLedgerBase(options.database_url)


def _store(options: MediaOptions) -> MediaStore:
    if options.bucket is None:
        return FolderMediaStore(options.data_dir)
    if find_spec("obstore") is None:
        raise ConfigurationError(
            "GENERATION_MEDIA_STORE=s3 needs the extra s3: pip install 'stellwerk[s3]'."
        )
    from generation_service.media.s3 import S3MediaStore

    return S3MediaStore(options.bucket)
