"""Reads the mark of a file and says in plain words who made it with what.

Also used by the command line, which works offline and without the service.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from generation_service.media.types import find_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ACTIONS = "c2pa.actions.v2"
MAKING = "stellwerk.making"
_UNTRUSTED = "signingCredential.untrusted"


class Verdict(StrEnum):
    """What a check came to."""

    TRUSTED = "trusted"
    """Unchanged since it was signed, by a signer that an authority of ours vouches for."""
    UNKNOWN_SIGNER = "unknown_signer"
    """Unchanged since it was signed; anybody may have signed it."""
    CHANGED = "changed"
    """The file or its mark was changed afterwards, or the signature is not valid."""
    UNMARKED = "unmarked"
    """There is no mark."""


@dataclass(frozen=True)
class Provenance:
    """What the mark of a file says.

    Attributes:
        verdict: Whether to believe the rest.
        signer: Who signed, as their certificate has it.
        signed_with: The program that made the mark, such as `Stellwerk 0.1.0`.
        source_type: IPTC digital source type without its address; empty: not told.
        agent: What made the file, such as `ComfyUI`; empty: not told.
        made_at: When, ISO 8601; empty: not told.
        making: Stellwerk's own facts: execution, config, backend, model, hash without the mark.
        faults: Codes of what did not hold.
    """

    verdict: Verdict
    signer: str = ""
    signed_with: str = ""
    source_type: str = ""
    agent: str = ""
    made_at: str = ""
    making: Mapping[str, str] | None = None
    faults: tuple[str, ...] = ()


class ReaderMissingError(Exception):
    """The extra `c2pa` is not installed."""


def read_provenance(
    data: bytes, *, manifest: bytes | None = None, authorities: bytes = b""
) -> Provenance:
    """Read and check the mark of a file; nothing is asked of the network.

    Args:
        data: The file.
        manifest: What is kept beside it; None: look inside.
        authorities: Certificates in PEM whose signers are believed; empty: none.

    Raises:
        ReaderMissingError: The library is not installed.
        ValueError: `authorities` are no certificates.
    """
    if find_spec("c2pa") is None:
        raise ReaderMissingError
    import c2pa

    kind = find_kind(data)
    mime_type = kind.mime_type if kind else "application/octet-stream"
    try:
        context = c2pa.Context.from_dict(_settings(authorities))
    except c2pa.C2paError as exc:
        raise ValueError(str(exc)) from exc
    try:
        with c2pa.Reader(
            mime_type, io.BytesIO(data), manifest_data=manifest, context=context
        ) as reader:
            report: dict[str, Any] = json.loads(reader.json())
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return Provenance(Verdict.UNMARKED)
    except c2pa.C2paError as exc:
        return Provenance(Verdict.CHANGED, faults=(str(exc),))
    return _provenance(report)


def _settings(authorities: bytes) -> dict[str, object]:
    settings: dict[str, object] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    if authorities:
        settings["trust"] = {"user_anchors": authorities.decode()}
    return settings


def _provenance(report: Mapping[str, Any]) -> Provenance:
    manifest = report["manifests"].get(report.get("active_manifest", ""), {})
    failures = report.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    faults = tuple(failure["code"] for failure in failures)
    signature = manifest.get("signature_info", {})
    program = (manifest.get("claim_generator_info") or [{}])[0]
    assertions = {each["label"]: each["data"] for each in manifest.get("assertions", [])}
    created = (assertions.get(ACTIONS, {}).get("actions") or [{}])[0]
    making = assertions.get(MAKING)
    return Provenance(
        verdict=_verdict(report.get("validation_state", ""), faults),
        signer=signature.get("common_name") or signature.get("issuer") or "",
        signed_with=f"{program.get('name', '')} {program.get('version', '')}".strip(),
        source_type=str(created.get("digitalSourceType", "")).removeprefix(IPTC),
        agent=_agent(created.get("softwareAgent")),
        made_at=str(created.get("when", "")),
        making={str(k): str(v) for k, v in making.items()} if isinstance(making, dict) else None,
        faults=tuple(fault for fault in faults if fault != _UNTRUSTED),
    )


def _verdict(state: str, faults: tuple[str, ...]) -> Verdict:
    if state == "Trusted":
        return Verdict.TRUSTED
    if state == "Valid" or (faults and set(faults) == {_UNTRUSTED}):
        return Verdict.UNKNOWN_SIGNER
    return Verdict.CHANGED


def _agent(agent: object) -> str:
    """C2PA 1 has a text here, C2PA 2 an object."""
    return str(agent.get("name", "")) if isinstance(agent, dict) else str(agent or "")
