"""Settings of the generation service, read from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from generation_service.backends.openai_images.settings import ImageServiceSettings
from generation_service.media.settings import MediaSettings
from generation_service.queue.settings import QueueSettings
from generation_service.workers.settings import WorkerSettings
from servicekit.settings import Address


class GenerationSettings(QueueSettings, WorkerSettings, ImageServiceSettings, MediaSettings):
    """What the generation service can be told; variables begin with `GENERATION_`."""

    model_config = SettingsConfigDict(env_prefix="GENERATION_", frozen=True)

    listen_address: Address = Field(
        "127.0.0.1:50053",
        description="`host:port` to serve on. Anything but loopback needs `API_KEYS_FILE`, "
        "`SERVICE_KEY` or `INSECURE`. Port 0 lets the system choose.",
    )
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the media store and its ledger (`media/`, `media.sqlite3`).",
    )
    models_file: Path = Field(
        Path("configs/models.json"), description="Which model each role means, per profile."
    )
    models_profile: str = Field(
        "",
        description="Profile of the models file: `embedded`, `local` or `cloud`. Empty: the "
        "file's default.",
    )
    ollama_url: str = Field("", description="Ollama's address. Empty: the models file's.")
    openai_base_url: str = Field(
        "", description="Base URL of an OpenAI-compatible server. Empty: the models file's."
    )
    openai_api_key: SecretStr | None = Field(
        None, description="Its key. Unset: from the variable that the models file names."
    )
    offsite_levels: str = Field(
        "adult,off",
        description="Safety levels whose texts may go to models outside the site, "
        "`youth,adult,off`; the others use models on the site or fail. Empty: none may.",
    )
    embedded_preload: bool = Field(
        True, description="Load the embedded language model at the start, in the background."
    )
    embedded_model_path: Path | None = Field(
        None, description="Another GGUF file than the shipped one."
    )
