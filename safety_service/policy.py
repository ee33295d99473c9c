"""The policy as data: what is checked at which level, what a failed check means, what is said.

A deployment's rules are read once, validated whole and named by the SHA-256 of all their bytes, so
that a verdict in a record can be traced to the exact rules it came from.
"""

from __future__ import annotations

import gc
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safety_service.classifier import Classifier, ClassifierError, Weights
from safety_service.extra_lists import read_extra_lists
from safety_service.law_context import LAW_CONTEXT, LawContext, read_law_context
from safety_service.model import (
    CLASSIFIER,
    IMAGE_CHECKS,
    TERMS_AGE,
    TEXT_CHECKS,
    Category,
    Direction,
    Level,
    Message,
    OnFailure,
)
from safety_service.normalise import Normaliser
from safety_service.policy_base import lost_law, structure_faults
from safety_service.term_lists import ListReader
from safety_service.terms import TermIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safety_service.term_lists import TermLists

SHIPPED_POLICIES = Path(__file__).parent / "policies"
MAX_TEXT_LENGTH = 20_000


Content = Literal["text", "image"]
_Score = Annotated[float, Field(gt=0, le=1)]
_File = TypeVar("_File", bound=BaseModel)


class PolicyError(Exception):
    """The policy folder has faults.

    Attributes:
        faults: One sentence each, with file and line where there is one.
    """

    def __init__(self, faults: list[str]) -> None:
        """Hold the faults, all of them."""
        super().__init__("; ".join(faults))
        self.faults = faults


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GuardRule(_Strict):
    """When a guard is asked, and what its middle word means.

    Attributes:
        always: For each level the directions in which it is asked about everything; elsewhere it
            is asked only when the layers before are unsure.
        controversial: What follows at each level when it says *controversial*.
    """

    always: dict[Level, tuple[Direction, ...]]
    controversial: dict[Level, Literal["block", "allow"]]


class CheckRule(_Strict):
    """When one check runs and what follows when it cannot.

    Attributes:
        layer: Its place in the order of cost, 1 is the cheapest.
        content: What it judges.
        directions: For each level the directions in which it runs; empty: not at this level.
        on_failure: For each level what follows when it fails, and what an `ask` hit means while
            nothing can answer.
        on_missing: The same when this deployment lacks it; None: every deployment has it, or goes
            without.
        guard: More about a guard; None for other checks.
    """

    layer: Annotated[int, Field(ge=1, le=6)]
    content: Content
    directions: dict[Level, tuple[Direction, ...]]
    on_failure: dict[Level, OnFailure]
    on_missing: dict[Level, OnFailure] | None = None
    guard: GuardRule | None = None


class _ListFile(_Strict):
    file: str
    category: Category
    law: bool


@dataclass(frozen=True)
class ListSummary:
    """A term list in force.

    Attributes:
        name: Its file.
        category: Of all its entries.
        law: Whether it is on at every level.
        entry_count: How many entries it has.
        own: Whether the deployment added it.
    """

    name: str
    category: Category
    law: bool
    entry_count: int
    own: bool = False


class _Texts(_Strict):
    de: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class _AgedMessage(_Strict):
    kids: _Texts
    older: _Texts


class ClassifierRule(_Strict):
    """When the classifier's score blocks a text.

    Attributes:
        model: The model file.
        least_known: Share of known words below which a text is in no language of the model.
        thresholds: For each level that the check runs at, the least score that blocks, by category.
        asked: For each of them the least score that blocks a text with an `ask` hit.
        grey: For each of them the scores, from and below, at which a guard should decide.
    """

    model: str
    least_known: Annotated[float, Field(ge=0, le=1)]
    thresholds: dict[Level, dict[Category, _Score]]
    asked: dict[Level, _Score]
    grey: dict[Level, tuple[_Score, _Score]]


class PolicyFile(_Strict):
    """`policy.json`."""

    voiding_set: str
    sets: str
    allowed: str
    classifier: str
    lists: tuple[_ListFile, ...]
    checks: dict[str, CheckRule]
    messages: dict[str, _AgedMessage]


@dataclass(frozen=True)
class Policy:
    """A loaded policy; immutable, shared by all calls.

    Attributes:
        version: SHA-256 of all its files, as hex.
        checks: The rules by check, in the order in which they run.
        terms: The compiled lists.
        law_context: What makes the use of a forbidden sign lawful.
        classifier: The model.
        classifier_rule: When its score blocks.
        normaliser: The folding with which the lists were compiled.
        entry_counts: How many list entries apply at each level.
        lists: The term lists.
    """

    version: str
    checks: Mapping[str, CheckRule]
    terms: TermIndex
    law_context: LawContext
    classifier: Classifier
    classifier_rule: ClassifierRule
    normaliser: Normaliser
    entry_counts: Mapping[Level, int]
    lists: tuple[ListSummary, ...]
    _messages: Mapping[str, _AgedMessage]

    def rules(self, level: Level, content: Content, direction: Direction) -> dict[str, CheckRule]:
        """Checks that content of a level must go through, in order."""
        return {
            name: rule
            for name, rule in self.checks.items()
            if rule.content == content and direction in rule.directions[level]
        }

    def refusal(self, category: Category, level: Level) -> Message:
        """Kind words for content that was blocked for a category."""
        return self._message(category, level)

    def outage(self, level: Level) -> Message:
        """Kind words for content that could not be checked."""
        return self._message("unavailable", level)

    def warning(self, level: Level) -> Message:
        """Words for content that passes although a check could not run."""
        return self._message("warning", level)

    def _message(self, key: str, level: Level) -> Message:
        aged = self._messages[key]
        texts = aged.kids if level is Level.KIDS else aged.older
        return Message(texts.de, texts.en)


def load_policy(folder: Path = SHIPPED_POLICIES, extra_lists: Path | None = None) -> Policy:
    """Read and validate a policy folder: `policy.json` and the files that it names.

    Args:
        folder: The folder.
        extra_lists: A folder with lists that the deployment adds; None: it adds none.

    Raises:
        PolicyError: With every fault of every file.
    """
    with _no_collections():
        return _load(folder, extra_lists)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Hold the garbage collector back: loading makes half a million objects and no garbage.

    It would look through all of them again and again, which takes as long as the loading itself.
    Frozen and thawed they count as old, so that it does not look through them right afterwards.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()


def _load(folder: Path, extra_lists: Path | None) -> Policy:
    digest = hashlib.sha256()
    file = _parse("policy.json", _read(folder, "policy.json", digest), PolicyFile)
    if faults := structure_faults(file):
        raise PolicyError(faults)
    normaliser = Normaliser()
    lists, summaries = _read_lists(folder, extra_lists, file, normaliser, digest)
    if folder.resolve() != SHIPPED_POLICIES.resolve():
        shipped = _parse("policy.json", _read(SHIPPED_POLICIES, "policy.json", None), PolicyFile)
        law = _read_lists(SHIPPED_POLICIES, None, shipped, normaliser, None)[0]
        if faults := lost_law(law, lists):
            raise PolicyError(faults)
    rule, classifier = _read_classifier(folder, file, digest)
    terms = TermIndex(lists, file.voiding_set)
    cues = _read(SHIPPED_POLICIES, LAW_CONTEXT, digest)  # the law is the same everywhere
    law_context, faults = read_law_context(cues, normaliser)
    if faults:
        raise PolicyError(faults)
    if faults := _message_faults(file, terms, normaliser):
        raise PolicyError(faults)
    return Policy(
        version=digest.hexdigest(),
        checks={name: file.checks[name] for name in (*TEXT_CHECKS, *IMAGE_CHECKS)},
        terms=terms,
        law_context=law_context,
        classifier=classifier,
        classifier_rule=rule,
        normaliser=normaliser,
        entry_counts=_entry_counts(file, lists),
        lists=tuple(summaries),
        _messages=file.messages,
    )


def _read_lists(
    folder: Path,
    extra_lists: Path | None,
    file: PolicyFile,
    normaliser: Normaliser,
    digest: hashlib._Hash | None,
) -> tuple[TermLists, list[ListSummary]]:
    """All term lists, those that a deployment adds last, so that they can take nothing out."""
    reader = ListReader(lambda word: normaliser.normalise(word).plain.text.strip())
    reader.read_sets(file.sets, _read(folder, file.sets, digest))
    reader.read_allowed(file.allowed, _read(folder, file.allowed, digest))
    lists = reader.lists
    found = [(item, False, _read(folder, item.file, digest)) for item in file.lists]
    if extra_lists is not None:
        named, faults = read_extra_lists(extra_lists)
        lists.faults += faults
        for name, category, law in named:
            item = _ListFile(file=name, category=category, law=law)
            found.append((item, True, _read(extra_lists, name, digest)))
    summaries = []
    for item, own, content in found:
        before = len(lists.entries)
        reader.read_entries(item.file, content, item.category, law=item.law)
        count = len(lists.entries) - before
        summaries.append(ListSummary(item.file, item.category, item.law, count, own))
    if file.voiding_set not in lists.sets:
        lists.faults.append(f"policy.json: voiding_set names no set: {file.voiding_set!r}")
    if lists.faults:
        raise PolicyError(lists.faults)
    return lists, summaries


def _read_bytes(folder: Path, name: str, digest: hashlib._Hash | None) -> bytes:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PolicyError([f"{name}: lies outside the policy folder"])
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise PolicyError([f"{name}: cannot be read ({exc.strerror})"]) from exc
    if digest is not None:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return content


def _read(folder: Path, name: str, digest: hashlib._Hash | None) -> str:
    try:
        return _read_bytes(folder, name, digest).decode()
    except UnicodeDecodeError as exc:
        raise PolicyError([f"{name}: is no UTF-8 text"]) from exc


def _parse(name: str, text: str, model: type[_File]) -> _File:
    try:
        return model.model_validate(json.loads(text))
    except json.JSONDecodeError as exc:
        raise PolicyError([f"{name}:{exc.lineno}: {exc.msg}"]) from exc
    except ValidationError as exc:
        raise PolicyError(
            [f"{name}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
        ) from exc


def _read_classifier(
    folder: Path, file: PolicyFile, digest: hashlib._Hash
) -> tuple[ClassifierRule, Classifier]:
    """The model with its thresholds; without it there is no service."""
    name = file.classifier
    rule = _parse(name, _read(folder, name, digest), ClassifierRule)
    used = {level for level, found in file.checks[CLASSIFIER].directions.items() if found}
    faults = [
        f"{name}: thresholds.{level}: needs every category"
        for level in sorted(used)
        if set(rule.thresholds.get(level, ())) != set(Category)
    ]
    faults += [
        f"{name}: {field}.{level}: is missing"
        for level in sorted(used)
        for field, levels in (("asked", rule.asked), ("grey", rule.grey))
        if level not in levels
    ]
    if faults:
        raise PolicyError(faults)
    try:
        weights = Weights.from_bytes(_read_bytes(folder, rule.model, digest))
    except ClassifierError as exc:
        raise PolicyError([f"{rule.model}: {exc}"]) from exc
    return rule, Classifier(weights)


def _message_faults(file: PolicyFile, terms: TermIndex, normaliser: Normaliser) -> list[str]:
    """A message must not say what it explains, so each must pass the strictest level itself."""
    return [
        f"policy.json: messages.{name}: contains the listed term {finding.entry.id}"
        for name, aged in file.messages.items()
        for text in (aged.kids.de, aged.kids.en, aged.older.de, aged.older.en)
        for finding in terms.find(normaliser.normalise(text))
        if not finding.excused
    ]


def _entry_counts(file: PolicyFile, lists: TermLists) -> dict[Level, int]:
    with_age = {level for level, used in file.checks[TERMS_AGE].directions.items() if used}
    return {
        level: sum(
            level in entry.levels and (entry.law or level in with_age) for entry in lists.entries
        )
        for level in Level
    }
