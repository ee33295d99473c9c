"""The artworks: their bytes, their size, and that words matter."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generation_service.backends.embedded.picture import render_picture
from generation_service.backends.embedded.variants import Variant

PROMPTS = [
    "A flower in the meadow",
    "Dada collage of a clock and a fish",
    "Bauhaus cat in circles",
    "an exploding robot in a rain of stars over the city",
    "a whale in the sea under mountains and a desert planet in space",
    "justice",
    "",
]


def small(variant: Variant, prompt: str, seed: int = 1) -> bytes:
    """A picture that is quickly made."""
    return render_picture(variant, prompt, width=96, height=96, seed=seed)


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_same_words_and_seed_give_the_same_bytes(variant: Variant, prompt: str) -> None:
    """A run can be repeated exactly."""
    assert small(variant, prompt) == small(variant, prompt)


@pytest.mark.parametrize("variant", list(Variant))
def test_another_word_or_seed_gives_another_picture(variant: Variant) -> None:
    """No two texts share a picture, not even when they differ in a word nobody can draw."""
    pictures = {small(variant, prompt) for prompt in (*PROMPTS, "justly", "A flower in a meadow")}
    pictures |= {small(variant, PROMPTS[0], seed) for seed in (2, 3, 2**64 - 1)}
    assert len(pictures) == len(PROMPTS) + 2 + 3


def test_the_variants_differ() -> None:
    """Two hands, two pictures of the same words."""
    assert small(Variant.PAINTED, "a cat") != small(Variant.PRINTED, "a cat")


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("size", [(64, 64), (64, 512), (512, 64), (333, 257)])
def test_the_picture_has_the_size_that_was_asked_for(
    variant: Variant, size: tuple[int, int]
) -> None:
    """Every shape of sheet is filled, from a strip to a tower."""
    data = render_picture(variant, "a tree and a bird", width=size[0], height=size[1], seed=5)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == size
        assert image.format == "PNG"
        colours = image.getcolors(maxcolors=size[0] * size[1])
    assert colours is None or len(colours) > 200


def test_the_file_holds_pixels_and_nothing_else() -> None:
    """No prompt, no time, no software name travels in the file."""
    data = small(Variant.PAINTED, "a secret word")
    kinds = []
    position = 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kinds.append(data[position + 4 : position + 8])
        position += 12 + length
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


@settings(max_examples=25, deadline=None)
@given(
    prompt=st.text(max_size=120),
    seed=st.integers(0, 2**64 - 1),
    variant=st.sampled_from(list(Variant)),
)
def test_any_text_becomes_a_picture(prompt: str, seed: int, variant: Variant) -> None:
    """Nothing that a learner types breaks the renderer."""
    data = render_picture(variant, prompt, width=64, height=64, seed=seed)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.size == (64, 64)
