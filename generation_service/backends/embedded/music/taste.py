"""What a prompt makes of a piece before a note is written: its genre, key and tempo.

Decided while a request is planned, so that whoever asks hears at once what will be played; hence
nothing here needs more than the standard library.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from generation_service.backends.embedded.reading import ranked, split_words, stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_TEMPO_BPM, MAX_TEMPO_BPM = 40, 200

_MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = (
    *(f"{tonic} major" for tonic in _MAJOR_TONICS),
    *(f"{tonic} minor" for tonic in _MINOR_TONICS),
)
"""From C upwards in half steps, first major, then minor."""

_TEMPI = {
    "ambient": (56, 72),
    "chiptune": (132, 160),
    "cinematic": (72, 96),
    "electronic": (112, 128),
    "folk": (92, 116),
    "jazz": (96, 132),
    "lullaby": (60, 76),
    "march": (104, 120),
    "waltz": (120, 150),
}
GENRES = tuple(_TEMPI)

_PLAIN_GENRES = ("folk", "ambient", "electronic", "waltz", "jazz", "lullaby")
_KIND_KEYS = ("C major", "D major", "F major", "G major", "A major", "Bb major", "Eb major")
_DARK_KEYS = ("A minor", "D minor", "E minor", "G minor", "C minor", "B minor", "F# minor")


def decide(prompt: str, asked: Mapping[str, object]) -> dict[str, object]:
    """Choose what `asked` leaves open.

    Args:
        prompt: Its words call for genres, for light or dark, for slow or fast.
        asked: Settled parameters with `seed`; None for what is open.
    """
    rng = Random(stream_seed(prompt, int(str(asked["seed"])), "taste"))
    words = split_words(prompt)
    named = tuple(word for word in words if word in GENRES)
    wishes = named or ranked(words, "genres")
    genre = asked["genre"] or (wishes[0] if wishes else rng.choice(_PLAIN_GENRES))
    lights = ranked(words, "modes")
    is_dark = lights[0] == "minor" if lights else rng.random() < 0.3
    key = asked["key"] or rng.choice(_DARK_KEYS if is_dark else _KIND_KEYS)
    slow, fast = _TEMPI[str(genre)]
    paces = ranked(words, "paces")
    lean = {"slow": 0.86, "fast": 1.14}[paces[0]] if paces else 1.0
    tempo = asked["tempo_bpm"] or round(rng.uniform(slow, fast) * lean)
    return {**asked, "genre": genre, "key": key, "tempo_bpm": tempo}


def tonic_and_mode(key: str) -> tuple[int, str]:
    """Half steps above C, and `major` or `minor`."""
    return KEYS.index(key) % 12, key.split()[1]
