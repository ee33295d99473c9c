"""Judges files of labelled texts: what `safety report` and `safety test` show.

Whether the rules are any good is a question about sets of texts, not about single ones, and an
honest answer has an interval: 0 of 20 blocked says much less than 0 of 2 000.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from safety_service.model import Decision, Direction, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from safety_service.model import Verdict
    from safety_service.text_check import TextChecker

HARMFUL = "harmful"
BENIGN = "benign"
_Z_95 = 1.959964
_Word = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]


class LabelledText(BaseModel):
    """One line of a file; what else it holds is not looked at.

    Attributes:
        text: The text.
        lang: Its language, empty when unknown.
        label: `harmful`, `benign` or empty.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: Annotated[str, StringConstraints(min_length=1)]
    lang: _Word = ""
    label: _Word = ""


class LabelledFileError(Exception):
    """A file of texts cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some texts, with the uncertainty that comes from their number.

    Attributes:
        count: The texts that are meant.
        total: All texts.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval after Wilson (1927); of nothing everything is possible."""
        if not self.total:
            return 0.0, 1.0
        n, p, z2 = self.total, self.value, _Z_95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class Judged:
    """A text with its verdict.

    Attributes:
        line: Its line in the file, from 1.
        row: The text and its label.
        verdict: The verdict.
        seconds: How long the check took.
    """

    line: int
    row: LabelledText
    verdict: Verdict
    seconds: float

    @property
    def as_labelled(self) -> bool:
        """Whether the verdict is what the label calls for; a text without label passes."""
        wanted = Decision.BLOCK if self.row.label == HARMFUL else Decision.ALLOW
        return self.verdict.decision is wanted


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of the texts of one file.

    Attributes:
        file: The file as it was named.
        blocked: The texts that were blocked.
        unavailable: The texts that could not be judged.
        by_label: The blocked texts of each label.
        by_layer: The texts in which each layer found something that blocks.
        latency_us: Median and 95th percentile of one check, microseconds.
    """

    file: str
    blocked: Share
    unavailable: Share
    by_label: dict[str, Share]
    by_layer: dict[int, Share]
    latency_us: tuple[float, float]


def files_in(path: Path) -> list[Path]:
    """The files that are meant: the file itself, or every `.jsonl` below a folder, by name."""
    return sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]


def read_rows(
    path: Path, left_out: Callable[[LabelledFileError], None] | None = None
) -> Iterator[tuple[int, LabelledText]]:
    """Read the texts of a file.

    Args:
        path: A file of JSON Lines `{text, lang, label}`; empty lines are skipped.
        left_out: Is told of every line that is no such object; None: the first one is an error.

    Yields:
        The line from 1, and what it holds, in order.

    Raises:
        LabelledFileError: The file cannot be read, or a line is no such object.
    """
    for number, line in _lines(path):
        try:
            row = _row(path, number, line)
        except LabelledFileError as exc:
            if left_out is None:
                raise
            left_out(exc)
        else:
            yield number, row


def judge_rows(
    rows: Iterable[tuple[int, LabelledText]], checker: TextChecker, level: Level
) -> Iterator[Judged]:
    """Judge texts as a person's input, in order."""
    for number, row in rows:
        started = time.perf_counter()
        verdict = checker.check(row.text, level, Direction.INPUT)
        yield Judged(number, row, verdict, time.perf_counter() - started)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except OSError as exc:
        raise LabelledFileError(f"{path}: cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise LabelledFileError(f"{path}: is no UTF-8 text") from exc


def _row(path: Path, number: int, line: str) -> LabelledText:
    try:
        return LabelledText.model_validate(json.loads(line))
    except json.JSONDecodeError as exc:
        raise LabelledFileError(f"{path}:{number}: is no JSON ({exc.msg})") from exc
    except (RecursionError, ValueError) as exc:
        if not isinstance(exc, ValidationError):
            raise LabelledFileError(f"{path}:{number}: is no such object") from exc
        field = ".".join(map(str, exc.errors()[0]["loc"])) or "the line"
        reason = exc.errors()[0]["msg"]
        raise LabelledFileError(f"{path}:{number}: {field}: {reason}") from exc


def summarise(file: str, judged: Sequence[Judged]) -> FileReport:
    """Count what became of the texts of one file."""
    decisions = Counter(one.verdict.decision for one in judged)
    layers = Counter(
        layer for one in judged for layer in {reason.layer for reason in one.verdict.reasons}
    )
    labels = sorted({one.row.label for one in judged})
    return FileReport(
        file=file,
        blocked=Share(decisions[Decision.BLOCK], len(judged)),
        unavailable=Share(decisions[Decision.UNAVAILABLE], len(judged)),
        by_label={label: _blocked(judged, label) for label in labels},
        by_layer={layer: Share(count, len(judged)) for layer, count in sorted(layers.items())},
        latency_us=_percentiles([one.seconds * 1e6 for one in judged]),
    )


def _blocked(judged: Sequence[Judged], label: str) -> Share:
    of_label = [one for one in judged if one.row.label == label]
    return Share(sum(o.verdict.decision is Decision.BLOCK for o in of_label), len(of_label))


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile; the value itself if there is but one."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
