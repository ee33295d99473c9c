"""What each replayed scenario needs besides its recording."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from tests.fakes.comfyui import media
from tests.unit.fakes.comparison import Plan

if TYPE_CHECKING:
    from tests.fakes.comfyui import ComfyUIServer


def _png(color: tuple[int, int, int, int], size: tuple[int, int] = (16, 16)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", size, color).save(out, "PNG")
    return out.getvalue()


RED, BLUE, GREEN = _png((255, 0, 0, 255)), _png((0, 0, 255, 255)), _png((0, 255, 0, 255))
CORRUPT = b"\x89PNG\r\n\x1a\n" + b"garbage" * 20
REFERENCE = '{"filename": "up.png", "type": "input", "subfolder": ""}'


def _corrupt_input(comfy: ComfyUIServer) -> None:
    (comfy.folders.base / "input" / "corrupt.png").write_bytes(CORRUPT)


def _files_to_view(comfy: ComfyUIServer) -> None:
    _corrupt_input(comfy)
    output = comfy.folders.base / "output"
    (output / "cap13").mkdir()
    (output / "page.html").write_text("<script>1</script>")
    (output / "note.txt").write_text("hi")
    (comfy.folders.base / "outside.txt").touch()
    (output / "link.txt").symlink_to(comfy.folders.base / "outside.txt")


UPLOADS: dict[str, tuple[str | None, bytes, dict[str, str]]] = {
    "first upload": ("up.png", RED, {}),
    "same name, same bytes: not stored again, same name back": ("up.png", RED, {}),
    "same name, other bytes: renamed 'up (1).png'": ("up.png", BLUE, {}),
    "again the other bytes: matches 'up (1).png'": ("up.png", BLUE, {}),
    "overwrite=true": ("up.png", BLUE, {"overwrite": "true"}),
    "overwrite=1": ("up.png", GREEN, {"overwrite": "1"}),
    "overwrite=True (capital: not honoured; identical bytes anyway)": (
        "up.png",
        GREEN,
        {"overwrite": "True"},
    ),
    "multipart: image='up.png' (103 bytes) {'subfolder': 'sub/deep', 'type': 'input'}": (
        "up.png",
        RED,
        {"subfolder": "sub/deep", "type": "input"},
    ),
    "multipart: image='t.png' (103 bytes) {'type': 'temp'}": ("t.png", RED, {"type": "temp"}),
    "multipart: image='o.png' (103 bytes) {'type': 'output', 'subfolder': 'cap14'}": (
        "o.png",
        RED,
        {"type": "output", "subfolder": "cap14"},
    ),
    "bad type -> 500": ("x.png", RED, {"type": "bogus"}),
    "dotdot filename": ("../evil.png", RED, {}),
    "dotdot subfolder -> 400": ("x.png", RED, {"subfolder": "../.."}),
    "absolute filename": ("/abs/evil.png", RED, {}),
    "absolute subfolder -> 400": ("x.png", RED, {"subfolder": "/abs"}),
    "empty filename": ("", RED, {}),
    "no file part -> 400 ": (None, b"", {}),
    "wrong field name -> 400": ("x.png", RED, {"*": "picture"}),
    "not an image: stored without any check": ("notes.txt", b"hello", {}),
    "zero bytes": ("zero.png", b"", {}),
    "unicode name": ("ünï 你.png", RED, {}),
    "slash inside filename": ("sub/inner.png", RED, {}),
    "multipart: image='up.png' (77 bytes) {'overwrite': 'true'}": (
        "up.png",
        BLUE,
        {"overwrite": "true"},
    ),
    "multipart: image='gone.png' (103 bytes) {'overwrite': 'true'}": (
        "gone.png",
        RED,
        {"overwrite": "true"},
    ),
    "upload/mask with original_ref JSON": ("mask.png", RED, {"original_ref": REFERENCE}),
    "mask size differs from the original -> 500": (
        "mask.png",
        _png((0, 0, 0, 0), (8, 8)),
        {"original_ref": REFERENCE},
    ),
    "upload/mask without original_ref -> 500": ("mask.png", RED, {}),
    "multipart: image='view_in.png' (86 bytes) {'overwrite': 'true'}": ("view_in.png", RED, {}),
    "multipart: image='tone.wav' (32044 bytes) {'overwrite': 'true'}": (
        "tone.wav",
        media.wav("none", 0.1),
        {},
    ),
    "multipart upload of 1 MiB": ("big1.bin", bytes(1 << 20), {}),
    "multipart upload of 90 MiB": ("big90.bin", bytes(9 << 20), {}),
    "multipart upload of 101 MiB": ("big101.bin", bytes(11 << 20), {}),
    "multipart upload of 250 MiB": ("big250.bin", bytes(25 << 20), {}),
}

PLANS: dict[str, Plan] = {
    "01_rest_basics": Plan(
        skip=("/object_info", "/", "/view_metadata/checkpoints?filename=sd15_tiny.safetensors")
    ),
    "02_success_emptyimage": Plan(),
    "03_repeat_cached": Plan(notes={"run again => cached; but delete": "remove_outputs"}),
    "04_bad_prompts": Plan(),
    "05_execution_error": Plan(prepare=_corrupt_input),
    "06_interrupt": Plan(long=True, racing=True),
    "07_queue_ops": Plan(long=True, racing=True),
    "08_ws_handshake": Plan(),
    "09_reconnect": Plan(long=True),
    "10_two_clients": Plan(long=True),
    "11_prompt_id_and_extra": Plan(long=True, racing=True),
    "12_history_ops": Plan(long=True),
    "13_view": Plan(prepare=_files_to_view, uploads=UPLOADS),
    "14_upload": Plan(long=True, racing=True, uploads=UPLOADS, after={"P8": "remove_gone"}),
    "15_body_sizes": Plan(
        uploads=UPLOADS,
        switches={"max_upload_bytes": 10 << 20},
        skip=("chunked transfer encoding", "Content-Encoding: deflate request"),
    ),
    "16_origin_host": Plan(),
    "17_audio_video_batch": Plan(
        switches={"outputs_order": ["3", "2", "5", "4"]},
        uploads=UPLOADS,
        skip=("/view?filename=lat_00001_.latent&subfolder=cap17&type=output",),
    ),
    "18_special_nodes": Plan(),
    "19_previews_latent2rgb": Plan(switches={"preview_method": "latent2rgb"}),
    "20_server_killed": Plan(
        long=True,
        notes={
            "kill -9": "kill",
            "SIGTERM mid": "kill",
            "SIGINT mid": "kill",
            "restarted": "restart",
            "process gone": "restart",
        },
    ),
    "21_worker_death": Plan(fresh=True),
    "23_ws_after_post": Plan(long=True),
    "30_misc": Plan(long=True, racing=True),
    "32_duplicate_nodes": Plan(),
    "33_combo_forms": Plan(),
}
