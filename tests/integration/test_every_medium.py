"""All media that need no GPU, in one run through all four services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.ollama import FakeOllama
from tests.integration.house import no_faults, open_house

if TYPE_CHECKING:
    from pathlib import Path


async def test_every_medium_passes_the_whole_system(tmp_path: Path) -> None:
    """One run makes a picture, a sound, music, a film and a sculpture, and its record has them."""
    outputs = ("image", "sound", "music", "video", "3d")
    async with (
        FakeOllama("A cat in the rain.") as ollama,
        open_house(tmp_path, ollama.url) as house,
    ):
        events = await house.run(
            config="passthrough",
            texts=["A cat in the rain"],
            language="en",
            outputs=[f"embedded_{name}" for name in outputs],
        )
        record = await house.record(no_faults(events))
    made = {item.item_type: item for item in record.items if item.item_type.startswith("output_")}
    assert {name: item.media.mime_type for name, item in made.items()} == {
        "output_image": "image/png",
        "output_audio": "audio/wav",
        "output_music": "audio/wav",
        "output_video": "image/webp",
        "output_3d": "model/gltf-binary",
    }
    assert all(item.model_used.startswith("embedded/") for item in made.values())
    facts = json.loads(made["output_music"].metadata_json)
    assert facts.keys() >= {"duration_seconds", "tempo_bpm", "key", "genre", "seed"}
    assert not facts["photographic"]
