"""Judges files of texts on all cores: fifty thousand texts are the better part of a minute for one.

Every process loads the policy for itself, so a small file is judged here, where it is loaded.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from typing import TYPE_CHECKING

from safety_service.policy import load_policy
from safety_service.report import judge_rows, read_rows
from safety_service.text_check import TextChecker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from safety_service.model import Level
    from safety_service.report import Judged, LabelledFileError, LabelledText

    Row = tuple[int, LabelledText]

_ROWS_WORTH_A_PROCESS = 10_000  # less is judged sooner than another process is ready


class Jury:
    """Judges files at one level by one policy."""

    def __init__(
        self,
        policy_dir: Path,
        level: Level,
        *,
        cores: int | None = None,
        rows_worth_a_process: int = _ROWS_WORTH_A_PROCESS,
    ) -> None:
        """Use a policy.

        Args:
            policy_dir: The folder of the policy.
            level: For whom the texts must be fit.
            cores: Processes at most; None: one for each core that this one may use.
            rows_worth_a_process: Rows from which another process is started.

        Raises:
            PolicyError: The policy cannot be used.
        """
        self._policy_dir = policy_dir
        self._level = level
        self._cores = cores or _cores()
        self._rows_worth_a_process = rows_worth_a_process
        self._checker = TextChecker(load_policy(policy_dir))

    def judge(
        self, path: Path, left_out: Callable[[LabelledFileError], None] | None = None
    ) -> list[Judged]:
        """Judge every text of a file as a person's input; see `read_rows`."""
        rows = list(read_rows(path, left_out))
        hands = min(self._cores, 1 + len(rows) // self._rows_worth_a_process)
        if hands == 1:
            return list(judge_rows(rows, self._checker, self._level))
        with ProcessPoolExecutor(hands, mp_context=get_context("spawn")) as pool:
            parts = [
                pool.submit(_judge_part, self._policy_dir, self._level, rows[hand::hands])
                for hand in range(hands)
            ]
            judged = chain.from_iterable(part.result() for part in parts)
            return sorted(judged, key=lambda one: one.line)


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _judge_part(policy_dir: Path, level: Level, rows: Sequence[Row]) -> list[Judged]:
    """Judge some rows in a process of its own."""
    return list(judge_rows(rows, TextChecker(load_policy(policy_dir)), level))
