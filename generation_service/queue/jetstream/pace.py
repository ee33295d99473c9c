"""How fast the processes of a queue look after one another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Times in seconds.

    Attributes:
        beat: Between two signs of life.
        silence: Without a sign of life for so long a worker or replica counts as away.
        lease: How long a leader or the holder of a worker may be silent before another takes over.
        answer: How long one question waits for its answer before it is asked again.
        poll: How long an attempt may say nothing before it is asked how it stands.
        patience: How long a caller waits while no leader answers.
        forget: A worker that has been away for so long is no longer known.
    """

    beat: float = 1.0
    silence: float = 4.0
    lease: float = 5.0
    answer: float = 2.0
    poll: float = 2.0
    patience: float = 20.0
    forget: float = 600.0
