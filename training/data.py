"""Reads what the classifier learns from: public sets, by path, and our own texts.

The sets say what their authors meant, which is not always what a workshop for children needs. What
is left out, how the sets' categories become ours, and how much a set counts, stands here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import Category
from training.authors import HARMFUL_KINDS, Part, own_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.authors import OwnText

# Labelled harmful as chat requests, but harmless from a child: sorrows, questions about good and
# bad; or not harmful to a child: copyright, gossip about chat programs.
_LEFT_OUT = {
    "xsafety": {
        "Mental_Health",
        "Reverse_Exposure",
        "Ethics_And_Morality",
        "Role_Play_Instruction",
        "Privacy_And_Property",
        "Goal_Hijacking",
        "Prompt_Leaking",
    },
    "harmbench": {"copyright/copyright"},
    "donotanswer": {"human_chatbox", "misinformation_harms"},
}
_OF_SOURCE = {"gahd": Category.HATE, "hatecheck": Category.HATE, "hatemoji": Category.HATE}
_OF_CATEGORY = {
    # germeval18: training/ABUSE; xsafety; ailuminate; overt_unsafe; openai_mod; the rest
    "ABUSE": Category.HATE,
    "INSULT": Category.BULLYING,
    "PROFANITY": Category.BULLYING,
    "Insult": Category.BULLYING,
    "Unfairness_And_Discrimination": Category.HATE,
    "Physical_Harm": Category.DANGEROUS_ACTS,
    "ssh": Category.SELF_HARM,
    "iwp": Category.WEAPONS,
    "hte": Category.HATE,
    "sxc_prn": Category.SEXUAL,
    "src": Category.SEXUAL,
    "vcr": Category.VIOLENCE,
    "discrimination": Category.HATE,
    "self_harm": Category.SELF_HARM,
    "violence": Category.VIOLENCE,
    "sexual_content": Category.SEXUAL,
    "SH": Category.SELF_HARM,
    "V": Category.VIOLENCE,
    "H": Category.HATE,
    "HR": Category.BULLYING,
    "chemical_biological": Category.WEAPONS,
    "harassment_bullying": Category.BULLYING,
    "discrimination_exclusion_toxicity_hateful_offensive": Category.HATE,
    "Violence": Category.VIOLENCE,
    "Sexual content": Category.SEXUAL,
    "Hate, harassment and discrimination": Category.HATE,
}
# Picture prompts that look alike, harmful and harmless, teach the most; building blocks the least.
_COUNTS = {
    "overt_unsafe": 26.0,
    "overt": 20.0,
    "parti": 3.0,
    "ailuminate": 2.0,
    "xsafety_en": 2.0,
    "xsafety_de": 2.0,
    "donotanswer": 2.0,
    "own_near": 2.0,
    "own_chat": 2.0,
    "own_word": 0.5,
    "hatecheck": 0.3,  # thousands of lines from few templates, of one kind of harm
    "hatemoji": 0.3,
}
_COUNT_OF_SINGLE = 12.0  # what is worded by itself teaches more than one of many fillings
_SINGLE_KINDS = (*HARMFUL_KINDS, "near", "wish", "query", "caption", "art", "machine")
_WORD_AUTHOR = "dictionary"  # many texts from few words
_LISTS = (_WORD_AUTHOR, "woerter")  # whose lines are words, not texts


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from or to be measured with.

    Attributes:
        text: The text.
        harmful: What the classifier should say.
        source: The set, or `own_<kind>`.
        language: `de`, `en` or `xx`.
        category: Ours; OTHER for harmless ones.
        single: Whether it is one of ours and worded by itself.
    """

    text: str
    harmful: bool
    source: str
    language: str
    category: Category
    single: bool = False

    @property
    def count(self) -> float:
        """How much it counts in training."""
        return _COUNT_OF_SINGLE if self.single else _COUNTS.get(self.source, 1.0)


def public_examples(file: Path) -> list[Example]:
    """The examples of a file of the public sets, without those that are left out.

    Args:
        file: JSON Lines `{text, lang, label, source, category}`.
    """
    return list(_read(file))


def _read(file: Path) -> Iterator[Example]:
    with file.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            harmful = row["label"] == "harmful"
            left_out = _LEFT_OUT.get(row["source"].split("_")[0], ())
            if harmful and row["category"] in left_out:
                continue
            category = _category(row["source"], row["category"]) if harmful else Category.OTHER
            yield Example(row["text"], harmful, row["source"], row["lang"], category)


def _category(source: str, category: str) -> Category:
    last = category.rsplit("/", maxsplit=1)[-1].split("+")[0]
    return _OF_SOURCE.get(source) or _OF_CATEGORY.get(last, Category.OTHER)


def own_examples(part: Part) -> list[Example]:
    """Our own texts of a part."""
    return [
        Example(
            text.text,
            text.kind in HARMFUL_KINDS,
            _own_source(text),
            text.language,
            Category(text.category or "other"),
            text.single and text.kind in _SINGLE_KINDS and text.author not in _LISTS,
        )
        for text in own_texts()
        if text.part is part
    ]


def _own_source(text: OwnText) -> str:
    if text.author == _WORD_AUTHOR:
        return "own_word"
    if text.part is Part.BLIND:
        return f"blind_{text.author}_{text.kind}"
    return f"own_{text.kind}"
