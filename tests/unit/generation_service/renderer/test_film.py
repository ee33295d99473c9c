"""Films: their bytes, their length, and that they move and loop."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generation_service.backends.embedded.film.film import render_film
from generation_service.backends.embedded.film.motion import KINDS, kind_of, pose
from generation_service.backends.embedded.motifs import MOTIFS


def film(prompt: str, *, seed: int = 1, seconds: float = 1.0, fps: int = 6) -> bytes:
    """A small film."""
    return render_film(prompt, width=96, height=72, duration_seconds=seconds, fps=fps, seed=seed)


def frames_of(data: bytes) -> list[np.ndarray]:
    """All pictures, shape (height, width, 3) each."""
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB"), dtype=np.int16))
    return frames


def test_the_same_words_and_seed_give_the_same_bytes() -> None:
    """A run can be repeated exactly."""
    assert film("a boat in the rain") == film("a boat in the rain")


def test_another_word_or_seed_gives_another_film() -> None:
    """No two texts share a film."""
    assert len({film("a boat"), film("a boat", seed=2), film("a boat, justly")}) == 3


@pytest.mark.parametrize(("seconds", "fps", "count"), [(1.0, 6, 6), (1.5, 7, 10), (2.0, 24, 48)])
def test_it_has_the_pictures_and_the_length_that_were_asked_for(
    seconds: float, fps: int, count: int
) -> None:
    """Rounding to milliseconds does not add up, and the film loops for ever."""
    data = film("a bird", seconds=seconds, fps=fps)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.info["loop"]) == ("WEBP", (96, 72), 0)
        assert getattr(image, "n_frames", 1) == count
        total = 0
        for number in range(count):
            image.seek(number)
            image.load()
            total += image.info["duration"]
    assert abs(total - 1000 * count / fps) <= 1


@pytest.mark.parametrize(
    "prompt", ["a tree and a cat", "a boat on the sea", "dada collage", "justice", "snow", "rain"]
)
def test_it_moves_and_the_end_leads_back_to_the_start(prompt: str) -> None:
    """Neighbouring pictures differ a little, the last and the first no more than others."""
    frames = frames_of(film(prompt, seconds=2.0, fps=12))
    steps = [
        float(np.abs(frame - after).mean())
        for frame, after in zip(frames, [*frames[1:], frames[0]], strict=True)
    ]
    assert min(steps) > 0.1
    assert steps[-1] <= 1.5 * max(steps[:-1])


def test_the_file_holds_pictures_and_nothing_else() -> None:
    """No prompt, no time, no software name travels in the file."""
    data = film("a secret word")
    kinds, position = set(), 12
    while position < len(data):
        kinds.add(data[position : position + 4])
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    assert kinds == {b"VP8X", b"ANIM", b"ANMF"}


def test_every_motif_knows_how_to_move() -> None:
    """Nothing that can be drawn stops the camera."""
    assert {kind_of(motif) for motif in MOTIFS} <= set(KINDS)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    phase=st.floats(0, 1),
    seconds=st.floats(1, 8),
)
def test_every_motion_returns_to_its_start(kind: str, phase: float, seconds: float) -> None:
    """A round ends where it began; whole turns count as none."""
    first, last = (
        pose(KINDS[kind], moment=moment, phase=phase, seconds=seconds) for moment in (0.0, 1.0)
    )
    assert np.allclose([first.dx, first.dy, first.shear], [last.dx, last.dy, last.shear])
    assert np.allclose([first.stretch, first.opacity], [last.stretch, last.opacity])
    assert np.isclose(np.cos(first.turn - last.turn), 1)


@settings(max_examples=8, deadline=None)
@given(prompt=st.text(max_size=80), seed=st.integers(0, 2**64 - 1))
def test_any_text_becomes_a_film(prompt: str, seed: int) -> None:
    """Nothing that a learner types breaks the renderer."""
    data = render_film(prompt, width=64, height=64, duration_seconds=1.0, fps=4, seed=seed)
    assert len(frames_of(data)) == 4
