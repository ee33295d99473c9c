"""Our own texts for the classifier: enough harmless ones, and nobody on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.authors import Part, own_texts

if TYPE_CHECKING:
    from pathlib import Path


def test_there_are_enough_harmless_wishes() -> None:
    """Many authors and templates, in German and English."""
    blocks = {"dictionary", "woerter"}
    wishes = [text for text in own_texts() if text.kind == "wish" and text.author not in blocks]
    assert sum(wish.language == "de" for wish in wishes) >= 800
    assert len({wish.template for wish in wishes}) >= 300
    assert len({wish.author for wish in wishes}) >= 9
    assert sum(text.kind == "wish" for text in own_texts()) >= 2_000
    assert {wish.language for wish in wishes} == {"de", "en"}


@pytest.mark.parametrize("apart", [Part.DEV, Part.BLIND])
def test_what_is_measured_was_not_learned_by_heart(apart: Part) -> None:
    """No author, no template and no text is on both sides."""
    texts = own_texts()
    for of in ("author", "template", "text"):
        kept = {getattr(text, of) for text in texts if text.part is apart}
        assert kept and not kept & {getattr(text, of) for text in texts if text.part is Part.TRAIN}


def test_there_are_enough_blind_texts() -> None:
    """Harmful and harmless, in both languages."""
    blind = [text for text in own_texts() if text.part is Part.BLIND]
    for language in ("de", "en"):
        ours = [text for text in blind if text.language == language]
        assert sum(text.kind == "harm" for text in ours) >= 75
        assert sum(text.kind != "harm" for text in ours) >= 100


def test_the_texts_are_always_the_same() -> None:
    """Another run makes the same model."""
    assert own_texts() == own_texts()


def test_a_line_outside_of_a_section_is_a_fault(tmp_path: Path) -> None:
    """Nobody's line is learned as something that it is not."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "someone.txt").write_text("[wish]\nEin Hund\n")
    with pytest.raises(ValueError, match="someone: not in a section"):
        own_texts(tmp_path)
