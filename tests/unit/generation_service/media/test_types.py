"""What a file is, is told by its bytes."""

from __future__ import annotations

import pytest

from generation_service.media import types
from generation_service.media.types import find_kind
from tests.unit.generation_service.media import recordings


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF....WAVEfmt ", types.WAV),
        (b"....ftypisom", types.MP4),
        (b"....ftypmp42", types.MP4),
        (b"....ftypqt  ", types.MOV),
        (b"....ftypM4A ", types.M4A),
        (b"glTF\x02\0\0\0", types.GLB),
        (b"GIF89a", types.GIF),
        (b"OggS", types.OGG),
        (b"ID3\x04", types.MP3),
        (b"\xff\xfb\x90\x64", types.MP3),
        (b"\xff\xf3\x90\x64", types.MP3),
        (b"\x1a\x45\xdf\xa3....\x42\x82\x84webm", types.WEBM),
        (b'{"a": [1]}', types.JSON),
        (b"[1, 2]", types.JSON),
        (b"{ not json", types.TEXT),
        ("Ein schöner Tag\n".encode(), types.TEXT),
    ],
)
def test_kinds_are_found_by_their_bytes(data: bytes, kind: types.MediaKind) -> None:
    """No name is needed to tell a sound from a film, or JSON from a poem."""
    assert find_kind(data) is kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF\x02\x01\x01\x00",
        b"MZ\x90\x00",
        b"text\0with a zero",
        b"\xff\xfe\xfd",
        b"....ftypavif",
        b"....ftypheic",
        b"RIFF....AVI ",
        b"\x1a\x45\xdf\xa3....\x42\x82\x88matroska",
        b"glTF\x01\0\0\0",
    ],
)
def test_other_bytes_are_nothing_that_is_kept(data: bytes) -> None:
    """Programs, archives and media that nobody here can draw or clean are refused."""
    assert find_kind(data) is None


def test_real_encoders_are_understood() -> None:
    """Files of a real encoder are what their container says."""
    assert find_kind(recordings.sound("mp3", "libmp3lame")) is types.MP3
    assert find_kind(recordings.film("webm", "libvpx-vp9")) is types.WEBM
