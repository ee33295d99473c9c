"""Opens the queue that the settings name, with the workers of this process behind it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from generation_service.queue.journal import JobJournal
from generation_service.queue.local import LocalJobQueue
from generation_service.queue.pool import WorkerPool
from generation_service.workers.opening import identify
from generation_service.workers.settings import health_limits, queue_limits
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from generation_service.queue.interface import JobQueue
    from generation_service.queue.jetstream.deployment import Deployment
    from generation_service.queue.keeping import Keeper
    from generation_service.queue.observer import JobObserver
    from generation_service.queue.workforce import Workforce
    from generation_service.settings import GenerationSettings
    from generation_service.workers.opening import Crew
    from servicekit.server import Owned


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class OpenQueue:
    """A queue that runs.

    Attributes:
        jobs: The queue.
        workforce: Its workers.
    """

    jobs: JobQueue
    workforce: Workforce


async def open_queue(
    settings: GenerationSettings, crew: Crew, keeper: Keeper, observer: JobObserver, owned: Owned
) -> OpenQueue:
    """Open the queue.

    Args:
        settings: Which queue, which role.
        crew: The workers of this process.
        keeper: Stores what they make.
        observer: Counts and traces jobs.
        owned: Gets what must be closed.

    Raises:
        ConfigurationError: An extra is not installed, or the server is not there.
    """
    if settings.queue == "local":
        return await _open_local(settings, crew, keeper, observer, owned)
    deployment = await _open_deployment(settings, owned, observer)
    if settings.role == "all":
        await _take_up(deployment, settings, crew, keeper, owned)
    queue = await owned.enter_async_context(deployment.replica())
    owned.before_stop(queue.stop_watching)
    return OpenQueue(queue, queue)


async def open_host(settings: GenerationSettings, crew: Crew, keeper: Keeper, owned: Owned) -> None:
    """Offer the workers of this process to the queue of others.

    Args:
        settings: Where the others are found.
        crew: The workers.
        keeper: Stores what they make.
        owned: Gets what must be closed.

    Raises:
        ConfigurationError: An extra is not installed, or the server is not there.
    """
    deployment = await _open_deployment(settings, owned)
    await _take_up(deployment, settings, crew, keeper, owned)


async def _open_local(
    settings: GenerationSettings, crew: Crew, keeper: Keeper, observer: JobObserver, owned: Owned
) -> OpenQueue:
    limits = queue_limits(settings)
    journal = JobJournal(settings.data_dir / "jobs.sqlite3", remembered=limits.remembered)
    owned.push_async_callback(journal.close)
    pool = WorkerPool(
        crew.drivers, crew.connect, journal, health_limits(settings), built_in=crew.built_in
    )
    queue = LocalJobQueue(pool, keeper, journal, limits, observer)
    await owned.enter_async_context(queue)
    owned.before_stop(queue.stop_watching)
    return OpenQueue(queue, pool)


async def _open_deployment(
    settings: GenerationSettings, owned: Owned, observer: JobObserver | None = None
) -> Deployment:
    if find_spec("nats") is None:
        raise ConfigurationError(
            "GENERATION_QUEUE=jetstream needs the extra nats: pip install 'stellwerk[nats]'."
        )
    if settings.media_database_url is None:
        log.warning("media_ledger_in_folder", hint="All processes must share this DATA_DIR.")
    # Only here: the library comes with the extra.
    from generation_service.queue.jetstream.access import NatsOptions
    from generation_service.queue.jetstream.deployment import open_deployment
    from generation_service.queue.jetstream.leader import Rules
    from generation_service.queue.jetstream.pace import Pace

    pace = Pace(silence=settings.worker_silence_seconds, lease=settings.queue_lease_seconds)
    rules = Rules(queue_limits(settings), health_limits(settings), pace, identify, observer)
    options = NatsOptions(
        url=settings.nats_url,
        prefix=settings.nats_prefix,
        credentials=settings.nats_credentials,
        authority=settings.nats_authority,
        certificate=settings.nats_certificate,
        key=settings.nats_key,
        tls_first=settings.nats_tls_first,
        replicas=settings.nats_replicas,
    )
    return await owned.enter_async_context(open_deployment(options, rules, _end_process))


def _end_process() -> None:
    """Stop as if asked to: who starts us again gives us what NATS wants to see today."""
    signal.raise_signal(signal.SIGTERM)


async def _take_up(
    deployment: Deployment,
    settings: GenerationSettings,
    crew: Crew,
    keeper: Keeper,
    owned: Owned,
) -> None:
    host = await owned.enter_async_context(deployment.host(crew, keeper))
    owned.before_stop(lambda: host.drain(settings.worker_drain_seconds))
