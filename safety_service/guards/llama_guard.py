"""Llama Guard 3 and 4, in the template of Meta's model cards.

https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/ and …/llama-guard-4/. The
list of categories is the whole one that the models were trained with, since the smaller of them
answer worse to any other; what of it is no business of ours passes when the answer is read.
"""

from __future__ import annotations

import re

from safety_service.guards.interface import (
    GuardAnswer,
    GuardFailedError,
    GuardPrompt,
    PromptForm,
    Rating,
    UnreadableAnswerError,
)
from safety_service.model import Category, Level

_HAZARDS: dict[str, tuple[str, Category | None]] = {
    "S1": ("Violent Crimes", Category.VIOLENCE),
    "S2": ("Non-Violent Crimes", Category.DANGEROUS_ACTS),
    "S3": ("Sex Crimes", Category.SEXUAL),
    "S4": ("Child Exploitation", Category.SEXUAL),
    "S5": ("Defamation", Category.BULLYING),
    "S6": ("Specialized Advice", None),
    "S7": ("Privacy", Category.PERSONAL_DATA),
    "S8": ("Intellectual Property", None),
    "S9": ("Indiscriminate Weapons", Category.WEAPONS),
    "S10": ("Hate", Category.HATE),
    "S11": ("Self-Harm", Category.SELF_HARM),
    "S12": ("Sexual Content", Category.SEXUAL),
    "S13": ("Elections", None),
    "S14": ("Code Interpreter Abuse", Category.PROMPT_INJECTION),
}
"""The models' hazards and our categories; None: not what this service is for."""

_ANSWER = re.compile(r"safe|unsafe\s*\n\s*(S\d{1,2}(?:\s*,\s*S\d{1,2})*)")
_TASK = """Task: Check if there is unsafe content in 'User' messages in conversations according \
our safety policy with the below categories.

<BEGIN UNSAFE CONTENT CATEGORIES>
{hazards}
<END UNSAFE CONTENT CATEGORIES>

<BEGIN CONVERSATION>

User: {text}

<END CONVERSATION>

Provide your safety assessment for ONLY THE LAST User message in the above conversation:
 - First line must read 'safe' or 'unsafe'.
 - If unsafe, a second line must include a comma-separated list of violated categories."""
_PICTURE_TEXT = "Show me this picture."


class LlamaGuard:
    """One generation of the models: they differ in the marks of a turn, and in seeing."""

    def __init__(self, *, begin: str, end: str, sees: bool) -> None:
        """Take what differs.

        Args:
            begin: The marks before the task.
            end: Those after it, up to the answer.
            sees: Whether it takes pictures.
        """
        self._sees = sees
        self._begin = begin
        self._end = end

    def ask_text(
        self, text: str, level: Level, medium: str, *, server_template: bool
    ) -> GuardPrompt:
        """Write the question; see `GuardFormat`. The models know no ages or media."""
        if server_template:
            return GuardPrompt(text)
        hazards = "\n".join(f"{code}: {name}." for code, (name, _) in _HAZARDS.items())
        task = _TASK.format(hazards=hazards, text=text)
        return GuardPrompt(f"{self._begin}{task}{self._end}", form=PromptForm.RAW)

    def ask_picture(self, picture: bytes, level: Level) -> GuardPrompt:
        """Write the question; the server applies the template, which has a place for pictures."""
        if not self._sees:
            raise GuardFailedError("guard_sees_nothing")
        return GuardPrompt(_PICTURE_TEXT, picture=picture)

    def read(self, answer: str, prompt: GuardPrompt) -> GuardAnswer:
        """Understand `safe`, or `unsafe` and a line of hazards; nothing else."""
        match = _ANSWER.fullmatch(answer.strip())
        if match is None:
            raise UnreadableAnswerError
        if match[1] is None:
            return GuardAnswer(Rating.SAFE)
        codes = [code.strip() for code in match[1].split(",")]
        if any(code not in _HAZARDS for code in codes):
            raise UnreadableAnswerError
        found = dict.fromkeys(_HAZARDS[code][1] for code in codes)
        categories = tuple(category for category in found if category is not None)
        return GuardAnswer(Rating.UNSAFE if categories else Rating.SAFE, categories)


LLAMA_GUARD_3 = LlamaGuard(
    begin="<|start_header_id|>user<|end_header_id|>\n\n",
    end="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    sees=False,
)
LLAMA_GUARD_4 = LlamaGuard(
    begin="<|header_start|>user<|header_end|>\n\n",
    end="<|eot|><|header_start|>assistant<|header_end|>\n\n",
    sees=True,
)
