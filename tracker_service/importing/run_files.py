"""Says what a file of a run folder is: by its bytes, and by the words in its name.

The forms of these folders are known by description only, so nothing here relies on exact names. A
guess is marked as one, and what fits nothing is kept as a `warning` with its content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from tracker_service.taxonomy import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD_BYTES: Final = 16
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"glTF", "model/gltf-binary"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_SAFETY: Final = ("safety", "guard", "check")
_OF_OUTPUT: Final = re.compile(r"stage[\W_]*3|output|pre[\W_]")
_TEXTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("translat",), "translation_result"),
    (("optimi",), "optimization_result"),
    (("iterat", "recursion", "round"), "interception_iteration"),
    (("intercept", "transform", "rewrit"), "interception_final"),
    (("input", "prompt", "original", "idea"), "user_input_text"),
    (("output", "result"), "output_text_alternative"),
)
"""Beginnings of words, and the item that a text with such a name probably is; the first decides."""
_WORDS: Final = re.compile(r"[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file probably is.

    Attributes:
        item_type: Of the taxonomy.
        stage: Where such an item belongs.
        media_type: As in items.
        turn: Number of the iteration that its name tells; None: none.
    """

    item_type: str
    stage: int
    media_type: str
    turn: int | None = None


def mime_type_of(head: bytes) -> str:
    """Return the type of a file of media; empty: it is none that we know.

    Args:
        head: Its first `HEAD_BYTES` bytes.
    """
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "audio/mp4" if head[8:11] == b"M4A" else "video/mp4"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def guess_of(path: str, told: Sequence[str], mime_type: str) -> Guess:
    """Guess what a file is.

    Args:
        path: Its name inside of the run folder.
        told: What the metadata call it.
        mime_type: Of its media; empty: a text.
    """
    for name in told:
        if name in RULES:
            return _placed(name, _media_type(name, mime_type))
    words = _WORDS.findall(" ".join((*told, path)).lower())
    if mime_type:
        return _medium(path, words, mime_type)
    return _text(path, words)


def natural_key(path: str) -> tuple[object, ...]:
    """Return what paths are sorted by: numbers in them count as numbers."""
    parts = re.split(r"(\d+)", path.lower())
    return tuple((0, int(one), "") if one.isdigit() else (1, 0, one) for one in parts)


def _text(path: str, words: list[str]) -> Guess:
    if _begin(words, _SAFETY):
        is_output = _OF_OUTPUT.search(path.lower()) is not None
        return _placed("stage3_safety_check" if is_output else "stage1_safety_check", "text")
    for beginnings, item_type in _TEXTS:
        if not _begin(words, beginnings):
            continue
        turn = next((int(word) for word in reversed(words) if word.isdigit()), None)
        return _placed(item_type, "text", turn)
    return _placed("warning", "text")


def _medium(path: str, words: list[str], mime_type: str) -> Guess:
    kind = "3d" if mime_type.startswith("model/") else mime_type.partition("/")[0]
    if _begin(words, ("input", "upload", "original")) and kind != "3d":
        return _placed(f"user_input_{kind}", kind)
    if "prompting_process" in PurePosixPath(path).parts:
        if kind == "image":
            return _placed("interception_image_transformation", kind)
        return Guess("warning", 2, kind)
    if mime_type == "image/gif":
        return _placed("output_animation", kind)
    if kind == "audio" and _begin(words, ("music", "song")):
        kind = "music"
    return _placed(f"output_{kind}", kind)


def _begin(words: list[str], beginnings: tuple[str, ...]) -> bool:
    return any(word.startswith(beginnings) for word in words)


def _placed(item_type: str, media_type: str, turn: int | None = None) -> Guess:
    return Guess(item_type, min(RULES[item_type].stages), media_type, turn)


def _media_type(item_type: str, mime_type: str) -> str:
    if not mime_type:
        return "text"
    kind = "3d" if mime_type.startswith("model/") else mime_type.partition("/")[0]
    return "music" if item_type == "output_music" else kind
