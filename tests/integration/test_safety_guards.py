"""Guard models through the whole way: safety, generation, and servers as Ollama and OpenAI are."""

from __future__ import annotations

import asyncio
import base64
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from stellwerk.safety.v1 import safety_service_pb2 as safety
from stellwerk.safety.v1 import verdict_pb2
from tests.fakes.guards import FakeModeration, FakeRawOllama, FakeRawOpenAI
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.fakes.text_server import Fault
from tests.integration.guarded import (
    ADULT,
    ALLOW,
    BLOCK,
    KIDS,
    OFF,
    YOUTH,
    check_of,
    guard,
    guarded_safety,
    judged,
    photograph,
)
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

INPUT = safety.DIRECTION_INPUT
WISH = "Eine Blume auf der Wiese"
HIT = verdict_pb2.CHECK_OUTCOME_HIT
PASSED = verdict_pb2.CHECK_OUTCOME_PASSED
SKIPPED = verdict_pb2.CHECK_OUTCOME_SKIPPED


async def test_llama_guard_gets_its_own_template_and_decides(tmp_path: Path) -> None:
    """Raw, word for word Meta's template; its hazards come back as our categories."""
    async with (
        FakeRawOllama("unsafe\nS1,S9") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("ollama/llama-guard3:1b", "llama-guard-3")},
            ollama_url=server.url,
        ) as house,
    ):
        verdict = await house.text(WISH)
        assert verdict.decision == BLOCK
        assert [reason.category for reason in verdict.reasons] == [
            verdict_pb2.CATEGORY_VIOLENCE,
            verdict_pb2.CATEGORY_WEAPONS,
        ]
        assert {reason.layer for reason in verdict.reasons} == {4}
        check = check_of(verdict, "text_guard")
        assert (check.outcome, check.model) == (HIT, "ollama/llama-guard3:1b")
        assert check.HasField("run_duration") and verdict.message.texts["de"]
        sent = server.requests[0].json
        assert sent["raw"] is True and sent["options"]["temperature"] == 0
        assert sent["prompt"].startswith("<|start_header_id|>user<|end_header_id|>\n\nTask: ")
        assert f"<BEGIN CONVERSATION>\n\nUser: {WISH}\n\n<END CONVERSATION>" in sent["prompt"]
        assert sent["prompt"].endswith(
            "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        )


async def test_llama_guard_4_through_an_openai_compatible_server(tmp_path: Path) -> None:
    """`/completions` takes raw prompts; the marks are those of the fourth generation."""
    async with (
        FakeRawOpenAI("safe") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("openai/llama-guard-4-12b", "llama-guard-4")},
            openai_base_url=server.base_url,
        ) as house,
    ):
        verdict = await house.text(WISH)
        assert verdict.decision == ALLOW
        assert check_of(verdict, "text_guard").outcome == PASSED
        prompt = server.requests[0].json["prompt"]
        assert prompt.startswith("<|header_start|>user<|header_end|>\n\nTask: ")
        assert prompt.endswith("<|eot|><|header_start|>assistant<|header_end|>\n\n")


async def test_a_server_that_has_the_template_is_asked_by_chat(tmp_path: Path) -> None:
    """The text goes as the user's message and nothing of ours is put around it."""
    async with (
        FakeOpenAI("unsafe\nS12") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("openai/lg4", "llama-guard-4", server_template=True)},
            openai_base_url=server.base_url,
        ) as house,
    ):
        assert (await house.text(WISH)).decision == BLOCK
        assert server.requests[0].json["messages"] == [{"role": "user", "content": WISH}]


async def test_controversial_blocks_kids_and_passes_youth_with_a_note(tmp_path: Path) -> None:
    """Qwen3Guard's middle word means what the policy says of it."""
    async with (
        FakeRawOllama("Safety: Controversial\nCategories: Violent") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("ollama/qwen3guard", "qwen3guard")},
            ollama_url=server.url,
        ) as house,
    ):
        kids = await house.text(WISH, KIDS)
        assert kids.decision == BLOCK
        assert kids.reasons[0].category == verdict_pb2.CATEGORY_VIOLENCE
        youth = await house.text(WISH, YOUTH)
        assert youth.decision == ALLOW and not youth.allowed_with_warning
        check = check_of(youth, "text_guard")
        assert (check.outcome, check.detail) == (PASSED, "controversial")
        assert server.requests[0].json["prompt"].endswith("<think>\n\n</think>\n\n")


async def test_a_judge_answers_in_json(tmp_path: Path) -> None:
    """Any model that follows instructions may judge; a code fence around the object is fine."""
    async with (
        FakeOllama(
            lambda request: f"```json\n{judged(request, unsafe=True, categories=['bullying'])}\n```"
        ) as server,
        guarded_safety(
            tmp_path, {"text_guard": guard("ollama/gemma3:4b", "judge")}, ollama_url=server.url
        ) as house,
    ):
        verdict = await house.text(WISH)
        assert verdict.decision == BLOCK
        assert verdict.reasons[0].category == verdict_pb2.CATEGORY_BULLYING
        system, user = server.requests[0].json["messages"]
        assert "children of 6 to 12 years" in system["content"]
        assert json.loads(user["content"]) == {"text": WISH}


async def test_openai_moderation_judges_by_its_flags(tmp_path: Path) -> None:
    """The endpoint's categories and scores come back as reasons, the strongest first."""
    async with (
        FakeModeration({"hate": 0.6, "violence": 0.9}) as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("openai/omni-moderation-latest", "openai-moderation")},
            openai_base_url=server.base_url,
        ) as house,
    ):
        verdict = await house.text(WISH)
        assert verdict.decision == BLOCK
        assert [reason.category for reason in verdict.reasons] == [
            verdict_pb2.CATEGORY_VIOLENCE,
            verdict_pb2.CATEGORY_HATE,
        ]
        assert verdict.reasons[0].score == pytest.approx(0.9)
        server.flagged = {}
        assert (await house.text("Ein Schiff auf dem Meer")).decision == ALLOW


async def test_the_guard_is_asked_when_the_policy_says_so(tmp_path: Path) -> None:
    """Always about what a model wrote for minors; not about a clear wish, nor for adults."""
    async with (
        FakeRawOllama("safe") as server,
        guarded_safety(
            tmp_path, {"text_guard": guard("ollama/lg", "llama-guard-3")}, ollama_url=server.url
        ) as house,
    ):
        wish = check_of(await house.text(WISH, KIDS, INPUT), "text_guard")
        assert (wish.outcome, wish.detail) == (SKIPPED, "not_needed")
        listed = check_of(await house.text("Ein Hakenkreuz", YOUTH), "text_guard")
        assert (listed.outcome, listed.detail) == (SKIPPED, "decided")
        for level in (ADULT, OFF):
            checks = (await house.text(WISH, level)).checks
            assert "text_guard" not in {check.name for check in checks}
        assert not server.requests
        await house.text(WISH, KIDS)
        await house.text("Papatyalar arasında bir kedi", KIDS, INPUT, language="tr")
        assert len(server.requests) == 2


async def test_one_text_is_judged_once(tmp_path: Path) -> None:
    """The same text at the same level costs one call, however often it is checked."""
    async with (
        FakeRawOllama("safe") as server,
        guarded_safety(
            tmp_path, {"text_guard": guard("ollama/lg", "llama-guard-3")}, ollama_url=server.url
        ) as house,
    ):
        for _ in range(3):
            assert (await house.text(WISH, KIDS)).decision == ALLOW
        await house.text(WISH, YOUTH)
        assert len(server.requests) == 2


async def test_a_long_text_is_judged_to_its_end(tmp_path: Path) -> None:
    """What is too long for the model's context goes in parts; the worst part decides."""
    async with (
        FakeRawOllama(
            lambda request: "unsafe\nS10" if "am Schluss" in request["prompt"] else "safe"
        ) as server,
        guarded_safety(
            tmp_path, {"text_guard": guard("ollama/lg", "llama-guard-3")}, ollama_url=server.url
        ) as house,
    ):
        verdict = await house.text("Die Wiese ist grün. " * 700 + "Und das steht am Schluss.")
        assert verdict.decision == BLOCK
        assert len(server.requests) > 3
        assert all(len(request.json["prompt"]) < 5_000 for request in server.requests)


async def test_too_many_at_once_are_refused_and_never_allowed(tmp_path: Path) -> None:
    """One is judged, one waits, the third is told that the guard is busy."""
    async with (
        FakeRawOllama("safe") as server,
        guarded_safety(
            tmp_path,
            {"text_guard": guard("ollama/lg", "llama-guard-3")},
            ollama_url=server.url,
            guard_concurrent=1,
            guard_waiting=1,
        ) as house,
    ):
        server.fault = Fault.HANG_BEFORE
        judged = asyncio.create_task(house.text("Ein rotes Haus"))
        await eventually(lambda: server.requests)
        others = {asyncio.create_task(house.text(f"Ein {c} Haus")) for c in ("blaues", "grünes")}
        done, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = done
        assert refused.result().decision == verdict_pb2.DECISION_UNAVAILABLE
        assert check_of(refused.result(), "text_guard").detail == "busy"
        for task in (judged, *waiting):
            task.cancel()


async def test_a_vision_judge_lets_photographs_pass_or_not(tmp_path: Path) -> None:
    """It is shown a small JPEG without metadata, never the file that a person brought."""
    said: dict[str, Any] = {"unsafe": False, "categories": []}
    exif = Image.Exif()
    exif[0x010E] = "Lena Musterfrau, Musterweg 1"
    async with (
        FakeOllama(lambda request: judged(request, **said)) as server,
        guarded_safety(
            tmp_path, {"image_guard": guard("ollama/qwen2.5vl", "judge")}, ollama_url=server.url
        ) as house,
    ):
        verdict = await house.picture(photograph(1, format="JPEG", exif=exif))
        assert verdict.decision == ALLOW
        assert check_of(verdict, "image_guard").model == "ollama/qwen2.5vl"
        shown = base64.b64decode(server.requests[0].json["messages"][1]["images"][0])
        with Image.open(BytesIO(shown)) as picture:
            assert picture.format == "JPEG" and not picture.getexif()
        assert b"Lena" not in shown
        said.update(unsafe=True, categories=["horror"])
        verdict = await house.picture(photograph(2))
        assert verdict.decision == BLOCK
        assert verdict.reasons[0].category == verdict_pb2.CATEGORY_HORROR
        assert verdict.message.texts["en"]


async def test_pictures_through_openai_compatible_servers(tmp_path: Path) -> None:
    """A judge gets the picture as a data address, the moderation endpoint too."""
    async with (
        FakeOpenAI(lambda request: judged(request, unsafe=False, categories=[])) as server,
        guarded_safety(
            tmp_path,
            {"image_guard": guard("openai/vision", "judge")},
            openai_base_url=server.base_url,
        ) as house,
    ):
        assert (await house.picture(photograph())).decision == ALLOW
        part = server.requests[0].json["messages"][1]["content"][1]
        assert part["image_url"]["url"].startswith("data:image/jpeg;base64,")
    async with (
        FakeModeration({"violence/graphic": 0.8}) as endpoint,
        guarded_safety(
            tmp_path,
            {"image_guard": guard("openai/omni-moderation-latest", "openai-moderation")},
            openai_base_url=endpoint.base_url,
        ) as house,
    ):
        verdict = await house.picture(photograph(3))
        assert verdict.decision == BLOCK
        assert verdict.reasons[0].category == verdict_pb2.CATEGORY_HORROR


async def test_a_guard_that_sees_nothing_lets_no_picture_pass(tmp_path: Path) -> None:
    """A text model in the place of a picture guard is a fault, and no blind yes."""
    async with (
        FakeRawOllama("safe") as server,
        guarded_safety(
            tmp_path, {"image_guard": guard("ollama/lg", "llama-guard-3")}, ollama_url=server.url
        ) as house,
    ):
        verdict = await house.picture(photograph())
        assert verdict.decision == verdict_pb2.DECISION_UNAVAILABLE
        assert check_of(verdict, "image_guard").detail == "guard_sees_nothing"
        assert not server.requests
