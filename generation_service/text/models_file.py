"""`configs/models.json`: which models mean which role in which profile, and where they live.

The file is edited by people, so it is read strictly: a misspelt key or a fallback on a provider
that is not there is a fault at the start, and all faults are told at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from generation_service.text.costs import Price
from generation_service.text.limits import ProviderLimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Role = Literal[
    "translation",
    "interception",
    "optimization",
    "coding",
    "summary",
    "text_guard",
    "image_guard",
    "image_analysis",
]
"""What models are needed for; a profile may leave roles out."""

GuardKind = Literal["llama-guard-3", "llama-guard-4", "qwen3guard", "judge", "openai-moderation"]
"""How a guard's model is asked and its answer read; safety_service/guards has one reader each."""

GUARD_ROLES = ("text_guard", "image_guard")

ProviderName = Literal["embedded", "ollama", "openai"]
"""The backends that this build has."""


def checked_url(url: str) -> str:
    """Return an `http` or `https` URL as it is.

    Raises:
        ValueError: It is another thing, or carries credentials, which belong into a variable.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an http or https URL, such as http://127.0.0.1:11434")
    if parts.username or parts.password:
        raise ValueError("a key does not belong into the URL; name its variable in key_env")
    return url


class ModelsFileError(Exception):
    """The file cannot be used.

    Attributes:
        faults: What is wrong, one sentence each, with the field.
    """

    def __init__(self, path: Path, faults: list[str]) -> None:
        """Take the file and all its faults."""
        super().__init__("\n  ".join([f"Faulty models file {path}:", *faults]))
        self.faults = faults


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ModelTerms(_Strict):
    """What holds for one model of a provider."""

    concurrent: int | None = Field(
        None, ge=1, le=256, description="Requests at once. Unset: the provider's limit."
    )
    price: Price | None = Field(
        None, description="Asked by the provider; where its server tells the cost, that counts."
    )


class Provider(_Strict):
    """Where models live and what may be asked of them."""

    base_url: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None, description="Where the server's paths begin. The embedded provider has none."
    )
    key_env: str | None = Field(
        None,
        pattern="^[A-Z][A-Z0-9_]*$",
        description="Environment variable that holds the key. Never the key itself.",
    )
    leaves_site: bool = Field(description="Whether texts leave the site with this provider.")
    limits: ProviderLimits = Field(
        default_factory=ProviderLimits, description="For each of its models."
    )
    models: dict[str, ModelTerms] = Field(
        default_factory=dict, description="What holds for single models, by name."
    )
    preload_gib: float | None = Field(
        None,
        gt=0,
        description="Memory of Ollama's GPUs. With it the profile's models are loaded at the "
        "start, as long as they fit together. Unset: with their first request.",
    )


ModelName = Annotated[
    str, StringConstraints(pattern=r"^(embedded|ollama|openai)/\S+$", max_length=200)
]
"""`<provider>/<model>`; the model's own name may contain slashes."""


class Guard(_Strict):
    """What whoever asks a guard must know of its model."""

    kind: GuardKind = Field(description="Whose template it has, and how its answers read.")
    server_template: bool = Field(
        False,
        description="Let the model's server apply the template. Only for servers that take no raw "
        "prompts and are known to have the model's own.",
    )


class RoleModels(_Strict):
    """The models of one role, in the order in which they are asked."""

    model: ModelName = Field(description="Asked first.")
    fallbacks: tuple[ModelName, ...] = Field(
        (), max_length=4, description="Asked in turn when the ones before cannot answer."
    )
    guard: Guard | None = Field(None, description="Of the guards' roles, and only of these.")


class ModelsFile(_Strict):
    """The whole file."""

    json_schema: str | None = Field(None, alias="$schema", description="For editors.")
    default_profile: str = Field(description="In force unless the settings name another.")
    providers: dict[ProviderName, Provider] = Field(description="By the first part of a model.")
    profiles: dict[str, dict[Role, RoleModels]] = Field(
        description="Roles by profile. A role that is left out is not available."
    )

    def faults(self) -> Iterator[str]:
        """Tell what does not fit together."""
        if self.default_profile not in self.profiles:
            yield f"default_profile: there is no profile {self.default_profile!r}."
        for name in get_args(ProviderName):
            provider = self.providers.get(name)
            if provider and name != "embedded" and provider.base_url is None:
                yield f"providers.{name}.base_url: missing."
            if provider and name != "ollama" and provider.preload_gib is not None:
                yield f"providers.{name}.preload_gib: only Ollama loads models ahead."
        for profile, roles in self.profiles.items():
            for role, models in roles.items():
                yield from _guard_faults(f"profiles.{profile}.{role}", role, models)
                yield from _summary_faults(f"profiles.{profile}.{role}", role, models)
                for model in (models.model, *models.fallbacks):
                    if model.partition("/")[0] not in self.providers:
                        yield f"profiles.{profile}.{role}: {model!r} names no provider of the file."


def _guard_faults(where: str, role: str, models: RoleModels) -> Iterator[str]:
    """A guard's answer can only be read by who knows its model, so there is one and no other."""
    if role not in GUARD_ROLES:
        if models.guard is not None:
            yield f"{where}.guard: only {' and '.join(GUARD_ROLES)} have one."
        return
    if models.guard is None:
        yield f"{where}.guard: missing; say of which kind the model is."
    if models.fallbacks:
        yield f"{where}.fallbacks: a guard has none, since another model answers otherwise."
    if models.model.startswith("embedded/"):
        yield f"{where}.model: the embedded model is no guard."


def _summary_faults(where: str, role: str, models: RoleModels) -> Iterator[str]:
    """The embedded model goes on with a pattern, and tells of data that there are not.

    Measured by bench/summaries.py; the tracker extracts a summary where no model is meant for it.
    """
    if role == "summary":
        for model in (models.model, *models.fallbacks):
            if model.startswith("embedded/"):
                yield f"{where}: the embedded model writes no summaries; leave the role out."


def read_models_file(path: Path) -> ModelsFile:
    """Read and check the file.

    Args:
        path: `configs/models.json` or one like it.

    Returns:
        Its content.

    Raises:
        ModelsFileError: It is missing, no JSON, or wrong somewhere; with every fault.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ModelsFileError(path, [f"cannot be read: {exc.strerror}."]) from exc
    except UnicodeDecodeError as exc:
        raise ModelsFileError(path, ["is not in UTF-8."]) from exc
    except json.JSONDecodeError as exc:
        raise ModelsFileError(path, [f"line {exc.lineno}: {exc.msg}."]) from exc
    try:
        models = ModelsFile.model_validate(content)
    except ValidationError as exc:
        raise ModelsFileError(path, [_fault(error) for error in _errors(exc)]) from exc
    if faults := list(models.faults()):
        raise ModelsFileError(path, faults)
    return models


def _errors(exc: ValidationError) -> list[tuple[str, str]]:
    details = exc.errors(include_url=False, include_input=False)
    return [(".".join(str(part) for part in d["loc"]), d["msg"]) for d in details]


def _fault(error: tuple[str, str]) -> str:
    field, message = error
    return f"{field or 'the whole file'}: {message.removeprefix('Value error, ')}."
