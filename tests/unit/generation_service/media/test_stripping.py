"""What workers write into files is gone, and the file is otherwise the same."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence, PngImagePlugin

from generation_service.media import types
from generation_service.media.interface import BrokenMediaError
from generation_service.media.stripping import strip
from generation_service.media.types import find_kind
from tests.unit.generation_service.media import recordings
from tests.unit.generation_service.media.recordings import SECRET, WORKFLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from generation_service.media.types import MediaKind


def _frames(count: int = 3) -> list[Image.Image]:
    return [
        Image.radial_gradient("L").resize((24, 16)).rotate(9 * n).convert("RGB")
        for n in range(count)
    ]


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = SECRET
    exif[0x010F] = f"workflow:{WORKFLOW}"
    return exif


def _saved(encoding: str, **options: Any) -> bytes:
    frames = _frames()
    buffer = io.BytesIO()
    frames[0].save(buffer, encoding, **options)
    return buffer.getvalue()


def png(*, animated: bool = False) -> bytes:
    """As ComfyUI saves it: prompt and workflow as texts, plain, compressed and international."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", WORKFLOW)
    texts.add_text("workflow", WORKFLOW, zip=True)
    texts.add_itxt("note", SECRET)
    moving: dict[str, Any] = {"save_all": True, "append_images": _frames()[1:]} if animated else {}
    return _saved("PNG", pnginfo=texts, exif=_exif(), dpi=(72, 72), **moving)


def jpeg() -> bytes:
    """With EXIF and a comment."""
    return _saved("JPEG", exif=_exif(), comment=SECRET, progressive=True)


def webp(*, animated: bool = False) -> bytes:
    """As ComfyUI saves it: the workflow in EXIF; XMP besides."""
    moving: dict[str, Any] = {"save_all": True, "append_images": _frames()[1:]} if animated else {}
    return _saved("WEBP", exif=_exif(), xmp=SECRET.encode(), lossless=True, **moving)


def gif() -> bytes:
    """Animated, endless, with a comment."""
    return _saved("GIF", save_all=True, append_images=_frames()[1:], loop=0, comment=SECRET)


def glb() -> bytes:
    """One triangle, with the workflow in `extras` of everything."""
    extras = {"prompt": WORKFLOW}
    scene = {
        "asset": {"version": "2.0", "generator": "ComfyUI", "copyright": SECRET, "extras": extras},
        "scenes": [{"nodes": [0], "extras": extras}],
        "nodes": [{"mesh": 0, "extras": extras}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    points = struct.pack("<9f", *range(9))
    body = struct.pack("<II", len(text), 0x4E4F534A) + text
    body += struct.pack("<II", len(points), 0x004E4942) + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


PICTURES: dict[str, Callable[[], bytes]] = {
    "png": png,
    "apng": lambda: png(animated=True),
    "jpeg": jpeg,
    "webp": webp,
    "animated-webp": lambda: webp(animated=True),
    "gif": gif,
}
RECORDINGS: dict[str, Callable[[], bytes]] = {
    "wav": recordings.wav,
    "mp3": lambda: recordings.sound("mp3", "libmp3lame"),
    "flac": lambda: recordings.sound("flac", "flac"),
    "opus": lambda: recordings.sound("ogg", "libopus"),
    "opus-large": lambda: recordings.sound("ogg", "libopus", tags={"prompt": SECRET * 9999}),
    "vorbis": lambda: recordings.sound("ogg", "vorbis"),
    "m4a": lambda: recordings.sound("ipod", "aac"),
    "mp4": lambda: recordings.film("mp4", "mpeg4", {"movflags": "use_metadata_tags"}),
    "mp4-fast": lambda: recordings.film(
        "mp4", "mpeg4", {"movflags": "use_metadata_tags+faststart"}
    ),
    "mp4-fragments": lambda: recordings.film(
        "mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}
    ),
    "mov": lambda: recordings.film("mov", "mpeg4"),
    "webm": lambda: recordings.film("webm", "libvpx-vp9"),
    "webm-live": lambda: recordings.film("webm", "libvpx-vp9", {"live": "1"}),
}


def _kind(data: bytes) -> MediaKind:
    kind = find_kind(data)
    assert kind is not None
    return kind


def _pixels(data: bytes) -> list[tuple[bytes, object]]:
    with Image.open(io.BytesIO(data)) as image:
        return [
            (frame.convert("RGBA").tobytes(), frame.info.get("duration"))
            for frame in ImageSequence.Iterator(image)
        ]


def _facts(data: bytes) -> dict[str, object]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        exif = {f"exif {tag}": value for tag, value in image.getexif().items()}
        return {**{str(name): value for name, value in image.info.items()}, **exif}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_keep_their_pixels_and_lose_their_texts(name: str) -> None:
    """Every frame and its time stay; prompt, workflow, comment and EXIF are gone."""
    data = PICTURES[name]()
    clean = strip(data, _kind(data))
    assert SECRET[:9] in str(_facts(data))
    assert SECRET[:9] not in str(_facts(clean))
    assert not {"exif", "xmp", "comment", "prompt", "workflow"} & _facts(clean).keys()
    assert SECRET.encode() not in clean
    assert _pixels(clean) == _pixels(data)
    assert strip(clean, _kind(clean)) == clean


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_keep_their_content_and_lose_their_tags(name: str) -> None:
    """Every sample or frame decodes to the same; titles, comments and workflows are gone."""
    data = RECORDINGS[name]()
    clean = strip(data, _kind(data))
    assert SECRET.encode() in data
    assert SECRET.encode() not in clean
    assert SECRET not in str(recordings.tags_of(clean))
    assert recordings.decoded(clean) == recordings.decoded(data)
    assert strip(clean, _kind(clean)) == clean


def test_models_keep_their_shape_and_lose_their_extras() -> None:
    """The buffers stay byte for byte, the description says nothing that is not drawn."""
    data = glb()
    clean = strip(data, types.GLB)
    size = struct.unpack_from("<I", clean, 12)[0]
    scene = json.loads(clean[20 : 20 + size])
    assert SECRET.encode() not in clean
    assert scene["asset"] == {"version": "2.0", "generator": "ComfyUI"}
    assert scene["nodes"] == [{"mesh": 0}]
    assert clean[20 + size :] == data[20 + struct.unpack_from("<I", data, 12)[0] :]
    assert struct.unpack_from("<I", clean, 8)[0] == len(clean)
    assert strip(clean, types.GLB) == clean


def test_files_that_say_nothing_stay_as_they_are() -> None:
    """The hash of a file without metadata is not changed by looking for it."""
    plain = _saved("PNG")
    assert strip(plain, types.PNG) == plain
    assert strip(b"a poem", types.TEXT) == b"a poem"


def test_bytes_behind_the_end_are_cut_off() -> None:
    """A file that is also something else is a picture only."""
    plain = _saved("PNG")
    assert strip(plain + b"PK\x03\x04", types.PNG) == plain
    photo = _saved("JPEG")
    assert strip(photo + b"PK\x03\x04", types.JPEG) == photo


def test_colours_are_metadata_that_is_needed() -> None:
    """A colour profile stays in a made picture."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for encoding in ("PNG", "JPEG", "WEBP"):
        data = _saved(encoding, icc_profile=profile, exif=_exif())
        assert _facts(strip(data, _kind(data)))["icc_profile"] == profile


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif"])
def test_pictures_that_are_cut_off_are_broken(name: str) -> None:
    """Half a picture is a worker's fault, told as such."""
    data = PICTURES[name]()
    with pytest.raises(BrokenMediaError):
        strip(data[: len(data) // 2], _kind(data))


SAMPLES = {name: make() for name, make in {**PICTURES, "glb": glb, "wav": recordings.wav}.items()}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damaged_files_are_broken_or_stripped_but_never_a_crash(
    name: str, data: st.DataObject
) -> None:
    """Whatever bytes a worker sends, there is a file without metadata or one known error."""
    sample = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(sample[: data.draw(st.integers(16, len(sample)))])
    kind = find_kind(cut)
    if kind is None:
        return
    try:
        clean = strip(cut, kind)
    except BrokenMediaError:
        return
    assert len(clean) <= len(cut) + 16


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([types.OGG, types.MP4, types.WEBM, types.FLAC, types.MP3, types.GLB]),
    st.binary(max_size=400),
)
def test_nonsense_is_broken_or_grows_no_longer(kind: MediaKind, data: bytes) -> None:
    """Random bytes under any name are refused as broken, or come out no longer than they were."""
    heads = {types.OGG: b"OggS\0\2", types.MP4: b"\0\0\0\x10ftypisom", types.FLAC: b"fLaC"}
    nonsense = heads.get(kind, b"") + data
    try:
        clean = strip(nonsense, kind)
    except BrokenMediaError:
        return
    assert len(clean) <= len(nonsense) + 16
