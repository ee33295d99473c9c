"""Sculptures: valid files, sound surfaces, and that words matter."""

from __future__ import annotations

import io
import math
from random import Random

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from generation_service.backends.embedded.motifs import MOTIFS
from generation_service.backends.embedded.sculpture.abstract import form_of
from generation_service.backends.embedded.sculpture.catalogue import FIGURES, figure
from generation_service.backends.embedded.sculpture.kit import Kit, both_sides, extent
from generation_service.backends.embedded.sculpture.scene import render_scene
from generation_service.backends.embedded.sculpture.solids import (
    Solid,
    ball,
    block,
    ring,
    rope,
    slab,
    triangles,
    wedge,
)
from tests.unit.generation_service.renderer.files import glb_of

PROMPTS = [
    "a cat under a tree",
    "three red houses in the snow, forest and mountains",
    "a boat on the sea with a bird, the sun and a clock",
    "a rocket in space",
    "justice",
    "",
]


def scene(prompt: str, *, seed: int = 1, detail: int = 1) -> bytes:
    """A coarse scene."""
    return render_scene(prompt, detail=detail, seed=seed)


def test_the_same_words_and_seed_give_the_same_bytes() -> None:
    """A run can be repeated exactly."""
    assert scene(PROMPTS[1]) == scene(PROMPTS[1])


def test_another_word_seed_or_detail_gives_another_scene() -> None:
    """No two texts share a sculpture, not even when they differ in a word nobody can model."""
    scenes = {scene(prompt) for prompt in (*PROMPTS, "freedom", "a cat truly under a tree")}
    scenes |= {scene(PROMPTS[0], seed=2), scene(PROMPTS[0], detail=2)}
    assert len(scenes) == len(PROMPTS) + 4


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_file_keeps_to_the_specification(prompt: str) -> None:
    """Chunks, accessors, indices, bounds, normals and materials are as glTF 2.0 wants them."""
    glb = glb_of(scene(prompt))
    assert "extensionsRequired" not in glb.tree
    assert glb.tree["scenes"][glb.tree["scene"]]["nodes"]
    for mesh in glb.tree["meshes"]:
        for primitive in mesh["primitives"]:
            assert primitive.get("mode", 4) == 4
            spots = glb.array(primitive["attributes"]["POSITION"])
            normals = glb.array(primitive["attributes"]["NORMAL"])
            indices = glb.array(primitive["indices"])
            bounds = glb.tree["accessors"][primitive["attributes"]["POSITION"]]
            assert len(spots) == len(normals)
            assert len(indices) % 3 == 0
            assert int(indices.max()) < len(spots)
            assert np.isfinite(spots).all()
            assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
            assert np.allclose(spots.min(axis=0), bounds["min"], atol=1e-5)
            assert np.allclose(spots.max(axis=0), bounds["max"], atol=1e-5)
            material = glb.tree["materials"][primitive["material"]]["pbrMetallicRoughness"]
            assert material["metallicFactor"] == 0
            assert len(material["baseColorFactor"]) == 4


@pytest.mark.parametrize("prompt", PROMPTS)
def test_others_can_read_it(prompt: str) -> None:
    """A library loads it: something of a few metres that stands on its plinth."""
    loaded = trimesh.load_scene(io.BytesIO(scene(prompt)), file_type="glb")
    low, high = loaded.bounds
    assert -0.4 < low[1] < -0.2
    assert 0.3 < high[1] < 5.0
    assert np.abs(loaded.bounds[:, (0, 2)]).max() < 3.0
    assert len(loaded.geometry) >= 3


def test_the_file_names_nobodys_words() -> None:
    """No prompt travels in the file, nor anything that a store would take out."""
    data = scene("a cat in zanzibar")
    assert b"zanzibar" not in data.lower()
    assert b"extras" not in data


@pytest.mark.parametrize("motif", sorted(MOTIFS))
def test_every_motif_has_a_figure(motif: str) -> None:
    """Modelled or cut out, it stands on the ground or near it, of the usual size."""
    pieces = figure(Kit(Random(3), 1), motif)
    low, high = extent(pieces)
    assert -0.5 < low < 1.0
    assert 0.3 < high < 2.9
    corners = np.vstack([piece.solid.vertices for piece in pieces])
    assert np.isfinite(corners).all()
    assert np.abs(corners).max() < 3.0


def test_figures_are_motifs() -> None:
    """No model waits for a word that does not exist."""
    assert set(FIGURES) <= set(MOTIFS)


@pytest.mark.parametrize("key", range(14))
def test_every_word_has_a_form(key: int) -> None:
    """Each family of abstract forms keeps to its place."""
    low, high = extent(form_of(Kit(Random(1), 1), key))
    assert -0.8 < low < high < 3.0


def volume(solid: Solid) -> float:
    """Signed volume: positive when all triangles look outwards."""
    a, b, c = (solid.vertices[solid.faces[:, corner]] for corner in range(3))
    return float(np.sum(a * np.cross(b, c)) / 6)


@pytest.mark.parametrize(
    ("solid", "expected"),
    [
        (ball(48), 4 / 3 * math.pi),
        (block(), 1.0),
        (wedge(), 0.5),
        (ring(1.0, 0.3, 48), 2 * math.pi**2 * 0.09),
        (slab(np.array([(0.0, 0), (2, 0), (2, 1), (0, 1)]), 0.5), 1.0),
        (slab(np.array([(0.0, 1), (2, 1), (2, 0), (0, 0)]), 0.5), 1.0),
        (rope([(0, 0, 0), (0, 1, 0), (0, 2, 0)], 0.5, 0.5, 48), math.pi / 2),
    ],
)
def test_surfaces_look_outwards_and_close(solid: Solid, expected: float) -> None:
    """The volume within is what geometry says, mirrored or not; normals agree with it."""
    rounded = 0.45 if expected == math.pi / 2 else 0.05  # a rope's ends are rounded
    assert volume(solid) == pytest.approx(expected, rel=rounded)
    mirrored = solid.transformed(np.diag([-1.0, 1.0, 1.0]), (3, 0, 0))
    assert volume(mirrored) == pytest.approx(volume(solid))
    for each in (solid, mirrored):
        a, b, c = (each.vertices[each.faces[:, corner]] for corner in range(3))
        crosses = np.cross(b - a, c - a)
        assert (np.sum(crosses * each.normals[each.faces[:, 0]], axis=1) >= -1e-9).all()


def test_both_sides_are_alike() -> None:
    """An ear has its twin on the other side."""
    kit = Kit(Random(1), 1)
    left, right = both_sides([kit.ball("main", (0.5, 1, 0), 0.2)])
    assert np.allclose(left.solid.vertices * [-1, 1, 1], right.solid.vertices)


@given(st.lists(st.floats(0.2, 1.0), min_size=3, max_size=40))
def test_polygons_are_cut_without_gaps(radii: list[float]) -> None:
    """The triangles of an outline have its area together, however dented it is."""
    turn = np.linspace(0, math.tau, len(radii), endpoint=False)
    outline = np.stack([np.cos(turn), np.sin(turn)], axis=1) * np.array(radii)[:, None]
    a, b, c = (outline[triangles(outline)[:, corner]] for corner in range(3))
    parts = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    after = np.roll(outline, -1, axis=0)
    area = float(np.sum(outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0])) / 2
    assert (parts > -1e-9).all()
    assert float(parts.sum()) == pytest.approx(area)


@settings(max_examples=15, deadline=None)
@given(prompt=st.text(max_size=120), seed=st.integers(0, 2**64 - 1))
def test_any_text_becomes_a_sculpture(prompt: str, seed: int) -> None:
    """Nothing that a learner types breaks the renderer."""
    assert glb_of(scene(prompt, seed=seed)).tree["meshes"]
