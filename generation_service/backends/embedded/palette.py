"""Colours: curated sets by mood, bent by the prompt's colour words and its digest.

Curated rather than computed: sixteen small sets mixed by eye hold together better than any
rule. The digest only turns the hues a few degrees, in OKLCH, where equal steps look equal
(B. Ottosson, "A perceptual color space for image processing", 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from generation_service.backends.embedded.reading import Reading

RGB = tuple[float, float, float]
"""sRGB, each channel 0 to 1."""


def rgb(text: str) -> RGB:
    """`"e63946"` → three channels."""
    return (int(text[0:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:6], 16) / 255)


@dataclass(frozen=True)
class Palette:
    """What each tone of a motif looks like in this picture; see `tone`."""

    paper: RGB
    sky: RGB
    horizon: RGB
    ground: RGB
    main: RGB
    second: RGB
    accent: RGB
    warm: RGB
    leaf: RGB
    water: RGB
    dark: RGB
    light: RGB

    @property
    def inks(self) -> tuple[RGB, ...]:
        """The colours a free shape may take."""
        return (self.main, self.second, self.accent, self.warm, self.leaf, self.water)

    @property
    def is_night(self) -> bool:
        """Whether light things stand before a dark ground."""
        return lightness(self.sky) < 0.45

    def tone(self, name: str) -> RGB:
        """The colour of a tone that a motif or a composition asks for."""
        derived = {
            "deep": mix(self.main, self.dark, 0.32),
            "deepleaf": mix(self.leaf, self.dark, 0.3),
            "haze": mix(self.light, self.sky, 0.45),
            "glow": mix(self.warm, (1.0, 0.98, 0.88), 0.55),
            "skin": mix(rgb("f0c6a0"), self.warm, 0.15),
            "tan": mix(rgb("c98a5b"), self.warm, 0.12),
            "umber": mix(rgb("7a4a30"), self.warm, 0.08),
            "trunk": mix(self.dark, mix(self.warm, self.main, 0.5), 0.35),
        }
        if name in derived:
            return derived[name]
        colour: RGB = getattr(self, name)
        return colour


def _set(colours: str) -> Palette:
    return Palette(*(rgb(colour) for colour in colours.split()))


#               paper  sky    horizon ground main   second accent warm   leaf   water  dark   light
MOODS: dict[str, Palette] = {
    "spring": _set(
        "f7f1e1 bfe0dc f6e7c8 a9c77b e8718d 7aa874 f2a7b5 f4c95d 6b9a5b 7fb7be 33413c fffaf0"
    ),
    "summer": _set(
        "fbf3df 79c2d0 fbe3a6 7fb069 e4572e 2e86ab f3a712 ffc94b 4f9d56 3b9fb5 24323f fff8e7"
    ),
    "autumn": _set(
        "f4e8d3 d9c6a0 efb366 a65e2e c8442c 7d5a3c e08e45 eab04d 8a8a3c 5d8a8a 3a2618 fbf0dc"
    ),
    "winter": _set(
        "f2f4f3 b9cfdd e8eef0 dfe9ee 3f6c8f 8aa6b8 c4536a f0d58c 5f8f86 86b3c9 22344a ffffff"
    ),
    "night": _set(
        "e9e4d4 16213f 3b4a7a 1f3a4a d1495b 5561a8 e08e6d f6d365 3b7d6e 2f6690 0d1326 f3ead2"
    ),
    "dusk": _set(
        "f9ead7 5b4b8a f39c6b 6d4c5e d64550 8e6c9e f7b267 ffd07b 6b7f5a 4f7cac 2b1f3a fff0db"
    ),
    "storm": _set(
        "e9e7e0 7b8794 c3c7c4 6f7f76 4c6a88 8d99a6 d0a24c e5c76b 6f8f72 5b86a0 262c36 f4f3ee"
    ),
    "dream": _set(
        "f8eef0 c9b6e4 fbd3d0 b5c9c3 b56bb0 8e7cc3 f59fb5 fbd87f 82b8a4 86b6e0 3d2f5b fffafc"
    ),
    "fury": _set(
        "f6e3cf 3a1420 d7263d 571b1b e4281f 8f1d2c f46036 ffb627 6b6b2a 3a506b 17090c fdebd0"
    ),
    "woods": _set(
        "f0eddc a9c0a6 dfe0b8 4f6f4a c2573d 6c8a55 d9a441 eccf72 3f6f47 5f9c97 1d2b22 f8f5e4"
    ),
    "ocean": _set(
        "eef3ec 8fd0d6 d8efe4 1f6f8b ff7f5c 17557a ffb997 ffd47e 3a9d8f 2a8fb0 0c2a3e f6fbf5"
    ),
    "candy": _set(
        "fff3ec 9be3e0 ffe1ec ffc4a8 ff4f79 7a5cff ffb400 ffd84d 3ec28f 36b5d8 35204e fffdf8"
    ),
    "desert": _set(
        "f8ead2 9fc9c7 f7d6a5 d9a066 c65b3c 9d5c63 e9a15b f4c56a 7f8f4d 5b9aa0 3f2a24 fff4e0"
    ),
    "primary": _set(
        "f3ead7 e9dfc9 f3e6c4 d9cdb2 d62828 1d4e89 f6ae2d f9c22e 3b7a57 2a6f97 1a1a1a fbf6ea"
    ),
    "newsprint": _set(
        "efe6d3 dccfb4 e8dcc2 c9b998 c8281e 2f3e46 d99a2b e6b84f 6f7b57 55788a 1b1a18 f8f1e1"
    ),
    "neon": _set(
        "f0eef7 1b1440 5b2a86 241a52 ff2e88 6a4cff 20e3b2 ffe14d 35d07f 29b6f6 0b0720 f7f2ff"
    ),
}

COLOURS: dict[str, RGB] = {
    "red": rgb("d62f2f"),
    "orange": rgb("ee7d2b"),
    "yellow": rgb("f7c934"),
    "green": rgb("4c9a52"),
    "turquoise": rgb("2fa7a0"),
    "blue": rgb("2f63b8"),
    "violet": rgb("7d4fa8"),
    "pink": rgb("ef7ba6"),
    "brown": rgb("7b4f33"),
    "white": rgb("faf6ec"),
    "black": rgb("22201f"),
    "grey": rgb("8d9296"),
}


def choose_palette(reading: Reading, rng: Random) -> Palette:
    """The palette for a prompt: its strongest mood, its colours, its own slight turn."""
    mood = reading.moods[0] if reading.moods else rng.choice(_default_moods(reading))
    base = turned(MOODS[mood], rng.uniform(-11.0, 11.0))
    if len(reading.moods) > 1:
        base = _seasoned(base, MOODS[reading.moods[1]])
    for name, slot in zip(reading.colours, ("main", "accent", "second"), strict=False):
        base = replace(base, **{slot: COLOURS[name]})
    return base


def with_main(palette: Palette, colour: RGB) -> Palette:
    """The palette for a thing whose colour the prompt names."""
    return replace(
        palette,
        main=colour,
        second=mix(colour, palette.dark, 0.22),
        accent=mix(colour, palette.light, 0.4),
        leaf=mix(colour, palette.leaf, 0.55),
        warm=mix(colour, palette.warm, 0.4),
    )


def recast(palette: Palette, rank: int) -> Palette:
    """The palette with its leading roles passed around, so that neighbours differ."""
    roles = (palette.main, palette.second, palette.accent)
    main, second, accent = (roles[(rank + i) % 3] for i in range(3))
    return replace(palette, main=main, second=second, accent=accent)


def _default_moods(reading: Reading) -> tuple[str, ...]:
    if reading.things or reading.lands:
        return ("spring", "summer", "autumn", "dream", "desert", "candy")
    return ("dream", "dusk", "autumn", "primary", "candy", "newsprint", "ocean")


def _seasoned(base: Palette, guest: Palette) -> Palette:
    """A second mood lends its accent and a breath of its sky."""
    return replace(base, accent=guest.main, horizon=mix(base.horizon, guest.horizon, 0.3))


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """`share` of `other` stirred into `one`."""
    r, g, b = (a + (c - a) * share for a, c in zip(one, other, strict=True))
    return (r, g, b)


def turned(palette: Palette, degrees: float) -> Palette:
    """Every colour with its hue turned by `degrees`."""
    return Palette(
        *(_turn(getattr(palette, name), degrees) for name in Palette.__dataclass_fields__)
    )


def lightness(colour: RGB) -> float:
    """Perceived lightness, 0 to 1."""
    return _to_oklab(colour)[0]


def _turn(colour: RGB, degrees: float) -> RGB:
    light, a, b = _to_oklab(colour)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _from_oklab(light, a * cos - b * sin, a * sin + b * cos)


def _to_oklab(colour: RGB) -> RGB:
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    l_ = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    m_ = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    s_ = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * l_ + 0.7936177850 * m_ - 0.0040720468 * s_,
        1.9779984951 * l_ - 2.4285922050 * m_ + 0.4505937099 * s_,
        0.0259040371 * l_ + 0.7827717662 * m_ - 0.8086757660 * s_,
    )


def _from_oklab(light: float, a: float, b: float) -> RGB:
    l_ = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m_ = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s_ = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
        -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
        -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
    )
    r, g, blue = (
        min(1.0, max(0.0, 12.92 * c if c <= 0.0031308 else 1.055 * max(c, 0) ** (1 / 2.4) - 0.055))
        for c in linear
    )
    return (r, g, blue)
