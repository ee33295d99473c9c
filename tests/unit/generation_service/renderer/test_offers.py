"""What the renderers offer: defaults, limits, and what is returned as applied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from generation_service.backends.embedded.backend import EmbeddedBackend
from generation_service.backends.embedded.offers import OFFERS, Choice, Number
from generation_service.backends.embedded.process import RenderPool
from generation_service.backends.interface import MediaParameters, MediaRequest
from generation_service.media.types import find_kind
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from generation_service.backends.interface import MediaPlan

CONFIGS = Path(__file__).parents[4] / "configs" / "output"
SMALL: dict[str, dict[str, object]] = {
    "picture-a": {"width": 64, "height": 64},
    "sound": {"duration_seconds": 2},
    "music": {"duration_seconds": 4},
    "video": {"width": 64, "height": 64, "duration_seconds": 1, "fps": 4},
    "model": {"detail": 1},
}
KINDS = {
    "picture-a": "image/png",
    "sound": "audio/wav",
    "music": "audio/wav",
    "video": "image/webp",
    "model": "model/gltf-binary",
}


@pytest.fixture
async def backend() -> AsyncIterator[EmbeddedBackend]:
    """A backend with one child."""
    backend = EmbeddedBackend(RenderPool(1, limit_seconds=60), make_seed=lambda: 5)
    yield backend
    await backend.close()


def plan(
    backend: EmbeddedBackend, model: str, asked: Mapping[str, object], prompt: str = "a cat"
) -> MediaPlan:
    """Plan a request; parameters go where the contract has no field for them."""
    parameters = MediaParameters(extra=dict(asked))
    return backend.plan(MediaRequest(model, OFFERS[model].media_type, prompt, parameters))


@pytest.mark.parametrize("model", list(SMALL))
async def test_each_medium_comes_out_of_the_child(backend: EmbeddedBackend, model: str) -> None:
    """The bytes are of the kind that the medium wants, and the same again on a second child."""
    planned = plan(backend, model, SMALL[model])
    (made,) = await backend.make(planned, lambda percent, step: None)
    kind = find_kind(made.data)
    assert kind is not None
    assert kind.mime_type == KINDS[model]
    second = EmbeddedBackend(RenderPool(1, limit_seconds=60), make_seed=lambda: 5)
    assert (await second.make(planned, lambda percent, step: None))[0].data == made.data
    await second.close()
    assert planned.model == f"embedded/{model}"
    assert not backend.photographic


async def test_everything_applied_is_returned(backend: EmbeddedBackend) -> None:
    """Also what the words decided, so that the piece can be had again."""
    free = plan(backend, "music", {}, "a sad march")
    assert set(free.applied) == {"duration_seconds", "tempo_bpm", "key", "genre", "seed"}
    assert free.applied["genre"] == "march"
    assert None not in free.applied.values()
    again = plan(backend, "music", free.applied, "a sad march")
    assert again.applied == free.applied
    assert json.loads(json.dumps(free.applied)) == free.applied


async def test_typed_parameters_win_over_free_ones(backend: EmbeddedBackend) -> None:
    """Where a parameter came from does not matter, but a typed one is the surer wish."""
    asked = MediaParameters(others={"duration_seconds": 3.0}, extra={"duration_seconds": 20})
    request = MediaRequest("sound", "audio", "rain", asked)
    assert backend.plan(request).applied == {"duration_seconds": 3.0, "seed": 5}


async def test_unknown_parameters_are_named(backend: EmbeddedBackend) -> None:
    """A sound has no width, and says so."""
    asked = MediaParameters(width=64, extra={"lyrics": "la"})
    warnings = backend.plan(MediaRequest("sound", "audio", "rain", asked)).warnings
    assert len(warnings) == 2
    assert "width" in warnings[0]
    assert "lyrics" in warnings[1]


@pytest.mark.parametrize(
    ("model", "asked", "field"),
    [
        ("sound", {"duration_seconds": 1.9}, "duration_seconds"),
        ("sound", {"duration_seconds": 30.1}, "duration_seconds"),
        ("sound", {"duration_seconds": "long"}, "duration_seconds"),
        ("sound", {"duration_seconds": True}, "duration_seconds"),
        ("sound", {"duration_seconds": float("nan")}, "duration_seconds"),
        ("music", {"tempo_bpm": 39}, "tempo_bpm"),
        ("music", {"tempo_bpm": 90.5}, "tempo_bpm"),
        ("music", {"key": "H minor"}, "key"),
        ("music", {"genre": "noise"}, "genre"),
        ("video", {"fps": 25}, "fps"),
        ("video", {"width": 769}, "width"),
        ("video", {"duration_seconds": 8, "fps": 24}, "duration_seconds"),
        ("video", {"width": 768, "height": 768, "duration_seconds": 8}, "width"),
        ("model", {"detail": 4}, "detail"),
    ],
)
async def test_limits_are_kept(
    backend: EmbeddedBackend, model: str, asked: dict[str, object], field: str
) -> None:
    """What is out of range is refused before it is queued, with its field."""
    with pytest.raises(InvalidArgumentError) as refused:
        plan(backend, model, asked)
    assert [name for name, _ in refused.value.violations] == [f"parameters.{field}"]


async def test_a_choice_is_known_in_any_case(backend: EmbeddedBackend) -> None:
    """`c MAJOR` is C major."""
    applied = plan(backend, "music", {"key": " c MAJOR ", "genre": "Jazz"}).applied
    assert (applied["key"], applied["genre"]) == ("C major", "jazz")


@pytest.mark.parametrize("config", ["image", "image_b", "sound", "music", "video", "3d"])
def test_configs_declare_what_renderers_offer(config: str) -> None:
    """The shipped outputs and the renderers agree about names, defaults and limits."""
    written = json.loads((CONFIGS / f"embedded_{config}.json").read_text(encoding="utf-8"))
    offer = OFFERS[written["model"]]
    assert written["media_type"] == offer.media_type
    assert set(written["parameters"]) == {setting.name for setting in offer.settings}
    for setting in offer.settings:
        declared = written["parameters"][setting.name]
        assert declared.get("default") == setting.default
        if isinstance(setting, Number):
            assert declared["type"] == ("integer" if setting.whole else "number")
            assert (declared["minimum"], declared["maximum"]) == (setting.minimum, setting.maximum)
        elif isinstance(setting, Choice):
            assert tuple(declared["choices"]) == setting.choices
