"""Keys, scales and the chords that follow each other in a genre."""

from __future__ import annotations

from dataclasses import dataclass

from generation_service.backends.embedded.music.taste import tonic_and_mode

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_DOMINANT, _LEADING_TONE = 4, 6

# Degrees counted from 0 = the tonic; four bars each.
PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "ambient": ((0, 5, 3, 0), (0, 3, 0, 4), (5, 3, 0, 4)),
    "chiptune": ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4)),
    "cinematic": ((0, 5, 2, 4), (0, 5, 3, 4), (0, 3, 5, 4)),
    "electronic": ((5, 3, 0, 4), (0, 4, 5, 3), (0, 2, 5, 3)),
    "folk": ((0, 3, 0, 4), (0, 4, 5, 3), (0, 0, 3, 4)),
    "jazz": ((1, 4, 0, 5), (0, 5, 1, 4), (3, 1, 4, 0)),
    "lullaby": ((0, 3, 0, 4), (0, 0, 3, 4), (0, 5, 3, 4)),
    "march": ((0, 0, 4, 0), (0, 3, 4, 0), (0, 3, 0, 4)),
    "waltz": ((0, 0, 4, 4), (0, 5, 1, 4), (0, 3, 4, 0)),
}


@dataclass(frozen=True)
class Key:
    """Degrees to pitches.

    Attributes:
        tonic: Half steps above C.
        mode: `major` or `minor`.
    """

    tonic: int
    mode: str

    def pitch(self, degree: int, *, chord: int | None = None) -> int:
        """The MIDI number of a scale degree; 0 is the tonic next to middle C.

        Args:
            degree: May be negative or above an octave.
            chord: The chord it sounds with: over the dominant, minor takes its leading tone.
        """
        octave, step = divmod(degree, 7)
        raised = self.mode == "minor" and chord == _DOMINANT and step == _LEADING_TONE
        tonic = self.tonic - 12 if self.tonic > 6 else self.tonic
        return 60 + tonic + 12 * octave + _SCALES[self.mode][step] + (1 if raised else 0)


def key_of(name: str) -> Key:
    """The key of a name in `taste.KEYS`."""
    return Key(*tonic_and_mode(name))


def chord_degrees(root: int, *, seventh: bool) -> tuple[int, ...]:
    """The chord on a degree, in thirds upwards."""
    return (root, root + 2, root + 4, root + 6) if seventh else (root, root + 2, root + 4)


def nearest(degree: int, chord: int, *, seventh: bool = False) -> int:
    """The tone of a chord that lies nearest to a degree, in any octave."""
    tones = {d % 7 for d in chord_degrees(chord, seventh=seventh)}
    return min(range(degree - 3, degree + 4), key=lambda d: (d % 7 not in tones, abs(d - degree)))
