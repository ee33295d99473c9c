"""What each renderer offers and within which limits: known without loading any of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generation_service.backends.embedded.music import taste
from generation_service.backends.embedded.variants import MAX_EDGE, MIN_EDGE, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Violations = list[tuple[str, str]]
    Finish = Callable[[str, Mapping[str, object]], dict[str, object]]

MAX_SEED = 2**64 - 1
MAX_FILM_FRAME_COUNT = 96
MAX_FILM_PIXEL_COUNT = 24_000_000
"""Of all frames together: what one core draws and packs within ten seconds."""


class Setting(Protocol):
    """One parameter of a renderer."""

    @property
    def name(self) -> str:
        """Its name in a request."""

    @property
    def default(self) -> object:
        """What applies when nothing is asked for; None: the words decide."""

    def settle(self, value: object) -> object:
        """The value as it will be applied.

        Raises:
            ValueError: Out of range; the text says what would be right.
        """


@dataclass(frozen=True)
class Number:
    """A parameter that is a number.

    Attributes:
        name: In a request.
        default: None: the words decide.
        minimum: Least value.
        maximum: Greatest value.
        unit: For people.
        whole: Only whole numbers.
    """

    name: str
    default: float | None
    minimum: float
    maximum: float
    unit: str
    whole: bool = True

    def settle(self, value: object) -> object:
        """See `Setting.settle`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = math.nan  # which is in no range
        number = float(value)
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"Must be {self.minimum:g} to {self.maximum:g} {self.unit}.")
        if not self.whole:
            return number
        if not number.is_integer():
            raise ValueError("Must be a whole number.")
        return int(number)


@dataclass(frozen=True)
class Choice:
    """A parameter that is one of a few words, whatever their case."""

    name: str
    choices: tuple[str, ...]
    default: None = None

    def settle(self, value: object) -> object:
        """See `Setting.settle`."""
        for choice in self.choices:
            if isinstance(value, str) and value.strip().lower() == choice.lower():
                return choice
        raise ValueError(f"Must be one of {', '.join(self.choices)}.")


@dataclass(frozen=True)
class Offer:
    """One renderer.

    Attributes:
        media_type: The medium by its JSON name.
        settings: What can be set, apart from the seed that all have.
        check: Gives the violations that only the settled values together show.
        finish: Lets the prompt decide what nobody asked for.
    """

    media_type: str
    settings: tuple[Setting, ...]
    check: Callable[[Mapping[str, object]], Violations] = lambda _: []
    finish: Finish = lambda _, values: dict(values)


def _check_film(values: Mapping[str, object]) -> Violations:
    """A film may be large or long, not both."""
    width, height, fps = (int(str(values[name])) for name in ("width", "height", "fps"))
    frames = film_frame_count(float(str(values["duration_seconds"])), fps)
    if frames > MAX_FILM_FRAME_COUNT:
        limit = f"At {fps} pictures per second, at most {MAX_FILM_FRAME_COUNT / fps:.3g} seconds."
        return [("parameters.duration_seconds", limit)]
    if frames * width * height > MAX_FILM_PIXEL_COUNT:
        edge = int((MAX_FILM_PIXEL_COUNT / frames) ** 0.5)
        fault = f"Too large for {frames} pictures; {edge} by {edge} pixels would do."
        return [("parameters.width", fault)]
    return []


def film_frame_count(duration_seconds: float, fps: int) -> int:
    """How many pictures a film has."""
    return max(2, round(duration_seconds * fps))


def _edge(name: str, default: int, maximum: int) -> Number:
    return Number(name, default, MIN_EDGE, maximum, "pixels")


_PICTURE = Offer("image", (_edge("width", 768, MAX_EDGE), _edge("height", 768, MAX_EDGE)))

OFFERS: dict[str, Offer] = {
    Variant.PAINTED.value: _PICTURE,
    Variant.PRINTED.value: _PICTURE,
    "sound": Offer("audio", (Number("duration_seconds", 10.0, 2, 30, "seconds", whole=False),)),
    "music": Offer(
        "music",
        (
            Number("duration_seconds", 16.0, 4, 60, "seconds", whole=False),
            Number("tempo_bpm", None, taste.MIN_TEMPO_BPM, taste.MAX_TEMPO_BPM, "beats a minute"),
            Choice("key", taste.KEYS),
            Choice("genre", taste.GENRES),
        ),
        finish=taste.decide,
    ),
    "video": Offer(
        "video",
        (
            _edge("width", 512, 768),
            _edge("height", 384, 768),
            Number("duration_seconds", 4.0, 1, 8, "seconds", whole=False),
            Number("fps", 12, 4, 24, "pictures per second"),
        ),
        check=_check_film,
    ),
    "model": Offer("3d", (Number("detail", 2, 1, 3, "(coarse to fine)"),)),
}
"""By model name, the part after `embedded/`."""
