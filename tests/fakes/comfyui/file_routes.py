"""`/view` and the uploads, with the rules of the real server for names."""

from __future__ import annotations

import io
import json
import mimetypes
import os
from typing import TYPE_CHECKING, Any

from aiohttp import web
from PIL import Image

from tests.fakes.comfyui.folders import KINDS, OutsideError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.comfyui.folders import Folders

OCTETS = "application/octet-stream"
NOT_SHOWN = ("text/html", "text/html-sandboxed", "text/javascript", "text/css")
TYPES = {  # not known to every Python
    ".flac": "audio/flac",
    ".opus": "audio/ogg",
    ".glb": "model/gltf-binary",
    ".webp": "image/webp",
    ".webm": "video/webm",
}


class FileRoutes:
    """Files out and in."""

    def __init__(self, folders: Folders) -> None:
        """Serve the files of these folders."""
        self._folders = folders

    def add_to(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the routes below a prefix."""
        router.add_get(f"{prefix}/view", self.view)
        router.add_post(f"{prefix}/upload/image", self.upload_image)
        router.add_post(f"{prefix}/upload/mask", self.upload_mask)

    async def view(self, request: web.Request) -> web.StreamResponse:
        """Return a file."""
        query = request.query
        if "filename" not in query:
            return web.Response(status=404)
        kind = query.get("type", "output")
        name, folder = self._folders.split(query["filename"], kind)
        if not name or name.startswith("/") or ".." in name:
            return web.Response(status=400)
        if folder.name not in KINDS:
            return web.Response(status=400)
        try:
            path = self._folders.inside(folder, query.get("subfolder", "")) / os.path.basename(name)
        except OutsideError:
            return web.Response(status=403)
        if not path.is_file():
            return web.Response(status=404)
        headers = {"Content-Disposition": f'filename="{path.name}"'}
        if "preview" in query:
            return _preview(path, query["preview"], headers)
        if query.get("channel", "rgba") != "rgba":
            return _channel(path, query["channel"], headers)
        return web.FileResponse(path, headers=headers | {"Content-Type": _type_of(path)})

    async def upload_image(self, request: web.Request) -> web.Response:
        """Store a file as it is."""
        post = await _parts(request)
        return self._store(post, lambda content, path: path.write_bytes(content))

    async def upload_mask(self, request: web.Request) -> web.Response:
        """Store a picture with its alpha channel taken from the uploaded one."""
        post = await _parts(request)
        reference = json.loads(str(post["original_ref"]))
        kind = reference.get("type", "output")
        folder = self._folders.inside(self._folders.base / kind, reference.get("subfolder", ""))
        original = folder / os.path.basename(reference["filename"])

        def store(content: bytes, path: Path) -> None:
            with Image.open(original) as picture, Image.open(io.BytesIO(content)) as mask:
                whole = picture.convert("RGBA")
                whole.putalpha(mask.convert("RGBA").getchannel("A"))
            whole.save(path, "PNG", compress_level=4)

        return self._store(post, store)

    def _store(self, post: Any, store: Callable[[bytes, Path], Any]) -> web.Response:
        part = post.get("image")
        if part is None:
            return web.Response(status=400)
        content, name = part
        kind = post.get("type") or "input"
        if kind not in KINDS or not name or os.path.isabs(name):
            raise ValueError("the real server does not expect this either")
        subfolder = post.get("subfolder", "")
        try:
            folder = self._folders.inside(self._folders.base / kind, os.path.normpath(subfolder))
            path = self._folders.inside(self._folders.base / kind, str(folder), name)
        except OutsideError:
            return web.Response(status=400)
        folder.mkdir(parents=True, exist_ok=True)
        if post.get("overwrite") not in ("true", "1"):
            name, path, is_there = _free_name(folder, name, content)
            if is_there:
                return web.json_response({"name": name, "subfolder": subfolder, "type": kind})
        store(content, path)
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})


async def _parts(request: web.Request) -> dict[str, Any]:
    """Return the parts of a body; a file is (content, name)."""
    parts: dict[str, Any] = {}
    for key, part in (await request.post()).items():
        if isinstance(part, web.FileField):
            with part.file as file:
                parts.setdefault(key, (file.read(), part.filename))
        else:
            parts.setdefault(key, part)
    return parts


def _free_name(folder: Path, name: str, content: bytes) -> tuple[str, Path, bool]:
    """Return a name for the content, its path, and whether it is there already."""
    stem, suffix = os.path.splitext(name)
    candidate, number = name, 1
    while (folder / candidate).exists():
        if (folder / candidate).read_bytes() == content:
            return candidate, folder / candidate, True
        candidate = f"{stem} ({number}){suffix}"
        number += 1
    return candidate, folder / candidate, False


def _type_of(path: Path) -> str:
    guessed = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or OCTETS
    return OCTETS if guessed in NOT_SHOWN else guessed


def _preview(path: Path, wanted: str, headers: dict[str, str]) -> web.Response:
    kind, _, quality = wanted.partition(";")
    kind = kind if kind in ("webp", "jpeg") else "webp"
    out = io.BytesIO()
    with Image.open(path) as picture:
        shown = picture.convert("RGB") if kind == "jpeg" else picture
        shown.save(out, kind.upper(), quality=int(quality) if quality.isdigit() else 90)
    return web.Response(body=out.getvalue(), content_type=f"image/{kind}", headers=headers)


def _channel(path: Path, wanted: str, headers: dict[str, str]) -> web.Response:
    out = io.BytesIO()
    with Image.open(path) as picture:
        if wanted == "rgb":
            shown = picture.convert("RGB")
        else:
            alpha = picture.convert("RGBA").getchannel("A")
            shown = Image.new("RGBA", picture.size)
            shown.putalpha(alpha)
    shown.save(out, "PNG")
    return web.Response(body=out.getvalue(), content_type="image/png", headers=headers)
