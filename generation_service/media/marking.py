"""Marks machine-made media for machines to read: a signed C2PA manifest in the file.

Article 50 of the EU's AI Act asks for it. The mark says how the file was made, by which model and
in which execution, and nothing about the person for whom; no thumbnail of the picture goes into
it, and nothing is asked of the network. Formats in which C2PA has no place get a manifest beside
the file.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

from generation_service.media.provenance import ACTIONS, IPTC, MAKING

if TYPE_CHECKING:
    from pathlib import Path

    from generation_service.media.certificate import Credentials
    from generation_service.media.interface import StoredMedia
    from generation_service.media.origin import Origin

log = structlog.get_logger(__name__)

MANIFEST_TYPE = "application/c2pa"
SELF_MADE_FOLDER = "marking"
EMBEDDABLE = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "audio/wav",
        "audio/mpeg",
        "audio/flac",
        "audio/mp4",
        "video/mp4",
        "video/quicktime",
    }
)
"""Kinds of files that carry a manifest inside; the others get one beside them."""
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}
_AGENTS = {"embedded": "Stellwerk's embedded renderer", "comfyui": "ComfyUI"}


@dataclass(frozen=True)
class Facts:
    """What a mark says.

    Attributes:
        media: The file; its hash without the mark leads to the record.
        origin: How it was made.
        execution_id: In which execution.
    """

    media: StoredMedia
    origin: Origin
    execution_id: str


class MarkingFailedError(Exception):
    """The file could not be marked; the text says why, for the log."""


class Marker:
    """Signs manifests under one certificate."""

    def __init__(self, credentials: Credentials) -> None:
        """Use a certificate. The library is loaded now, so that the first picture need not wait.

        Raises:
            MarkingFailedError: The library does not take the certificate.
        """
        import c2pa

        self._c2pa = c2pa
        self._credentials = credentials
        self._context = c2pa.Context.from_dict(_SETTINGS)
        self._new_signer().close()

    def mark(self, data: bytes, facts: Facts) -> bytes:
        """Return the file with a manifest inside. Blocking: milliseconds for a picture.

        Raises:
            MarkingFailedError: The file has no place for it, or breaks the rules of its format.
        """
        if facts.media.mime_type not in EMBEDDABLE:
            raise MarkingFailedError(f"{facts.media.mime_type} carries no manifest")
        marked, _ = self._signed(data, facts, embed=True)
        return marked

    def manifest(self, data: bytes, facts: Facts) -> bytes:
        """Return a manifest to be kept beside the file. Blocking like `mark`.

        Raises:
            MarkingFailedError: The library failed.
        """
        _, manifest = self._signed(data, facts, embed=False)
        return manifest

    def _signed(self, data: bytes, facts: Facts, *, embed: bool) -> tuple[bytes, bytes]:
        marked = io.BytesIO()
        try:
            definition = json.dumps(_definition(facts))
            with (
                self._new_signer() as signer,
                self._c2pa.Builder(definition, context=self._context) as builder,
            ):
                if not embed:
                    builder.set_no_embed()
                mime_type = facts.media.mime_type
                manifest = builder.sign(signer, mime_type, io.BytesIO(data), marked)
        except self._c2pa.C2paError as exc:
            raise MarkingFailedError(str(exc)) from exc
        return marked.getvalue(), manifest

    def _new_signer(self) -> Any:
        info = self._c2pa.C2paSignerInfo(
            self._credentials.algorithm.encode(),
            self._credentials.chain,
            self._credentials.key,
            None,  # no time stamping service is asked
        )
        try:
            return self._c2pa.Signer.from_info(info)
        except self._c2pa.C2paError as exc:
            raise MarkingFailedError(str(exc)) from exc


def open_marker(
    data_dir: Path, *, name: str, certificate: Path | None, key: Path | None
) -> Marker | None:
    """Make a marker; None, said once in the log, where the extra `c2pa` is not installed.

    Args:
        data_dir: Where a self-made certificate is kept.
        name: Who marks, in a self-made certificate.
        certificate: The deployment's own chain; None: a self-made one.
        key: Its private key.

    Raises:
        ConfigurationError: The certificate cannot be used.
    """
    if find_spec("c2pa") is None or find_spec("cryptography") is None:
        log.warning("media_marking_unavailable", hint="install the extra c2pa")
        return None
    from generation_service.media.certificate import read_credentials, self_made_credentials
    from servicekit.settings import ConfigurationError

    if certificate is not None and key is not None:
        credentials = read_credentials(certificate, key)
    else:
        credentials = self_made_credentials(data_dir / SELF_MADE_FOLDER, name)
    try:
        return Marker(credentials)
    except MarkingFailedError as exc:
        raise ConfigurationError(
            f"C2PA does not take the certificate for marking media: {exc}"
        ) from exc


def _definition(facts: Facts) -> dict[str, object]:
    origin = facts.origin
    created: dict[str, object] = {
        "action": "c2pa.created",
        "digitalSourceType": IPTC + origin.source_type,
        "softwareAgent": {"name": _AGENTS.get(origin.backend, origin.backend)},
    }
    if origin.made_at:
        created["when"] = origin.made_at
    making = {
        "execution_id": facts.execution_id,
        "output_config": origin.output_config,
        "backend": origin.backend,
        "model": origin.model,
        "sha256": facts.media.sha256,
    }
    return {
        "claim_generator_info": [{"name": "Stellwerk", "version": version("stellwerk")}],
        "title": facts.media.filename or "made by a machine",
        "format": facts.media.mime_type,
        "assertions": [
            {"label": ACTIONS, "data": {"actions": [created]}},
            {"label": MAKING, "data": {key: value for key, value in making.items() if value}},
        ],
    }
