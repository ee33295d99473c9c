"""Styles, scripts and pictures of the pages, from this package alone: no other site is asked.

There are few of them and they are small, so they are held in memory, compressed once. An address
carries a hash of the content, so browsers keep a file until it changes.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

router = APIRouter(include_in_schema=False)

FOREVER = "public, max-age=31536000, immutable"
"""For an address with the hash of the content: another content has another address."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served; everything else in the folder, such as licences, is not."""


@dataclass(frozen=True)
class Asset:
    """A file as it is sent.

    Attributes:
        content: Its bytes.
        compressed: The same, by gzip.
        digest: Beginning of its SHA-256.
        media_type: For browsers.
    """

    content: bytes
    compressed: bytes
    digest: str
    media_type: str


class Assets:
    """All files of the pages, by their path below `static/`."""

    def __init__(self) -> None:
        """Read and compress them."""
        self._assets = dict(_found(files("gateway") / "static", ""))

    def get(self, path: str) -> Asset | None:
        """Return a file; None: there is none."""
        return self._assets.get(path)

    def text(self, path: str) -> str:
        """Return what a file says.

        Raises:
            KeyError: There is none of this name.
        """
        return self._assets[path].content.decode()

    def address(self, path: str) -> str:
        """Return where browsers fetch a file.

        Raises:
            KeyError: There is none of this name.
        """
        return f"/static/{path}?v={self._assets[path].digest}"


def _found(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            found += _found(entry, f"{path}/")
        elif media_type := _TYPES.get("." + entry.name.rpartition(".")[2]):
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found.append(
                (path, Asset(content, gzip.compress(content, mtime=0), digest, media_type))
            )
    return found


@router.get("/static/{path:path}")
async def static(path: str, request: Request, v: str = "") -> Response:
    """Send a file of the pages."""
    assets: Assets = request.app.state.assets
    asset = assets.get(path)
    if asset is None:
        raise HTTPException(404)
    headers = {
        "cache-control": FOREVER if v == asset.digest else "no-cache",
        "etag": f'"{asset.digest}"',
        "vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        content = asset.compressed
    return Response(content, headers=headers, media_type=asset.media_type)
