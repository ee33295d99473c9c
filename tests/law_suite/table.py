"""Runs the § 86a suite and counts: what share of the cases came out right, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import Decision, Direction, Level
from safety_service.report import Share
from tests.law_suite.cases import GLORIFY, HOMONYM, LANGUAGES, USES, Case, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from safety_service.text_check import TextChecker

LAW_ALONE = Level.OFF  # the level at which nothing but the law is checked
STRICTEST = Level.KIDS


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case.

    Attributes:
        case: The case.
        right: Whether it was blocked or passed as it must be.
    """

    case: Case
    right: bool


def run(checker: TextChecker, level: Level, chosen: Iterable[Case] | None = None) -> list[Result]:
    """Judge the chosen cases at a level, as a person's input; None: all of them."""
    return [
        Result(case, (_blocks(checker, case.text, level)) is case.must_block)
        for case in (cases() if chosen is None else chosen)
    ]


def _blocks(checker: TextChecker, text: str, level: Level) -> bool:
    return checker.check(text, level, Direction.INPUT).decision is not Decision.ALLOW


def share(results: Sequence[Result], wanted: Callable[[Case], bool]) -> Share:
    """The share of right results among the cases that are wanted."""
    chosen = [result for result in results if wanted(result.case)]
    return Share(sum(result.right for result in chosen), len(chosen))


def is_lawful(case: Case) -> bool:
    """Whether it is a lawful use of a sign, no homonym."""
    return case.use not in (GLORIFY, HOMONYM)


def table(results: Sequence[Result]) -> str:
    """Show the shares: use by disguise and language, for either part, with 95 % intervals."""
    head = f"{'use':9}{'disguise':18}"
    for part in ("tuning", "frozen"):
        head += "".join(f"{f'{part} {language}':>14}" for language in LANGUAGES)
        head += f"{part:>14}  {'95 % interval':15}"
    return "\n".join([head, *_rows(results), "", *_totals(results)])


def _rows(results: Sequence[Result]) -> Iterator[str]:
    for use in USES:
        names = dict.fromkeys(r.case.disguise for r in results if r.case.use == use)
        for disguise in (*sorted(names), None):
            chosen = [
                r for r in results if r.case.use == use and disguise in (r.case.disguise, None)
            ]
            yield (
                f"{use:9}{disguise or 'all':18}"
                + _cells(chosen, frozen=False)
                + _cells(chosen, frozen=True)
            )


def _cells(results: Sequence[Result], *, frozen: bool) -> str:
    part = [result for result in results if result.case.frozen is frozen]
    cells = "".join(f"{_count(part, language):>14}" for language in LANGUAGES)
    return cells + f"{_count(part):>14}  {_interval(share(part, lambda _: True)):15}"


def _count(results: Sequence[Result], language: str | None = None) -> str:
    found = share(results, lambda case: language in (case.language, None))
    return f"{found.count}/{found.total}" if found.total else "–"


def _totals(results: Sequence[Result]) -> Iterator[str]:
    for frozen in (False, True):
        for name, wanted in (
            ("glorifying uses blocked", lambda case: case.must_block),
            ("lawful uses passed", is_lawful),
            ("homonyms passed", lambda case: case.use == HOMONYM),
        ):
            found = share([r for r in results if r.case.frozen is frozen], wanted)
            yield (
                f"{'frozen' if frozen else 'tuning'}: {name:24} {found.count}/{found.total}"
                f" = {found.value:.2%}, {_interval(found)}"
            )


def _interval(found: Share) -> str:
    low, high = found.interval
    return f"{low:.1%}–{high:.1%}" if found.total else "–"
