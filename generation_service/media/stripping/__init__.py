"""Takes out of a file what tells about its making or its maker, without encoding it anew.

Workers write the whole workflow, prompt included, into nearly every format: PNG text chunks, EXIF
in WebP, comments in FLAC and Ogg, ID3 in MP3, `udta` in MP4, tags in WebM, `extras` in GLB. The
store keeps none of it: a prompt may hold what a learner wrote, and the hash of a file must not
depend on it.

The well-kept libraries that edit tags of all these formats are under the GPL (mutagen) or carry
GPL codecs (PyAV), which this project cannot ship. What has to be done is small, since nothing is
decoded: containers are walked, and what is not on a list of needed parts is dropped or, where
other parts point at absolute places (MP4, WebM), blanked in place.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from generation_service.media import types
from generation_service.media.interface import BrokenMediaError
from generation_service.media.stripping import film, models, pictures, sound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generation_service.media.types import MediaKind

_STRIPPERS: Mapping[MediaKind, Callable[[bytes], bytes]] = {
    types.PNG: pictures.strip_png,
    types.JPEG: pictures.strip_jpeg,
    types.WEBP: pictures.strip_webp,
    types.GIF: pictures.strip_gif,
    types.WAV: sound.strip_wav,
    types.FLAC: sound.strip_flac,
    types.MP3: sound.strip_mp3,
    types.OGG: sound.strip_ogg,
    types.MP4: film.strip_mp4,
    types.MOV: film.strip_mp4,
    types.M4A: film.strip_mp4,
    types.WEBM: film.strip_webm,
    types.GLB: models.strip_glb,
}


def strip(data: bytes, kind: MediaKind) -> bytes:
    """Return the file without metadata; the same bytes when there was none.

    Blocking: milliseconds for a picture, more for a film. Text has no metadata.

    Args:
        data: The whole file.
        kind: What it is.

    Raises:
        BrokenMediaError: It is cut off or breaks the rules of its format.
    """
    stripper = _STRIPPERS.get(kind)
    if stripper is None:
        return data
    try:
        return stripper(data)
    except (ValueError, IndexError, struct.error, RecursionError) as exc:
        raise BrokenMediaError(kind.mime_type) from exc
