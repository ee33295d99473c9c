"""The mark of machine-made media: true, readable by others' rules, and nobody's name in it."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from generation_service.media.certificate import (
    AUTHORITY,
    CHAIN,
    KEY,
    read_credentials,
    self_made_credentials,
)
from generation_service.media.description import described, known_kind
from generation_service.media.marking import EMBEDDABLE, Facts, Marker, MarkingFailedError
from generation_service.media.origin import Origin
from generation_service.media.provenance import Verdict, read_provenance
from generation_service.media.stripping import strip
from servicekit.settings import ConfigurationError
from tests.unit.generation_service.media import recordings
from tests.unit.generation_service.media.test_stripping import PICTURES, RECORDINGS, glb

if TYPE_CHECKING:
    from pathlib import Path

MADE = Origin("comfyui", "comfyui/sd15", "sd15", made_at="2026-11-20T07:00:00+00:00")
NAMES = [
    name for name in {**PICTURES, **RECORDINGS} if not name.startswith(("opus", "vorb", "web"))
]
CARRIERS = [*NAMES, "webp"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a self-made certificate is kept."""
    return tmp_path_factory.mktemp("data") / "marking"


@pytest.fixture(scope="module")
def marker(folder: Path) -> Marker:
    """Marks under a self-made certificate."""
    return Marker(self_made_credentials(folder, "Goethe School"))


def file(name: str) -> bytes:
    """A made file as it is stored: without metadata."""
    data = {**PICTURES, **RECORDINGS, "glb": glb}[name]()
    return strip(data, known_kind(data))


def facts(data: bytes, origin: Origin = MADE) -> Facts:
    """What is known of a made file."""
    return Facts(described(data, known_kind(data), "sd15-1.png"), origin, "e1")


@pytest.mark.parametrize("name", CARRIERS)
def test_marked_files_tell_how_they_were_made(name: str, marker: Marker, folder: Path) -> None:
    """Every kind that carries a mark tells who, with what and when, under a known signer."""
    data = file(name)
    marked = marker.mark(data, facts(data))
    told = read_provenance(marked, authorities=(folder / AUTHORITY).read_bytes())
    assert told.verdict is Verdict.TRUSTED
    assert (told.signer, told.agent) == ("Goethe School", "ComfyUI")
    assert told.signed_with.startswith("Stellwerk ")
    assert told.source_type == "trainedAlgorithmicMedia"
    assert told.made_at.startswith("2026-11-20T07:00:00")
    assert told.making == {
        "execution_id": "e1",
        "output_config": "sd15",
        "backend": "comfyui",
        "model": "comfyui/sd15",
        "sha256": facts(data).media.sha256,
    }


@pytest.mark.parametrize("name", CARRIERS)
def test_marked_files_show_and_sound_the_same(name: str, marker: Marker) -> None:
    """A mark changes neither a pixel nor a sample."""
    data = file(name)
    marked = marker.mark(data, facts(data))
    if name in PICTURES:
        with Image.open(io.BytesIO(marked)) as after, Image.open(io.BytesIO(data)) as before:
            assert after.convert("RGBA").tobytes() == before.convert("RGBA").tobytes()
    else:
        assert recordings.decoded(marked) == recordings.decoded(data)
    assert len(marked) - len(data) < 8000


def test_a_mark_goes_with_the_stripping(marker: Marker) -> None:
    """Taking metadata out leads back to the very bytes that were stored."""
    data = file("png")
    assert strip(marker.mark(data, facts(data)), known_kind(data)) == data


@pytest.mark.parametrize("name", ["glb", "webm", "opus"])
def test_other_files_get_a_mark_beside_them(name: str, marker: Marker, folder: Path) -> None:
    """Where the format has no place, a manifest of its own belongs to exactly this file."""
    data = file(name)
    assert facts(data).media.mime_type not in EMBEDDABLE
    with pytest.raises(MarkingFailedError):
        marker.mark(data, facts(data))
    manifest = marker.manifest(data, facts(data))
    anchors = (folder / AUTHORITY).read_bytes()
    told = read_provenance(data, manifest=manifest, authorities=anchors)
    assert told.verdict is Verdict.TRUSTED
    assert told.making is not None
    changed = data[:-1] + bytes([data[-1] ^ 1])
    other = read_provenance(changed, manifest=manifest, authorities=anchors)
    assert other.verdict is Verdict.CHANGED
    assert "assertion.dataHash.mismatch" in other.faults


@pytest.mark.parametrize(
    ("origin", "word"),
    [
        (MADE, "trainedAlgorithmicMedia"),
        (replace(MADE, has_inputs=True), "compositeWithTrainedAlgorithmicMedia"),
        (Origin("embedded", "embedded/picture-a"), "algorithmicMedia"),
        (Origin("embedded", "embedded/picture-a", has_inputs=True), "composite"),
    ],
)
def test_the_source_type_is_the_right_one(origin: Origin, word: str, marker: Marker) -> None:
    """Trained models, rules alone, and a person's picture inside are told apart."""
    data = file("png")
    assert read_provenance(marker.mark(data, facts(data, origin))).source_type == word


def test_changes_show(marker: Marker) -> None:
    """A pixel that was changed afterwards makes the mark invalid."""
    data = file("png")
    marked = bytearray(marker.mark(data, facts(data)))
    marked[-20] ^= 1
    assert read_provenance(bytes(marked)).verdict is Verdict.CHANGED


def test_strangers_see_an_unknown_signer(marker: Marker) -> None:
    """Without our authority the file is unchanged, and anybody may have signed it."""
    data = file("png")
    told = read_provenance(marker.mark(data, facts(data)))
    assert told.verdict is Verdict.UNKNOWN_SIGNER
    assert told.faults == ()


def test_files_without_a_mark_have_none() -> None:
    """Neither a plain picture nor a poem claims anything."""
    assert read_provenance(file("png")).verdict is Verdict.UNMARKED
    assert read_provenance(b"a poem").verdict is Verdict.UNMARKED


def test_a_certificate_is_made_once(folder: Path, marker: Marker) -> None:
    """A restart marks under the same name; its key is nobody else's to read."""
    assert self_made_credentials(folder, "Another name") == self_made_credentials(folder, "x")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["marking"]
    if os.name == "posix":
        assert (folder / KEY).stat().st_mode & 0o077 == 0


def test_a_deployment_may_bring_its_own_certificate(folder: Path, marker: Marker) -> None:
    """PEM files of the operator are used as they are."""
    own = read_credentials(folder / CHAIN, folder / KEY)
    data = file("jpeg")
    marked = Marker(own).mark(data, facts(data))
    assert read_provenance(marked).signer == "Goethe School"


def test_faulty_certificates_stop_the_start(folder: Path, marker: Marker, tmp_path: Path) -> None:
    """A missing file, a file of something else and a foreign key are told by their names."""
    foreign = tmp_path / "foreign.pem"
    foreign.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for chain, key in (
        (tmp_path / "missing.pem", folder / KEY),
        (folder / CHAIN, foreign),
        (folder / KEY, folder / KEY),
    ):
        with pytest.raises(ConfigurationError, match="certificate"):
            read_credentials(chain, key)
