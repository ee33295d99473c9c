"""What no policy may leave out, whatever a level or a deployment says.

The policy is data, and data can be edited. These few rules are code on purpose: the law at every
level, every check of an age for minors, and a failure that never lets a minor's content pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_service.model import (
    IMAGE_CHECKS,
    IMAGE_FORMAT,
    IMAGE_GUARD,
    NORMALISE,
    TERMS_LAW,
    TEXT_CHECKS,
    TEXT_GUARD,
    Category,
    Direction,
    Level,
    OnFailure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safety_service.policy import CheckRule, PolicyFile
    from safety_service.term_lists import TermLists

_GUARDS = (TEXT_GUARD, IMAGE_GUARD)
_LAW_CHECKS = (NORMALISE, TERMS_LAW, IMAGE_FORMAT)
_MINORS = (Level.KIDS, Level.YOUTH)
_FAILURE_TABLES = ("on_failure", "on_missing")
_EXTRA_MESSAGES = ("unavailable", "warning")


def structure_faults(file: PolicyFile) -> list[str]:
    """What the types cannot say: nothing may be forgotten, and law is on everywhere."""
    known = {*TEXT_CHECKS, *IMAGE_CHECKS}
    faults = [f"policy.json: checks: {name} is missing" for name in known - set(file.checks)]
    faults += [f"policy.json: checks: {name} is unknown" for name in set(file.checks) - known]
    for name, rule in file.checks.items():
        tables = {table: getattr(rule, table) for table in ("directions", *_FAILURE_TABLES)}
        if rule.guard is not None:
            tables["guard.always"] = rule.guard.always
            tables["guard.controversial"] = rule.guard.controversial
        for table, levels in tables.items():
            if levels is not None and set(levels) != set(Level):
                faults.append(f"policy.json: checks.{name}.{table}: needs every level")
        if (rule.guard is not None) != (name in _GUARDS):
            faults.append(f"policy.json: checks.{name}.guard: is for guards, and for all of them")
        if name in _LAW_CHECKS and any(len(d) != len(Direction) for d in rule.directions.values()):
            faults.append(f"policy.json: checks.{name}.directions: law is on at every level")
        if name in _LAW_CHECKS and set(rule.on_failure.values()) != {OnFailure.BLOCK}:
            faults.append(f"policy.json: checks.{name}.on_failure: law always blocks")
    if not faults:  # only tables that are whole can be looked into
        faults = [f for name, rule in file.checks.items() for f in _minors_faults(name, rule)]
    wanted = {*Category, *_EXTRA_MESSAGES}
    faults += [f"policy.json: messages: {name} is missing" for name in wanted - set(file.messages)]
    faults += [f"policy.json: messages: {name} is unknown" for name in set(file.messages) - wanted]
    if not any(item.law for item in file.lists):
        faults.append("policy.json: lists: no law list")
    return sorted(faults)


def _minors_faults(name: str, rule: CheckRule) -> Iterator[str]:
    """Minors get every check, in both directions, and none of them may fail softly."""
    for level in _MINORS:
        if len(rule.directions[level]) != len(Direction):
            yield f"policy.json: checks.{name}.directions.{level}: minors get every check"
        for table in _FAILURE_TABLES:
            levels = getattr(rule, table)
            if levels is not None and levels[level] is not OnFailure.BLOCK:
                yield f"policy.json: checks.{name}.{table}.{level}: must block for minors"


def lost_law(shipped: TermLists, lists: TermLists) -> list[str]:
    """What of the shipped law a policy has not, or has with more exceptions.

    Args:
        shipped: The lists that come with this build.
        lists: Those of a deployment's own policy folder.

    Returns:
        Faults, one sentence each.
    """
    law = [entry for entry in shipped.entries if entry.law]
    there = set(lists.entries)
    faults = [f"law entry {entry.id} is missing or changed" for entry in law if entry not in there]
    names = {name for entry in law for name in (*entry.unless, *entry.needs)}
    return faults + [
        f"the set {name}, which law entries refer to, is missing or changed"
        for name in sorted(names)
        if lists.sets.get(name) != shipped.sets.get(name)
    ]
