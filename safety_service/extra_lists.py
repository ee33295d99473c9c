"""Lists that a deployment adds to the policy: the nicknames of a school, the words of the week.

They only add. There is no file here by which an entry could be excused or taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_service.model import Category

if TYPE_CHECKING:
    from pathlib import Path

_LAW_FOLDER = "law"
MAX_FILES = 200


def read_extra_lists(folder: Path) -> tuple[list[tuple[str, Category, bool]], list[str]]:
    """Find the lists of a folder: `<category>.<name>.tsv`, in `law/` those for every level.

    Args:
        folder: The folder.

    Returns:
        Path below the folder, category and whether it is law, for each list in order; and faults,
        one sentence each.
    """
    if not folder.is_dir():
        return [], [f"{folder.name}: the folder of extra lists is not there"]
    paths = sorted((*folder.glob("*.tsv"), *folder.glob(f"{_LAW_FOLDER}/*.tsv")))
    if len(paths) > MAX_FILES:
        return [], [f"{folder.name}: more than {MAX_FILES} extra lists"]
    found, faults = [], []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        category, _, own_name = path.name.removesuffix(".tsv").partition(".")
        if category not in set(Category) or not own_name:
            known = ", ".join(Category)
            faults.append(f"{name}: call it <category>.<name>.tsv; categories are {known}")
            continue
        found.append((name, Category(category), path.parent != folder))
    return found, faults
