"""What the picture renderer offers, apart from how it draws: known without loading any of it."""

from __future__ import annotations

from enum import StrEnum

MIN_EDGE = 64
MAX_EDGE = 2048
"""Smallest and largest width and height of a picture, in pixels."""


class Variant(StrEnum):
    """Which hand draws."""

    PAINTED = "picture-a"
    PRINTED = "picture-b"
