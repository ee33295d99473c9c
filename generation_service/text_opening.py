"""Opens the language models: reads the models file and builds what it and the settings name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from generation_service.offsite import OffsitePolicy
from generation_service.roles import TextGenerator
from generation_service.text.embedded.backend import EmbeddedBackend
from generation_service.text.embedded.library import Library
from generation_service.text.embedded.process import ModelProcess
from generation_service.text.embedded.prompts import PromptWriter
from generation_service.text.embedded.weights import MODEL_NAME, own_weights, shipped_weights
from generation_service.text.http_backend import HttpTextBackend, make_client
from generation_service.text.interface import PromptForm
from generation_service.text.models_file import (
    ModelsFileError,
    RoleModels,
    checked_url,
    read_models_file,
)
from generation_service.text.ollama import OllamaDialect, OllamaRawDialect
from generation_service.text.ollama_preload import preload
from generation_service.text.openai import OpenAIDialect, OpenAIRawDialect
from generation_service.text.openai_moderation import OpenAIModerationDialect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from generation_service.text.http_backend import Dialect
    from generation_service.text.interface import TextBackend
    from generation_service.text.models_file import Provider


OLLAMA_FORMS: dict[PromptForm, Callable[[], Dialect]] = {PromptForm.RAW: OllamaRawDialect}
OPENAI_FORMS: dict[PromptForm, Callable[[], Dialect]] = {
    PromptForm.RAW: OpenAIRawDialect,
    PromptForm.MODERATION: OpenAIModerationDialect,
}


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
        offsite: Whose texts may leave the site (GENERATION_OFFSITE_LEVELS).
        environment: Where the variables that the file names as keys are looked up.
    """

    models_file: Path
    profile: str
    data_dir: Path
    offsite: OffsitePolicy = OffsitePolicy(())  # noqa: RUF009 - it never changes
    ollama_url: str = ""
    openai_base_url: str = ""
    openai_api_key: SecretStr | None = None
    embedded_preload: bool = True
    embedded_model_path: Path | None = None
    environment: Mapping[str, str] | None = None


async def open_text_generator(options: TextOptions) -> TextGenerator:
    """Read the models file and build the backends; fast, since weights load in the background.

    Args:
        options: See the class.

    Returns:
        The generator; the caller closes it.

    Raises:
        ModelsFileError: The file is faulty; its text names every fault with its field.
    """
    file = read_models_file(options.models_file)
    profile = options.profile or file.default_profile
    if profile not in file.profiles:
        known = ", ".join(sorted(file.profiles))
        raise ModelsFileError(
            options.models_file, [f"there is no profile {profile!r}, only {known}."]
        )
    if faults := list(_url_faults(options)):
        raise ModelsFileError(options.models_file, faults)
    own_name = options.embedded_model_path.stem if options.embedded_model_path else MODEL_NAME
    roles: dict[str, RoleModels] = {
        role: _with_own_weights(models, own_name) for role, models in file.profiles[profile].items()
    }
    wanted = [m for r in roles.values() for m in (r.model, *r.fallbacks)]
    backends: dict[str, TextBackend] = {
        name: _open_backend(name, provider, options, own_name, _models_of(name, wanted))
        for name, provider in file.providers.items()
    }
    return TextGenerator(profile, roles, backends, options.offsite)


def _models_of(provider: str, models: list[str]) -> list[str]:
    """The models of one provider, without its name."""
    return [m.partition("/")[2] for m in models if m.startswith(f"{provider}/")]


def _url_faults(options: TextOptions) -> Iterator[str]:
    """Tell what is wrong with the addresses that stand in for the file's."""
    urls = {
        "GENERATION_OLLAMA_URL": options.ollama_url,
        "GENERATION_OPENAI_BASE_URL": options.openai_base_url,
    }
    for name, url in urls.items():
        if url:
            try:
                checked_url(url)
            except ValueError as exc:
                yield f"{name}, which stands in for it: {exc}."


def _with_own_weights(models: RoleModels, name: str) -> RoleModels:
    """Name the embedded model by the file that it really is."""
    embedded = f"embedded/{name}"
    return RoleModels(
        model=embedded if models.model.startswith("embedded/") else models.model,
        fallbacks=tuple(
            embedded if model.startswith("embedded/") else model for model in models.fallbacks
        ),
        guard=models.guard,
    )


def _open_backend(
    name: str, provider: Provider, options: TextOptions, own_name: str, wanted: list[str]
) -> TextBackend:
    """Build one backend from the file, with what the settings say instead."""
    limits = provider.limits
    if name == "embedded":
        find = (
            partial(own_weights, options.embedded_model_path)
            if options.embedded_model_path
            else partial(shipped_weights, options.data_dir / "models")
        )
        process = ModelProcess(find, limits)
        process.open(start=options.embedded_preload and bool(wanted))
        return EmbeddedBackend(process, PromptWriter(Library.load()), own_name, limits)
    override = options.ollama_url if name == "ollama" else options.openai_base_url
    client = make_client(
        override or provider.base_url or "", limits, api_key=_key(name, provider, options)
    )
    dialect: Dialect = OllamaDialect() if name == "ollama" else OpenAIDialect()
    backend = HttpTextBackend(
        dialect,
        client,
        limits,
        leaves_site=provider.leaves_site,
        terms=provider.models,
        forms=OLLAMA_FORMS if name == "ollama" else OPENAI_FORMS,
    )
    if provider.preload_gib is not None and wanted:
        memory_bytes = provider.preload_gib * 2**30
        backend.warm_up(preload(client, wanted, memory_bytes, limits.first_token_seconds))
    return backend


def _key(name: str, provider: Provider, options: TextOptions) -> str:
    """The key of a provider: from the settings, else from the variable that the file names."""
    if name == "openai" and options.openai_api_key is not None:
        return options.openai_api_key.get_secret_value()
    environment = os.environ if options.environment is None else options.environment
    return environment.get(provider.key_env, "") if provider.key_env else ""
