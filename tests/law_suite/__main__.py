"""Prints the table of the § 86a suite: `python -m tests.law_suite [LEVEL] [--misses]`.

`--misses` lists the cases of the tuning part that came out wrong. There is no way to list those of
the frozen part: who looks at them can no longer measure with them.
"""

from __future__ import annotations

import sys

from safety_service.model import Level
from safety_service.policy import load_policy
from safety_service.text_check import TextChecker
from tests.law_suite.table import LAW_ALONE, run, table


def main(arguments: list[str]) -> None:
    """Print what was asked for."""
    levels = [argument for argument in arguments if not argument.startswith("-")]
    results = run(TextChecker(load_policy()), Level(levels[0]) if levels else LAW_ALONE)
    print(table(results))
    if "--misses" in arguments:
        for result in results:
            if not result.right and not result.case.frozen:
                case = result.case
                print(f"{case.use}\t{case.language}\t{case.disguise}\t{case.sign}\t{case.text}")


if __name__ == "__main__":
    main(sys.argv[1:])
