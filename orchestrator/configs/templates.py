"""Filling placeholders in one pass, so that text from a learner stays text.

A value is never looked at again: a learner who writes `{{CONTEXT}}` gets exactly these letters into
the prompt. `str.format` and template engines would read them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Names that a template may use. Languages are names for people, in the language of the template.
PLACEHOLDERS = frozenset(
    {
        "INPUT_TEXT",
        "PREVIOUS_OUTPUT",
        "CONTEXT",
        "LANGUAGE",
        "SOURCE_LANGUAGE",
        "TARGET_LANGUAGE",
        "ITERATION",
        "ITERATIONS",
        "OPTIMIZATION_INSTRUCTION",
    }
)
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\n]*?)\s*\}\}")
_SECONDARY_TEXT = re.compile(r"INPUT_TEXT_([2-9])")
_OWN_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,31}")


def placeholders_in(template: str) -> Iterator[tuple[str, int]]:
    """Yield each name between double braces with its offset in code points."""
    for match in _PLACEHOLDER.finditer(template):
        yield match.group(1), match.start()


def secondary_text_number(name: str) -> int | None:
    """Return 2 to 9 for `INPUT_TEXT_2` to `INPUT_TEXT_9`, the further texts of a run, else None."""
    match = _SECONDARY_TEXT.fullmatch(name)
    return int(match.group(1)) if match else None


def is_known_placeholder(name: str) -> bool:
    """Return whether a template may use this name."""
    return name in PLACEHOLDERS or secondary_text_number(name) is not None


def may_be_own_name(name: str) -> bool:
    """Return whether a chunk or a branch may give this name to what it finds out."""
    return _OWN_NAME.fullmatch(name) is not None and not is_known_placeholder(name)


def render(template: str, values: Mapping[str, str]) -> str:
    """Put values in place of `{{NAME}}`, in one pass.

    Args:
        template: From a config that was checked, so it uses known names only.
        values: By name. A known name without a value becomes empty, for instance `CONTEXT` where
            there is no rule; anything else between braces stays as it is.

    Returns:
        The text that a model is sent.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in values:
            return values[name]
        return "" if is_known_placeholder(name) else match.group(0)

    return _PLACEHOLDER.sub(value, template)
