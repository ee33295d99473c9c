"""Which of our roles the predecessor's model names mean; here a config never fixes a model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.configs.predecessor.reports import Notes

_ROLES = {
    "STAGE1_TEXT_MODEL": "translation",
    "STAGE2_INTERCEPTION_MODEL": "interception",
    "STAGE2_OPTIMIZATION_MODEL": "optimization",
    "STAGE3_MODEL": "translation",
    "SAFETY_MODEL": "text_guard",
    "CODING_MODEL": "coding",
}
# For constants that the description does not list: the first word that occurs decides.
_WORDS = (
    ("VISION", "image_analysis"),
    ("IMAGE", "image_analysis"),
    ("SAFETY", "text_guard"),
    ("GUARD", "text_guard"),
    ("COD", "coding"),
    ("OPTIMI", "optimization"),
    ("TRANSLAT", "translation"),
    ("SUMMAR", "summary"),
)
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_PROVIDERS = {"local": "ollama", "ollama": "ollama", "openrouter": "openai", "openai": "openai"}
DEFAULT_ROLE = "interception"


def role_and_model(value: Any, notes: Notes) -> tuple[str, str | None]:
    """Return the role, and a model of its own as `<backend>/<model>` where one is named.

    Args:
        value: What the chunk says: a constant's name, a model's name, or nothing.
        notes: Told what was guessed.
    """
    if not isinstance(value, str) or not value.strip():
        return DEFAULT_ROLE, None
    name = value.strip().strip("{}").strip()
    if name in _ROLES:
        return _ROLES[name], None
    if _CONSTANT.fullmatch(name):
        role = next((role for word, role in _WORDS if word in name), DEFAULT_ROLE)
        notes.add(f"model: {name} is taken for the role {role}.")
        return role, None
    provider, slash, model = name.partition("/")
    if slash and provider in _PROVIDERS and model and " " not in model:
        return DEFAULT_ROLE, f"{_PROVIDERS[provider]}/{model}"
    notes.add(f"model: {name[:80]} is left out; the role {DEFAULT_ROLE} says which model is asked.")
    return DEFAULT_ROLE, None
