"""Puts the service together, from the outside in."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from generation_service.backends.embedded.backend import EmbeddedBackend
from generation_service.backends.embedded.process import RenderPool
from generation_service.backends.openai_images.settings import open_image_service
from generation_service.counted_text import CountedText
from generation_service.inputs import InputFiles
from generation_service.intake import Intake
from generation_service.job_observing import ObservedJobs, QueueGauges
from generation_service.media.opening import open_library
from generation_service.media.patience import Patience
from generation_service.media.settings import media_options
from generation_service.offsite import read_offsite_levels
from generation_service.queue_opening import open_host, open_queue
from generation_service.servicer import GenerationServicer
from generation_service.text_opening import TextOptions, open_text_generator
from generation_service.work import LibraryKeeper
from generation_service.workers.comfyui_backend import ComfyUIBackend
from generation_service.workers.node_classes import allowed_classes
from generation_service.workers.opening import NO_CREW, make_crew
from servicekit.principals import Role
from servicekit.vitals import tell_free_bytes
from stellwerk.generation.v1 import generation_service_pb2, generation_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from generation_service.intake import Planner
    from generation_service.media.library import MediaLibrary
    from generation_service.queue.drivers import WorkerDriver
    from generation_service.servicer import TextAnswers
    from generation_service.settings import GenerationSettings
    from generation_service.workers.opening import Crew
    from servicekit.server import Owned, Register, ServiceNames

SERVICE_NAME = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name


def registration(settings: GenerationSettings) -> Register:
    """Give what `servicekit.server` needs to serve the generation service."""

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        if settings.role == "worker":
            await add_workers(settings, owned)
            return []
        text = await open_text_generator(_text_options(settings))
        owned.push_async_callback(text.close)
        return await add_generation(server, owned, settings, text)

    return register


async def add_generation(
    server: grpc.aio.Server, owned: Owned, settings: GenerationSettings, text: TextAnswers
) -> ServiceNames:
    """Add the servicer with everything behind it but the language models.

    Args:
        server: Gets the servicer.
        owned: Gets what must be closed.
        settings: Folder, limits, slots.
        text: Answers the text RPCs; closed by its owner.
    """
    library = await _open_library(settings, owned)
    patience = Patience(settings.media_store_seconds)
    inputs = InputFiles(library, patience)
    backends, crew = await _open_backends(settings, inputs, owned)
    tell_free_bytes(owned.meter, settings.data_dir)
    observer = ObservedJobs(owned.meter, owned.tracer)
    keeper = LibraryKeeper(library, patience)
    queue = await open_queue(settings, crew, keeper, observer, owned)
    looking = asyncio.create_task(
        QueueGauges(owned.meter).look(queue.jobs, queue.workforce), name="queue-gauges"
    )
    owned.callback(looking.cancel)
    intake = Intake(backends, queue.jobs, inputs, read_offsite_levels(settings.offsite_levels))
    counted = CountedText(text, owned.meter)
    servicer = GenerationServicer(counted, intake, queue.jobs, queue.workforce, library)
    generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    return [SERVICE_NAME]


async def add_workers(settings: GenerationSettings, owned: Owned) -> None:
    """Look after workers for the queue of other processes; there is nothing to be called here.

    Args:
        settings: Folder, limits, slots.
        owned: Gets what must be closed.
    """
    library = await _open_library(settings, owned)
    patience = Patience(settings.media_store_seconds)
    _, crew = await _open_backends(settings, InputFiles(library, patience), owned)
    await open_host(settings, crew, LibraryKeeper(library, patience), owned)


async def _open_library(settings: GenerationSettings, owned: Owned) -> MediaLibrary:
    media = media_options(settings, settings.data_dir, _machines(settings))
    return await open_library(media, owned)


async def _open_backends(
    settings: GenerationSettings, inputs: InputFiles, owned: Owned
) -> tuple[dict[str, Planner], Crew]:
    """What plans requests, and the workers of this process."""
    has_workers = settings.role != "api"
    renderers = RenderPool(max(1, settings.worker_slots), limit_seconds=settings.render_seconds)
    embedded = EmbeddedBackend(renderers, make_seed=_seed)
    owned.push_async_callback(embedded.close)
    if has_workers and settings.worker_slots:
        await embedded.start()
    comfyui = ComfyUIBackend(
        make_seed=_seed,
        allowed_classes=allowed_classes(settings, settings.models_file),
    )
    backends: dict[str, Planner] = {embedded.name: embedded, comfyui.name: comfyui}
    places: Sequence[WorkerDriver] = ()
    host = settings.host_name
    if opened := open_image_service(settings, host):
        images, places = opened
        owned.push_async_callback(images.close)
        backends[images.name] = images
    if not has_workers:
        return backends, NO_CREW
    return backends, make_crew(settings, embedded, inputs.read, host=host, others=places)


def _machines(settings: GenerationSettings) -> frozenset[Role]:
    """Who may read by hash: services; without any credentials they look like the local admin."""
    if settings.has_credentials:
        return frozenset({Role.SERVICE})
    return frozenset({Role.SERVICE, Role.ADMIN})


def _seed() -> int:
    return secrets.randbits(63)


def _text_options(settings: GenerationSettings) -> TextOptions:
    return TextOptions(
        models_file=settings.models_file,
        offsite=read_offsite_levels(settings.offsite_levels),
        profile=settings.models_profile,
        data_dir=settings.data_dir,
        ollama_url=settings.ollama_url,
        openai_base_url=settings.openai_base_url,
        openai_api_key=settings.openai_api_key,
        embedded_preload=settings.embedded_preload,
        embedded_model_path=settings.embedded_model_path,
    )
