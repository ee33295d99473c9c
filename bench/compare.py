"""What got slower: `python -m bench.compare BEFORE.json AFTER.json`.

Where a figure has a reference, its ratio to that is compared, since the reference was measured in
the same run: a slower machine is no slower program. Others are compared as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.figures import Figure, told
from bench.report import Outcome, read_json, table

WORTH_TELLING = 0.15
"""Smaller changes are within what two runs of the same program differ by."""


def compared(before: Figure, after: Figure) -> tuple[str, float]:
    """Return what is compared and how much worse it got, as a share; negative: better."""
    by_ratio = bool(before.reference and after.reference)
    old, new = (before.ratio, after.ratio) if by_ratio else (before.ours, after.ours)
    if not old or not new:
        return "ours", 0.0
    return "ratio" if by_ratio else "ours", (old / new if after.more_is_better else new / old) - 1


def rows(before: dict[str, Outcome], after: dict[str, Outcome]) -> list[tuple[str, ...]]:
    """Return a row per figure that is in both, the one that got worst first."""
    found = []
    for bench, outcome in after.items():
        old = {each.name: each for each in before[bench].figures} if bench in before else {}
        for figure in outcome.figures:
            if figure.name not in old:
                continue
            was = old[figure.name]
            what, worse = compared(was, figure)
            word = "slower" if worse > WORTH_TELLING else "faster" if worse < -WORTH_TELLING else ""
            values = f"{told(was.ours)} {figure.unit}", f"{told(figure.ours)} {figure.unit}"
            found.append(
                (worse, (f"[{bench}] {figure.name}", *values, f"{worse:+.0%}", what, word))
            )
    return [row for _, row in sorted(found, reverse=True)]


def main() -> None:
    """Print the table; figures never gate, so the exit code is 0 whatever got slower."""
    if len(sys.argv) != 3:
        sys.exit("Usage: python -m bench.compare BEFORE.json AFTER.json")
    before, after = (read_json(Path(name)) for name in sys.argv[1:])
    print(table(("figure", "before", "after", "worse by", "of", ""), rows(before, after)))
    for name, outcome in after.items():
        if outcome.failed:
            print(f"[{name}] failed: {outcome.failed}")


if __name__ == "__main__":
    main()
