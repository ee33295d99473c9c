"""What many executions tell together: sessions, statistics, patterns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracker_service.access import Audience
    from tracker_service.store.interface import ExecutionFilter, PageKey


class Dimension(StrEnum):
    """What statistics are split by."""

    DAY = "day"
    CONFIG = "config"
    MODEL = "model"
    """An execution with several models counts for each."""
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """Figures of the executions that have the same values in the chosen dimensions.

    Attributes:
        day: Days since 1970-01-01 UTC; None: not split by.
        config_name: Its config; None: not split by.
        model: Its model; None: not split by.
        level: Its safety level; None: not split by.
        execution_count: Executions.
        states: Executions by state.
        blocks: Executions in which something was blocked, by category.
        duration_p50_us: Half of the completed ones took no longer; None: none completed.
        duration_p95_us: 95 % of them took no longer.
        output_count: Delivered outputs.
        iteration_count: Passes of loops in stage 2.
    """

    day: int | None
    config_name: str | None
    model: str | None
    level: str | None
    execution_count: int
    states: Mapping[str, int]
    blocks: Mapping[str, int]
    duration_p50_us: int | None
    duration_p95_us: int | None
    output_count: int
    iteration_count: int


@dataclass(frozen=True, slots=True)
class Session:
    """A sitting.

    Attributes:
        session_id: Its name.
        group_id: The class of its latest execution.
        first_start_us: Start of its first execution.
        last_start_us: Start of its latest.
        execution_count: Executions.
        user_count: Different persons.
        states: Executions by state.
    """

    session_id: str
    group_id: str
    first_start_us: int
    last_start_us: int
    execution_count: int
    user_count: int
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of sessions, the one with the latest execution first.

    Attributes:
        sessions: The sessions.
        next: Where the next page begins; None: this was the last.
    """

    sessions: tuple[Session, ...]
    next: PageKey | None


@dataclass(frozen=True, slots=True)
class ConfigUsage:
    """How much a config is used.

    Attributes:
        config_name: The config.
        execution_count: Executions.
        session_count: Sittings that used it.
        completed_count: Executions that completed.
        last_start_us: Start of the latest.
    """

    config_name: str
    execution_count: int
    session_count: int
    completed_count: int
    last_start_us: int


@dataclass(frozen=True, slots=True)
class PromptChanges:
    """How a person's next input in a session differs from the one before.

    Attributes:
        pair_count: Neighbouring inputs that were compared.
        same_count: The input stayed as it was.
        longer_count: It got longer.
        shorter_count: It got shorter.
        kept_word_share: Mean share of the words that stayed, 0 to 1.
    """

    pair_count: int = 0
    same_count: int = 0
    longer_count: int = 0
    shorter_count: int = 0
    kept_word_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """How often two things come together.

    Attributes:
        first: The one.
        second: The other.
        count: Executions.
    """

    first: str
    second: str
    count: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """How people work.

    Attributes:
        prompt_changes: Input after input.
        next_configs: Which config follows which in a session.
        edits: Configs and the kinds of edits made in them.
        outputs: Configs and the kinds of outputs that they led to.
        abandoned: States and stages in which executions were left: interrupted or cancelled.
    """

    prompt_changes: PromptChanges
    next_configs: Sequence[Counted] = field(default_factory=tuple)
    edits: Sequence[Counted] = field(default_factory=tuple)
    outputs: Sequence[Counted] = field(default_factory=tuple)
    abandoned: Sequence[Counted] = field(default_factory=tuple)


NameKind = Literal["user", "session"]
"""Who or what a name is of."""


class Insights(Protocol):
    """Questions about many executions; each may raise UnavailableError, STORE_UNAVAILABLE."""

    async def index_changed(self, limit: int) -> int:
        """Prepare up to `limit` executions for being found; return how many there were."""

    async def statistics(
        self, wanted: ExecutionFilter, audience: Audience, dimensions: Sequence[Dimension]
    ) -> list[StatisticsRow]:
        """Return figures, split by dimensions, in their order.

        Raises:
            FailedPreconditionError: TOO_MANY_ROWS.
        """

    async def sessions(
        self, wanted: ExecutionFilter, audience: Audience, size: int, after: PageKey | None
    ) -> SessionPage:
        """Return the next `size` sessions with a matching execution."""

    async def config_usage(self, wanted: ExecutionFilter, audience: Audience) -> list[ConfigUsage]:
        """Return how much each config is used, the most used first."""

    async def patterns(self, wanted: ExecutionFilter, audience: Audience) -> Patterns:
        """Return how people work."""

    async def names(self, kind: NameKind) -> list[str]:
        """Return all names of a kind, in no order."""
