"""The policy as data: what is checked at which level, what a failed check means, what is said.

A deployment's rules are read once, validated whole and named by the SHA-256 of all their bytes, so
that a verdict in a record can be traced to the exact rules it came from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safety_service.classifier import Classifier, ClassifierError, Weights
from safety_service.model import Category, Direction, Level, Message, OnFailure
from safety_service.normalise import Normaliser
from safety_service.term_lists import ListReader
from safety_service.terms import TermIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety_service.term_lists import TermLists

SHIPPED_POLICIES = Path(__file__).parent / "policies"
MAX_TEXT_LENGTH = 20_000

# The checks of this build, in the order in which they run.
NORMALISE = "normalise"
TERMS_LAW = "terms_law"
TERMS_AGE = "terms_age"
CLASSIFIER = "classifier"
IMAGE_FORMAT = "image_format"
IMAGE_GUARD = "image_guard"
_TEXT_CHECKS = (NORMALISE, TERMS_LAW, TERMS_AGE, CLASSIFIER)
_IMAGE_CHECKS = (IMAGE_FORMAT, IMAGE_GUARD)
_LAW_CHECKS = (NORMALISE, TERMS_LAW, IMAGE_FORMAT)
_EXTRA_MESSAGES = ("unavailable", "warning")

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


class CheckRule(_Strict):
    """When one check runs and what follows when it cannot.

    Attributes:
        layer: Its place in the order of cost, 1 is the cheapest.
        content: What it judges.
        directions: For each level the directions in which it runs; empty: not at this level.
        on_failure: For each level what follows when it fails, and what an `ask` hit means while
            nothing can answer.
        on_missing: The same when this deployment lacks it; None: every deployment has it.
    """

    layer: Annotated[int, Field(ge=1, le=6)]
    content: Content
    directions: dict[Level, tuple[Direction, ...]]
    on_failure: dict[Level, OnFailure]
    on_missing: dict[Level, OnFailure] | None = None


class _ListFile(_Strict):
    file: str
    category: Category
    law: bool


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


class _PolicyFile(_Strict):
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
        classifier: The model.
        classifier_rule: When its score blocks.
        normaliser: The folding with which the lists were compiled.
        entry_counts: How many list entries apply at each level.
    """

    version: str
    checks: Mapping[str, CheckRule]
    terms: TermIndex
    classifier: Classifier
    classifier_rule: ClassifierRule
    normaliser: Normaliser
    entry_counts: Mapping[Level, int]
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


def load_policy(folder: Path = SHIPPED_POLICIES) -> Policy:
    """Read and validate a policy folder: `policy.json` and the files that it names.

    Raises:
        PolicyError: With every fault of every file.
    """
    digest = hashlib.sha256()
    file = _parse("policy.json", _read(folder, "policy.json", digest), _PolicyFile)
    if faults := _structure_faults(file):
        raise PolicyError(faults)
    normaliser = Normaliser()
    reader = ListReader(lambda word: normaliser.normalise(word).plain.text.strip())
    reader.read_sets(file.sets, _read(folder, file.sets, digest))
    reader.read_allowed(file.allowed, _read(folder, file.allowed, digest))
    for item in file.lists:
        content = _read(folder, item.file, digest)
        reader.read_entries(item.file, content, item.category, law=item.law)
    lists = reader.lists
    if file.voiding_set not in lists.sets:
        lists.faults.append(f"policy.json: voiding_set names no set: {file.voiding_set!r}")
    if lists.faults:
        raise PolicyError(lists.faults)
    rule, classifier = _read_classifier(folder, file, digest)
    terms = TermIndex(lists, file.voiding_set)
    if faults := _message_faults(file, terms, normaliser):
        raise PolicyError(faults)
    return Policy(
        version=digest.hexdigest(),
        checks={name: file.checks[name] for name in (*_TEXT_CHECKS, *_IMAGE_CHECKS)},
        terms=terms,
        classifier=classifier,
        classifier_rule=rule,
        normaliser=normaliser,
        entry_counts=_entry_counts(file, lists),
        _messages=file.messages,
    )


def _read_bytes(folder: Path, name: str, digest: hashlib._Hash) -> bytes:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PolicyError([f"{name}: lies outside the policy folder"])
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise PolicyError([f"{name}: cannot be read ({exc.strerror})"]) from exc
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)
    return content


def _read(folder: Path, name: str, digest: hashlib._Hash) -> str:
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
    folder: Path, file: _PolicyFile, digest: hashlib._Hash
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


def _structure_faults(file: _PolicyFile) -> list[str]:
    """What the types cannot say: nothing may be forgotten, and law is on everywhere."""
    known = {*_TEXT_CHECKS, *_IMAGE_CHECKS}
    faults = [f"policy.json: checks: {name} is missing" for name in known - set(file.checks)]
    faults += [f"policy.json: checks: {name} is unknown" for name in set(file.checks) - known]
    for name, rule in file.checks.items():
        for table in ("directions", "on_failure", "on_missing"):
            levels = getattr(rule, table)
            if levels is not None and set(levels) != set(Level):
                faults.append(f"policy.json: checks.{name}.{table}: needs every level")
        if name in _LAW_CHECKS and any(len(d) != len(Direction) for d in rule.directions.values()):
            faults.append(f"policy.json: checks.{name}.directions: law is on at every level")
        if name in _LAW_CHECKS and set(rule.on_failure.values()) != {OnFailure.BLOCK}:
            faults.append(f"policy.json: checks.{name}.on_failure: law always blocks")
    wanted = {*Category, *_EXTRA_MESSAGES}
    faults += [f"policy.json: messages: {name} is missing" for name in wanted - set(file.messages)]
    faults += [f"policy.json: messages: {name} is unknown" for name in set(file.messages) - wanted]
    if not any(item.law for item in file.lists):
        faults.append("policy.json: lists: no law list")
    return sorted(faults)


def _message_faults(file: _PolicyFile, terms: TermIndex, normaliser: Normaliser) -> list[str]:
    """A message must not say what it explains, so each must pass the strictest level itself."""
    return [
        f"policy.json: messages.{name}: contains the listed term {finding.entry.id}"
        for name, aged in file.messages.items()
        for text in (aged.kids.de, aged.kids.en, aged.older.de, aged.older.en)
        for finding in terms.find(normaliser.normalise(text))
        if not finding.excused
    ]


def _entry_counts(file: _PolicyFile, lists: TermLists) -> dict[Level, int]:
    with_age = {level for level, used in file.checks[TERMS_AGE].directions.items() if used}
    return {
        level: sum(
            level in entry.levels and (entry.law or level in with_age) for entry in lists.entries
        )
        for level in Level
    }
