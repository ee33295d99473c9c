"""Pictures as learners send them: with a place, a device and a turned camera in them."""

from __future__ import annotations

import io

from PIL import Image

GPS_IFD = 0x8825
ORIENTATION = 0x0112
MAKE = 0x010F
SECRET = "Secret Phone"


def picture(encoding: str, *, size: tuple[int, int] = (40, 20), turned: bool = False) -> bytes:
    """A picture that carries GPS data, a device's name and, if asked, a turn by 90 degrees."""
    exif = Image.Exif()
    exif[MAKE] = SECRET
    exif.get_ifd(GPS_IFD)[2] = (50.0, 58.0, 40.0)
    if turned:
        exif[ORIENTATION] = 6
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 80, 40)).save(buffer, encoding, exif=exif)
    return buffer.getvalue()


def plain_png(shade: int = 0) -> bytes:
    """A small PNG; another shade, other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()
