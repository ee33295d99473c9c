"""Control flow as data: in which order a pipeline's chunks run, and what decides it.

Four kinds are enough for what artists and teachers describe: one after the other, again and again,
side by side, one or the other. A new attitude is then a file, never code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from orchestrator.configs.localized import Localized  # noqa: TC001 - pydantic reads it
from orchestrator.configs.values import FrozenModel, Scalar, ScalarMap

if TYPE_CHECKING:
    from collections.abc import Mapping

# What conditions may ask for beside the values of chunks; the record holds each of them.
CONDITION_FACTS = frozenset({"INPUT_LANGUAGE", "INPUT_LENGTH", "SAFETY_LEVEL"})


class Condition(FrozenModel):
    """Whether a branch runs; everything that is given must hold.

    Texts are compared without regard to case and to spaces around them.

    Attributes:
        value: Name of a value, see `CONDITION_FACTS` and the `values` of chunks.
        equals: The value is this.
        one_of: The value is one of these; empty: not asked.
        contains: The value has this inside.
        at_least: The value is a number, this or a greater one.
        at_most: The value is a number, this or a smaller one.
    """

    value: str
    equals: Scalar | None = None
    one_of: tuple[Scalar, ...] = ()
    contains: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, values: Mapping[str, str]) -> bool:
        """Return whether it holds; a value that is not there counts as an empty text."""
        value = _plain(values.get(self.value, ""))
        if self.equals is not None and value != _plain(self.equals):
            return False
        if self.one_of and value not in {_plain(one) for one in self.one_of}:
            return False
        if self.contains is not None and _plain(self.contains) not in value:
            return False
        return self._in_range(value)

    def _in_range(self, value: str) -> bool:
        if self.at_least is None and self.at_most is None:
            return True
        try:
            number = float(value)
        except ValueError:
            return False
        low = self.at_least is None or number >= self.at_least
        return low and (self.at_most is None or number <= self.at_most)


def _plain(value: Scalar) -> str:
    """Write a value as the record has it: true and false as JSON does."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.strip().casefold()


class SequenceFlow(FrozenModel):
    """Chunks in order; each sees the previous one's output.

    Attributes:
        chunks: Ids of chunks; none passes the text through.
    """

    kind: Literal["sequence"] = "sequence"
    chunks: tuple[str, ...] = ()


class IterativeFlow(FrozenModel):
    """The same chunks again and again; with languages it is the telephone game.

    Attributes:
        chunks: Ids of the chunks of one pass.
        iterations: Count of passes, 1 to 50.
        languages: One ISO 639-1 code per pass; "random" draws from `language_pool`; None: none.
        language_pool: What "random" draws from.
        final_language: Language of the last pass, whatever the others are; None: like the others.
    """

    kind: Literal["iterative"] = "iterative"
    chunks: tuple[str, ...]
    iterations: int
    languages: tuple[str, ...] | Literal["random"] | None = None
    language_pool: tuple[str, ...] = ()
    final_language: str | None = None


class Branch(FrozenModel):
    """One of several ways that are taken at the same time.

    Attributes:
        name: Placeholder under which the join finds what came out, such as `SUBJECT`.
        input_text: Number of the run's text that it begins with; None: what came before.
        chunks: Ids of its chunks, in order.
    """

    name: str
    input_text: int | None = None
    chunks: tuple[str, ...]


class Join(FrozenModel):
    """How branches become one text: a chunk writes it, or a template puts it together."""

    chunk: str | None = None
    template: Localized | None = None


class ParallelFlow(FrozenModel):
    """Branches side by side, joined at the end: split and combine.

    Attributes:
        chunks: Ids of chunks that run before, such as one that takes the idea apart.
    """

    kind: Literal["parallel"] = "parallel"
    chunks: tuple[str, ...] = ()
    branches: tuple[Branch, ...]
    join: Join


class Case(FrozenModel):
    """A way that is taken when its condition is the first that holds."""

    when: Condition
    chunks: tuple[str, ...] = ()


class ConditionalFlow(FrozenModel):
    """The first case whose condition holds.

    Attributes:
        chunks: Ids of chunks that run before, such as one that judges the idea.
        otherwise: Ids of the chunks where no condition holds; none passes the text through.
    """

    kind: Literal["conditional"] = "conditional"
    chunks: tuple[str, ...] = ()
    cases: tuple[Case, ...]
    otherwise: tuple[str, ...] = ()


ControlFlow = Annotated[
    SequenceFlow | IterativeFlow | ParallelFlow | ConditionalFlow, Field(discriminator="kind")
]


def chunk_ids(flow: SequenceFlow | IterativeFlow | ParallelFlow | ConditionalFlow) -> list[str]:
    """Return every chunk that a flow may run, each once."""
    ids = list(flow.chunks)
    if isinstance(flow, ParallelFlow):
        ids += [id_ for branch in flow.branches for id_ in branch.chunks]
        ids += [flow.join.chunk] if flow.join.chunk else []
    elif isinstance(flow, ConditionalFlow):
        ids += [id_ for case in flow.cases for id_ in case.chunks]
        ids += flow.otherwise
    return list(dict.fromkeys(ids))


class OutputRequest(FrozenModel):
    """An output that a pipeline asks for, with a prompt of its own.

    Attributes:
        output: Id of an output config, or a medium.
        prompt: Template of its text; without one it gets the text of phase 1.
        parameters: For this output, before those of config and caller.
    """

    output: str
    prompt: Localized | None = None
    parameters: ScalarMap = Field(default={}, validate_default=True)
