"""What the generation service counts: jobs and their queue, workers, answers of models."""

from __future__ import annotations

from servicekit.metrics import LONG_SECONDS, SECONDS, counter, gauge, histogram

JOBS = counter(
    "stellwerk_jobs_total",
    "Jobs that ended, by backend, state and reason; the reason of a done one is empty.",
    "backend",
    "state",
    "reason",
)
JOB_WAIT_SECONDS = histogram(
    "stellwerk_job_wait_seconds",
    "How long jobs that ended had waited for a worker.",
    "backend",
    buckets=LONG_SECONDS,
)
JOB_RUN_SECONDS = histogram(
    "stellwerk_job_run_seconds",
    "How long workers had been busy with jobs that ended, all attempts together.",
    "backend",
    buckets=LONG_SECONDS,
)
ATTEMPTS = counter(
    "stellwerk_job_attempts_total", "Attempts that began, by the backend of the worker.", "backend"
)
QUEUE_JOBS = gauge("stellwerk_queue_jobs", "Jobs in the queue, waiting or running.", "state")
QUEUE_SESSIONS = gauge("stellwerk_queue_sessions", "Sessions that have jobs waiting.")
QUEUE_PAUSED = gauge("stellwerk_queue_paused", "1: somebody paused the queue, no job begins.")
QUEUE_ESTIMATE_SECONDS = gauge(
    "stellwerk_queue_estimate_seconds", "Until all that waits now has begun; absent: not known."
)
WORKERS = gauge("stellwerk_workers", "Workers by backend and state.", "backend", "state")
TEXT_SECONDS = histogram(
    "stellwerk_text_seconds",
    "Duration of answers of language models; `outcome` is answered, or the reason of the failure.",
    "role",
    "backend",
    "outcome",
    buckets=LONG_SECONDS,
)
TEXT_FIRST_SECONDS = histogram(
    "stellwerk_text_first_token_seconds",
    "From a request to the first token of the answer.",
    "role",
    "backend",
    buckets=SECONDS,
)
TEXT_TOKENS = counter(
    "stellwerk_text_tokens_total",
    "Tokens, as far as backends tell; `kind` is prompt or completion.",
    "backend",
    "kind",
)
TEXT_SWITCHES = counter(
    "stellwerk_text_switches_total",
    "Models that could not answer, so that another one was asked, by reason.",
    "role",
    "reason",
)

DEFINITIONS = (
    JOBS,
    JOB_WAIT_SECONDS,
    JOB_RUN_SECONDS,
    ATTEMPTS,
    QUEUE_JOBS,
    QUEUE_SESSIONS,
    QUEUE_PAUSED,
    QUEUE_ESTIMATE_SECONDS,
    WORKERS,
    TEXT_SECONDS,
    TEXT_FIRST_SECONDS,
    TEXT_TOKENS,
    TEXT_SWITCHES,
)
