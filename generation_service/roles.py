"""Roles: who asks names a role, this module finds the model and a stand-in when it fails.

Keeping the choice in one place means that no config and no other service names a model, and that
every switch to a fallback is seen and recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from generation_service.text.interface import TextDelta, TextRequest, TextResult


@dataclass(frozen=True)
class TextOptions:
    """What the service's settings say about language models.

    Attributes:
        models_file: `configs/models.json`.
        profile: The profile in force (GENERATION_MODELS_PROFILE); empty: the file's default.
        data_dir: The service's folder (GENERATION_DATA_DIR); weights go under `models/`.
        ollama_url: Instead of the file's Ollama (GENERATION_OLLAMA_URL); empty: the file's.
        openai_base_url: Instead of the file's (GENERATION_OPENAI_BASE_URL); empty: the file's.
        openai_api_key: Instead of the variable the file names (GENERATION_OPENAI_API_KEY).
        embedded_preload: Load the embedded model at start-up, in the background, instead of with
            the first request (GENERATION_EMBEDDED_PRELOAD).
        embedded_model_path: Another GGUF than the shipped one (GENERATION_EMBEDDED_MODEL_PATH).
        environment: Where the variables that the file names as keys are looked up.
    """

    models_file: Path
    profile: str
    data_dir: Path
    ollama_url: str = ""
    openai_base_url: str = ""
    openai_api_key: SecretStr | None = None
    embedded_preload: bool = True
    embedded_model_path: Path | None = None
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ResolvedRole:
    """What a role means now.

    Attributes:
        model: The model asked first, `<backend>/<model>`.
        backend: Its backend.
        fallback_models: Models asked in turn when the first cannot answer.
        leaves_site: Whether texts leave the site with the first model.
        profile: The profile in force.
        follows_instructions: Whether the first model answers messages.
    """

    model: str
    backend: str
    fallback_models: tuple[str, ...]
    leaves_site: bool
    profile: str
    follows_instructions: bool


class TextGenerator:
    """Answers requests by role. Open it with `open_text_generator`."""

    def resolve(self, role: str) -> ResolvedRole:
        """Tell which model a role means now.

        Args:
            role: Such as `interception`.

        Raises:
            RoleNotFoundError: The profile has no model for it.
        """
        raise NotImplementedError

    def generate(self, request: TextRequest) -> AsyncGenerator[TextDelta | TextResult, None]:
        """Ask the role's model, then its fallbacks: deltas, then one result.

        The request is checked first (all violations in one InvalidArgumentError, fields named as
        in GenerateTextRequest), so the caller need not. Close the iterator (`aclosing`) to leave.

        Args:
            request: What to ask.

        Raises:
            InvalidArgumentError: NO_MESSAGES, ROLE_MISSING, MESSAGE_ROLE_INVALID, TEXT_TOO_LONG
                or PARAMETER_OUT_OF_RANGE.
            RoleNotFoundError: The profile has no model for the role.
            ServiceError: The first model's error, when no model answered: see `TextBackend`.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End the child process and close the connections."""
        raise NotImplementedError


async def open_text_generator(options: TextOptions) -> TextGenerator:
    """Read the models file and build the backends; fast, since weights load in the background.

    Args:
        options: See the class.

    Returns:
        The generator; the caller closes it.

    Raises:
        ModelsFileError: The file is faulty; its text names every fault with its field.
    """
    raise NotImplementedError
