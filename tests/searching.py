"""Looks for a text in files as one would who wants to find it: also inside of what is packed."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 4
MODEL: Final = ".gguf"
"""Language models: hundreds of megabytes that nobody writes to."""
_STREAMS: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
"""Beginnings of gzip and zlib streams, as in PDF, PNG and many databases."""
_EITHER: Final = zlib.MAX_WBITS | 32
"""Lets zlib tell its own streams from those of gzip."""


def holders(folder: Path, *texts: str) -> list[str]:
    """Return the files below a folder that hold one of some texts.

    Files may come and go meanwhile. Texts are looked for as UTF-8 in any case of letters, as
    UTF-16, and as JSON escapes them; in the files, in members of archives (ZIP, and so office
    documents and crates), and in compressed streams wherever they begin. Models are left out.

    Args:
        folder: Searched with all folders in it.
        texts: What is looked for.
    """
    needles = [needle for text in texts for needle in _forms(text)]
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == MODEL:
            continue
        try:
            data = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        if any(needle in layer for layer in layers(data) for needle in needles):
            found.append(str(path.relative_to(folder)))
    return found


def layers(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield bytes in small letters, and whatever is packed in them."""
    yield data.lower()
    if depth == MAX_DEPTH:
        return
    if data.startswith(b"PK"):
        yield from _members(data, depth)
        return
    view = memoryview(data)  # most beginnings are none, and nothing is copied for those
    for match in _STREAMS.finditer(data):
        unpacked = _unpacked(view[match.start() :])
        if unpacked:
            yield from layers(unpacked, depth + 1)


def _forms(text: str) -> list[bytes]:
    escaped = text.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")
    return [form.lower() for form in (text.encode(), text.encode("utf-16-le"), escaped)]


def _members(data: bytes, depth: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.lower().encode()
                yield from layers(archive.read(name), depth + 1)
    except zipfile.BadZipFile:
        return


def _unpacked(stream: memoryview) -> bytes:
    """Return what a stream holds, as far as it can be read; empty: it is none."""
    try:
        return zlib.decompressobj(_EITHER).decompress(stream, MAX_UNPACKED_BYTES)
    except zlib.error:
        return b""
