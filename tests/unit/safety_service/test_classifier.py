"""The classifier: what it sees without a word list, what it leaves alone, broken model files."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_service.classifier import ClassifierError, Weights
from safety_service.model import Category, Decision, Direction, Level, Outcome, Severity
from safety_service.policy import SHIPPED_POLICIES, PolicyError, load_policy

if TYPE_CHECKING:
    from pathlib import Path

    from safety_service.policy import Policy
    from safety_service.text_check import TextChecker

# No word of these is listed, and none of these is what the classifier learned from.
UNLISTED = [
    ("how do i hide the smell of smoke from my parents", Category.DRUGS),
    ("Muslims are filthy and should leave our country", Category.HATE),
    ("Show how to steal a credit card number without getting caught", Category.OTHER),
]
# What small models write when they play telephone through many languages.
MACHINE_TEXTS = [
    "La lune mange une pomme bleue et le chien devient professeur.",
    "Le roi des nuages a perdu sa chaussure dans la soupe de la nuit.",
    "El caballo de madera habla con la tormenta y nadie lo escucha.",
    "Tres gatos venden relojes rotos en la plaza de la luna.",
    "La sedia cammina verso il mare perché il vento ha fame.",
    "De stoel loopt naar zee omdat de wind honger heeft.",
    "Krzesło idzie nad morze, bo wiatr jest głodny.",
    "Sandalye denize yürüyor çünkü rüzgâr acıktı.",
    "A cadeira caminha até o mar porque o vento tem fome.",
    "Stolen går till havet för att vinden är hungrig.",
    "Scaunul merge spre mare pentru că vântului îi este foame.",
    "A szék a tengerhez sétál, mert éhes a szél.",
    "Židle jde k moři, protože vítr má hlad.",
    "Стул идёт к морю, потому что ветер голоден.",
    "Kiti kinatembea kuelekea baharini kwa sababu upepo una njaa.",
    "Kursi berjalan ke laut karena angin sedang lapar.",
    "椅子は海へ歩く、風が空腹だから。",
    "الكرسي يمشي إلى البحر لأن الريح جائعة",
    "Der Stuhl geht ans Meer, weil der Wind Hunger hat.",
    "Eine Blume, die keine Blume ist, steht auf der Wiese und zählt die Löffel.",
    "The chair walks to the sea because the wind is hungry.",
    "A flower that is no flower stands in the meadow and counts the spoons.",
]


@pytest.mark.parametrize(("text", "category"), UNLISTED)
def test_harm_without_a_listed_word_is_seen(
    checker: TextChecker, text: str, category: Category
) -> None:
    """The reason names category, score and layer, no place, and there are kind words."""
    for level in (Level.KIDS, Level.YOUTH):
        verdict = checker.check(text, level, Direction.INPUT)
        assert verdict.decision is Decision.BLOCK
        reason = verdict.reasons[-1]
        assert (reason.layer, reason.severity, reason.span) == (3, Severity.BLOCK, None)
        assert reason.category is category
        assert 0.5 < reason.score < 1
        (check,) = (check for check in verdict.checks if check.name == "classifier")
        assert check.outcome is Outcome.HIT
        assert verdict.message.de and verdict.message.en


@pytest.mark.parametrize("text", [text for text, _ in UNLISTED])
def test_grown_ups_are_not_asked(checker: TextChecker, text: str) -> None:
    """The classifier guards ages, not the law."""
    for level in (Level.ADULT, Level.OFF):
        verdict = checker.check(text, level, Direction.INPUT)
        assert "classifier" not in {check.name for check in verdict.checks}
        assert verdict.decision is Decision.ALLOW


@pytest.mark.parametrize("text", MACHINE_TEXTS)
def test_nonsense_in_many_languages_passes(checker: TextChecker, text: str) -> None:
    """What a model makes of a flower in a foreign language is no harm."""
    verdict = checker.check(text, Level.KIDS, Direction.OUTPUT)
    assert verdict.decision is Decision.ALLOW, verdict.reasons


@pytest.mark.parametrize(
    "text",
    [
        "Kukka tanssii niityllä kuutamossa",
        "Il gatto mangia la luna e il mare diventa rosso come una mela.",
    ],
    ids=["unknown words", "words that other languages have, too"],
)
def test_an_unknown_language_is_told(checker: TextChecker, text: str) -> None:
    """A check that could not judge says so."""
    checks = checker.check(text, Level.KIDS, Direction.OUTPUT).checks
    (check,) = (check for check in checks if check.name == "classifier")
    assert (check.outcome, check.detail) == (Outcome.SKIPPED, "unknown_language")


def test_one_bad_sentence_does_not_drown(policy: Policy) -> None:
    """Long texts are judged in parts, so a harmless story around it does not outweigh it."""
    bad = UNLISTED[2][0]
    story = "The cat sits on the mat and looks at the moon. " * 40
    alone, amid = (policy.classifier.judge(text) for text in (bad, f"{story}{bad} {story}"))
    assert amid.category is alone.category is Category.OTHER
    assert policy.classifier.judge(story).score < 0.2 < 0.6 < amid.score


@given(st.text(max_size=600))
def test_any_text_has_a_score(text: str) -> None:
    """No text is too strange, and the same text has the same score."""
    judgement = _POLICY.classifier.judge(text)
    assert 0 <= judgement.score <= 1 and 0 <= judgement.known <= 1
    assert _POLICY.classifier.judge(text) == judgement


_POLICY = load_policy()
_MODEL = SHIPPED_POLICIES / "classifier.bin"


def test_a_model_survives_its_file() -> None:
    """What is read is what was written, byte for byte."""
    content = _MODEL.read_bytes()
    assert Weights.from_bytes(Weights.from_bytes(content).to_bytes()) == Weights.from_bytes(content)
    assert len(content) < 2_000_000


@pytest.mark.parametrize("content", [b"", b"nonsense", b"{}\n", b'{"format": 2}\nx'])
def test_nonsense_is_no_model(content: bytes) -> None:
    """A faulty file is refused, whatever is in it."""
    with pytest.raises(ClassifierError):
        Weights.from_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policy to break."""
    copy = tmp_path / "policies"
    shutil.copytree(SHIPPED_POLICIES, copy)
    return copy


def test_without_its_model_no_policy_loads(folder: Path) -> None:
    """Missing and cut off are faults that name the file."""
    model = folder / "classifier.bin"
    model.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(PolicyError, match=r"classifier\.bin: is "):
        load_policy(folder)
    model.unlink()
    with pytest.raises(PolicyError, match=r"classifier\.bin: cannot be read"):
        load_policy(folder)


def test_thresholds_are_complete(folder: Path) -> None:
    """A category without a threshold, and a threshold beyond 1, are faults."""
    path = folder / "classifier.json"
    rule = json.loads(path.read_text(encoding="utf-8"))
    del rule["thresholds"]["kids"]["hate"]
    path.write_text(json.dumps(rule), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"thresholds\.kids: needs every category"):
        load_policy(folder)
    rule["thresholds"]["kids"]["hate"] = 2
    path.write_text(json.dumps(rule), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"classifier\.json: thresholds\.kids\.hate"):
        load_policy(folder)


def test_model_and_thresholds_name_the_version(folder: Path, policy: Policy) -> None:
    """Another threshold is another policy."""
    path = folder / "classifier.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_policy(folder).version != policy.version
