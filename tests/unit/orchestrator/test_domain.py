"""Small rules of the orchestrator: levels, drawn and found languages, cached translations."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.configs.plan import PlannedIteration
from orchestrator.languages import Languages
from orchestrator.levels import LAXEST_BY_ROLE, effective_level
from orchestrator.model import SafetyLevel
from orchestrator.ports import TextAnswer
from orchestrator.stages.flows import draw_languages
from orchestrator.translation import TranslationCache, translation_key
from servicekit.principals import LOCAL_ADMIN, Role


@given(st.sampled_from(SafetyLevel), st.sampled_from(Role), st.sampled_from(SafetyLevel))
def test_nobody_gets_a_laxer_level_than_asked_role_or_house_allow(
    wanted: SafetyLevel, role: Role, house: SafetyLevel
) -> None:
    """The strictest of the three always wins."""
    got = effective_level(wanted, replace(LOCAL_ADMIN, role=role), house)
    assert got == min(wanted, LAXEST_BY_ROLE[role], house)


@given(seed=st.integers(0, 2**63), iterations=st.integers(1, 50))
def test_drawn_languages_change_each_pass_and_end_where_the_plan_says(
    seed: int, iterations: int
) -> None:
    """The same seed draws the same languages, never one twice in a row but for the last."""
    flow = PlannedIteration(
        chunks=(),
        iterations=iterations,
        languages="random",
        language_pool=("fr", "tr", "ja"),
        final_language="en",
    )
    drawn = draw_languages(flow, seed, "de")
    assert drawn == draw_languages(flow, seed, "de")
    assert len(drawn) == iterations
    assert drawn[-1] == "en"
    before_last = drawn[:-1]
    assert all(a != b for a, b in itertools.pairwise(before_last))
    assert set(before_last) <= {"fr", "tr", "ja"}


async def test_a_translation_is_made_once_for_all_who_wait() -> None:
    """Two outputs that need the same translation at once cause one call."""
    cache, calls = TranslationCache(), 0

    async def make() -> TextAnswer:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return TextAnswer("a flower")

    key = translation_key("eine Blume", "de", "en", "m")
    answers = await asyncio.gather(*(cache.get_or_make(key, make) for _ in range(20)))
    assert {answer.text for answer in answers} == {"a flower"}
    assert calls == 1


async def test_a_failed_translation_is_tried_again_by_the_next() -> None:
    """A failure is the caller's own; it is not kept."""
    cache = TranslationCache()
    key = translation_key("eine Blume", "de", "en", "m")

    async def fail() -> TextAnswer:
        raise ConnectionError

    async def make() -> TextAnswer:
        return TextAnswer("a flower")

    with pytest.raises(ConnectionError):
        await cache.get_or_make(key, fail)
    assert (await cache.get_or_make(key, make)).text == "a flower"


async def test_the_cache_keeps_a_bounded_number() -> None:
    """Old translations give way."""
    cache, calls = TranslationCache(size=2), 0

    async def make() -> TextAnswer:
        nonlocal calls
        calls += 1
        return TextAnswer(str(calls))

    keys = [translation_key(text, "de", "en", "m") for text in ("a", "b", "c", "a")]
    assert [(await cache.get_or_make(key, make)).text for key in keys] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "hint", "code"),
    [
        ("Eine Blume auf der Wiese", "", "de"),
        ("Meine Oma backt Kuchen im Weltall", "", "de"),
        ("a rocket flies to the moon", "de", "en"),
        ("dragon with wings", "de", "en"),
        ("My dog is swimming", "de", "en"),
        ("i want a horse", "de", "en"),
        ("Meine Oma tanzt", "en", "de"),
        ("A red fox", "de", "en"),
        ("mijn hond eet een appel", "de", "nl"),
        ("il mio cane mangia una mela", "en", "it"),
        ("ein Hund", "de", "de"),
        ("un chat sur le toit", "de", "fr"),
        ("我喜欢花", "de", "zh"),
        ("Красная машина", "de", "ru"),
        ("🙂🙂", "de", ""),
        ("123", "de", ""),
    ],
)
async def test_languages_of_short_wishes_are_found(text: str, hint: str, code: str) -> None:
    """What learners type is recognised; what nobody could tell counts as unknown."""
    languages = Languages()
    try:
        assert (await languages.detect(text, hint)).code == code
    finally:
        await languages.close()
