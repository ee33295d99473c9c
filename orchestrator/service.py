"""Builds the orchestrator from its settings, from the outside in: neighbours, domain, servicer."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.catalogue import Catalogue
from orchestrator.clients import GenerationClient, SafetyClient
from orchestrator.configs import ConfigError, ConfigSet, shipped_configs_dir
from orchestrator.configs.imported import load_with_imported
from orchestrator.converters.words import LEVELS
from orchestrator.intake import MAX_TEXT_LENGTH, Intake
from orchestrator.languages import Languages
from orchestrator.launch import Launcher
from orchestrator.levels import laxest_level
from orchestrator.metrics import ExecutionMetrics, read_recorder, read_running
from orchestrator.model import SafetyLevel
from orchestrator.plans import Plans
from orchestrator.registry import Executions
from orchestrator.replicas import Replicas
from orchestrator.revival import Revival
from orchestrator.seeds import SessionSeeds
from orchestrator.servicer import OrchestratorServicer
from orchestrator.stages.run import Limits, Services
from orchestrator.tracker_client import TrackerClient
from orchestrator.translation import TranslationCache
from orchestrator.whereabouts import Whereabouts
from servicekit.certificates import Certificates
from servicekit.channel import open_neighbour
from servicekit.reloading import Reloading
from servicekit.settings import ConfigurationError, split_address
from servicekit.version import software_version
from servicekit.vitals import tell_free_bytes
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2
from stellwerk.orchestrator.v1.orchestrator_service_pb2_grpc import (
    add_OrchestratorServiceServicer_to_server,
)
from stellwerk_client.recorder import Limits as RecorderLimits
from stellwerk_client.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from orchestrator.ports import Records
    from orchestrator.settings import OrchestratorSettings
    from servicekit.principals import Principal
    from servicekit.server import Owned, Register, ServiceNames

SERVICE_NAME = pb2.DESCRIPTOR.services_by_name["OrchestratorService"].full_name
RECORDER_CLOSE_SECONDS = 1.0
WILDCARDS = ("0.0.0.0", "::", "")
CONFIGS_HEALTH = "configs"
"""What health checks ask for to see whether a change of the configs was refused."""


def registration(settings: OrchestratorSettings, records: Records | None = None) -> Register:
    """Return what adds the orchestrator to a server; `records` as in `build_servicer`."""

    async def register(server: grpc.aio.Server, owned: Owned) -> ServiceNames:
        servicer = await build_servicer(settings, owned, records)
        add_OrchestratorServiceServicer_to_server(servicer, server)
        return [SERVICE_NAME]

    return register


async def build_servicer(
    settings: OrchestratorSettings, owned: Owned, records: Records | None = None
) -> OrchestratorServicer:
    """Build everything behind the RPCs.

    Args:
        settings: Where the neighbours are and how much may run.
        owned: Closes what is opened here, last opened first.
        records: Where items go; None = through a spool to the tracker of the settings.

    Raises:
        ConfigurationError: The configs are faulty; its text names every fault.
    """
    configs = await asyncio.to_thread(_open_configs, settings)
    in_order = partial(_tell_health, owned)
    await owned.enter_async_context(configs.watching(settings.configs_poll_seconds, in_order))
    recorder = None
    if records is None:
        records = recorder = _open_recorder(settings, owned)
    near = await _neighbours(settings, owned)
    launcher = _launcher(settings, owned, near, records)
    seeds = SessionSeeds(near.tracker)
    deployment_max = SafetyLevel[settings.max_safety_level.upper()]
    intake = Intake(
        plans=Plans(lambda: configs.value, near.generation, max_outputs=settings.max_outputs),
        launcher=launcher,
        claims=near.tracker,
        seeds=seeds,
        deployment_max=deployment_max,
        default_language=settings.default_language,
    )
    revival = Revival(
        launcher=launcher,
        past=near.tracker,
        seeds=seeds,
        pending_items=lambda: recorder.stats().pending if recorder else 0,
        deployment_max=deployment_max,
    )
    replicas = _replicas(settings, owned, near.tracker)
    return OrchestratorServicer(
        intake,
        revival,
        Whereabouts(launcher.executions, replicas, revival),
        Catalogue(lambda: configs.value),
        near.tracker,
        _server_info(settings, configs),
    )


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """The other services."""

    generation: GenerationClient
    safety: SafetyClient
    tracker: TrackerClient


async def _neighbours(settings: OrchestratorSettings, owned: Owned) -> _Neighbours:
    return _Neighbours(
        GenerationClient(
            await _channel(settings, settings.generation_address, owned),
            text_seconds=settings.text_seconds,
            media_seconds=settings.generation_seconds,
            reattach_seconds=settings.reattach_seconds,
        ),
        SafetyClient(
            await _channel(settings, settings.safety_address, owned), settings.safety_seconds
        ),
        TrackerClient(
            await _channel(settings, settings.tracker_address, owned),
            limit_seconds=settings.tracker_seconds,
            owner_address=owner_address(settings),
        ),
    )


def _launcher(
    settings: OrchestratorSettings, owned: Owned, near: _Neighbours, records: Records
) -> Launcher:
    languages = Languages()
    owned.push_async_callback(languages.close)
    limits = _limits(settings)
    metrics = ExecutionMetrics(owned.meter)
    services = Services(
        near.safety, near.generation, languages, TranslationCache(), limits, metrics
    )
    executions = Executions(
        max_running=settings.max_executions,
        max_running_per_learner=settings.max_executions_per_learner,
        max_running_per_caller=settings.max_executions_per_caller,
        keep_finished_seconds=settings.keep_finished_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
    )
    executions.open()
    read_running(owned.meter, executions.counts)
    owned.before_stop(lambda: executions.drain(settings.finish_seconds))
    return Launcher(
        executions,
        services,
        records,
        software_version(),
        owner_address(settings),
        settings.edit_seconds,
    )


def _replicas(settings: OrchestratorSettings, owned: Owned, tracker: TrackerClient) -> Replicas:
    replicas = Replicas(
        tracker, own_address=owner_address(settings), connect=partial(open_neighbour, settings)
    )
    owned.push_async_callback(replicas.close)
    return replicas


def owner_address(settings: OrchestratorSettings) -> str:
    """Return the address on which other replicas reach this one.

    Two replicas must never have the same: each would take the other's executions for its own.
    """
    if settings.owner_address:
        return settings.owner_address
    host, port = split_address(settings.listen_address)
    return f"{socket.gethostname()}:{port}" if host in WILDCARDS else settings.listen_address


def _open_configs(settings: OrchestratorSettings) -> Reloading[ConfigSet]:
    folder, imported = settings.configs_dir or shipped_configs_dir(), settings.imported_configs_dir
    load = partial(load_with_imported, folder, imported)
    try:
        return Reloading("configs", load, (folder, imported), ConfigError)
    except ConfigError as exc:
        raise ConfigurationError(f"The configs in {folder} cannot be used:\n{exc}") from exc


async def _tell_health(owned: Owned, in_order: bool) -> None:
    await owned.report(CONFIGS_HEALTH, in_order=in_order)


def _open_recorder(settings: OrchestratorSettings, owned: Owned) -> Recorder:
    key = settings.service_key
    try:
        recorder = Recorder(
            settings.spool_dir,
            settings.tracker_address,
            credential=key.get_secret_value() if key else None,
            certificates=Certificates.of_service(settings),
            limits=RecorderLimits(quota_bytes=settings.spool_quota_bytes),
        )
    except OSError as exc:
        raise ConfigurationError(
            f"ORCHESTRATOR_SPOOL_DIR {settings.spool_dir} cannot be written to: {exc.strerror}."
        ) from exc

    async def close() -> None:
        await asyncio.to_thread(recorder.close, RECORDER_CLOSE_SECONDS)

    owned.push_async_callback(close)
    read_recorder(owned.meter, recorder.stats, settings.spool_quota_bytes)
    tell_free_bytes(owned.meter, settings.spool_dir)
    return recorder


async def _channel(settings: OrchestratorSettings, address: str, owned: Owned) -> grpc.aio.Channel:
    return await owned.enter_async_context(open_neighbour(settings, address))


def _limits(settings: OrchestratorSettings) -> Limits:
    return Limits(
        input_check_seconds=settings.input_check_seconds,
        interception_seconds=settings.interception_seconds,
        output_check_seconds=settings.output_check_seconds,
        generation_seconds=settings.generation_seconds,
        outputs_at_once=settings.outputs_at_once,
    )


def _server_info(
    settings: OrchestratorSettings, configs: Reloading[ConfigSet]
) -> Callable[[Principal], pb2.GetServerInfoResponse]:
    deployment_max = SafetyLevel[settings.max_safety_level.upper()]
    default = SafetyLevel[settings.default_safety_level.upper()]

    def info(principal: Principal) -> pb2.GetServerInfoResponse:
        laxest = laxest_level(principal, deployment_max)
        return pb2.GetServerInfoResponse(
            software_version=software_version(),
            safety_address=settings.safety_address,
            generation_address=settings.generation_callers_address or settings.generation_address,
            tracker_address=settings.tracker_callers_address or settings.tracker_address,
            default_safety_level=LEVELS[min(default, laxest)],
            max_safety_level=LEVELS[laxest],
            configs_digest=configs.value.digest,
            max_outputs=settings.max_outputs,
            max_text_length=MAX_TEXT_LENGTH,
        )

    return info
