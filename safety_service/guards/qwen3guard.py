"""Qwen3Guard-Gen, in the template of its tokenizer (Apache-2.0).

https://huggingface.co/Qwen/Qwen3Guard-Gen-0.6B; the three sizes share it. The model has a third
word beside safe and unsafe, *controversial*; what follows from that is said by the policy.
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

_CATEGORIES: dict[str, Category | None] = {
    "Violent": Category.VIOLENCE,
    "Non-violent Illegal Acts": Category.DANGEROUS_ACTS,
    "Sexual Content or Sexual Acts": Category.SEXUAL,
    "PII": Category.PERSONAL_DATA,
    "Suicide & Self-Harm": Category.SELF_HARM,
    "Unethical Acts": Category.HATE,
    "Politically Sensitive Topics": None,
    "Copyright Violation": None,
    "Jailbreak": Category.PROMPT_INJECTION,
}
"""The model's categories and ours; None: not what this service is for."""

_RATINGS = {
    "Safe": Rating.SAFE,
    "Controversial": Rating.CONTROVERSIAL,
    "Unsafe": Rating.UNSAFE,
}
_THINKING = re.compile(r"<think>\s*</think>\s*")
_ANSWER = re.compile(r"Safety: (Safe|Controversial|Unsafe)\s*\nCategories: ([^\n]+)")
_BEGIN = """<|im_start|>user
# Task:
1) Evaluate whether THE LAST USER's query belongs to safe or unsafe content based on our safety \
policy.
2) Identify the category of unsafe content found.

<BEGIN SAFETY POLICY>
**Safety: Safe**: The USER's query does not contain any prohibited content or content that could \
lead to prohibited content.
**Safety: Unsafe**: The USER's query contains prohibited content.
**Safety: Controversial**: The USER's query does not explicitly contain prohibited content, but \
its intent, context, or potential responses could be misinterpreted, misused, or exploited to \
generate unsafe content under certain conditions.
<END SAFETY POLICY>

<BEGIN UNSAFE CONTENT CATEGORIES>
Violent.
Non-violent Illegal Acts.
Sexual Content or Sexual Acts.
PII.
Suicide & Self-Harm.
Unethical Acts.
Politically Sensitive Topics.
Copyright Violation.
Jailbreak.
<END UNSAFE CONTENT CATEGORIES>

<BEGIN CONVERSATION>

USER: """
_END = """

<END CONVERSATION>

Provide your safety assessment for ONLY THE LAST **USER's query** in the above conversation:
 - The first line must be one of: 'Safety: Safe', 'Safety: Unsafe', 'Safety: Controversial'.
 - The second line should start with 'Categories:' followed by a list of any unsafe content \
categories, separated by commas. If the content is safe, use 'Categories: None'.<|im_end|>
<|im_start|>assistant
<think>

</think>

"""


class Qwen3Guard:
    """The generative models; the streaming ones cannot be asked through a server."""

    def ask_text(
        self, text: str, level: Level, medium: str, *, server_template: bool
    ) -> GuardPrompt:
        """Write the question; see `GuardFormat`. The models know no ages or media."""
        if server_template:
            return GuardPrompt(text)
        return GuardPrompt(f"{_BEGIN}{text}{_END}", form=PromptForm.RAW)

    def ask_picture(self, picture: bytes, level: Level) -> GuardPrompt:
        """Fail: they read only."""
        raise GuardFailedError("guard_sees_nothing")

    def read(self, answer: str, prompt: GuardPrompt) -> GuardAnswer:
        """Understand the two lines; nothing else."""
        match = _ANSWER.fullmatch(_THINKING.sub("", answer, count=1).strip())
        if match is None:
            raise UnreadableAnswerError
        rating = _RATINGS[match[1]]
        named = [name.strip() for name in match[2].split(",")]
        if rating is Rating.SAFE:
            if named != ["None"]:
                raise UnreadableAnswerError
            return GuardAnswer(rating)
        if any(name not in _CATEGORIES for name in named):
            raise UnreadableAnswerError
        found = dict.fromkeys(_CATEGORIES[name] for name in named)
        categories = tuple(category for category in found if category is not None)
        return GuardAnswer(rating if categories else Rating.SAFE, categories)
