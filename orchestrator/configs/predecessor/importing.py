"""From a folder to configs that can run, beside those that are there, and a report of each file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.configs.model import ConfigSet, OutputConfig
from orchestrator.configs.planning import PlanRequest, build_plan
from orchestrator.configs.predecessor.files import Role, Source, read_sources
from orchestrator.configs.predecessor.interceptions import MadeInterception, made_interception
from orchestrator.configs.predecessor.outputs import MadeOutput, is_output, made_output
from orchestrator.configs.predecessor.reports import FileReport, RefusedError, Result
from orchestrator.configs.predecessor.shelf import Shelf, fill_shelf
from servicekit.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Imported:
    """What came of a folder.

    Attributes:
        configs: The configs that were there, with those of the folder; the folder's come first
            where both have an id.
        reports: One for each file, by path.
    """

    configs: ConfigSet
    reports: tuple[FileReport, ...]


def read_folder(folder: Path, base: ConfigSet, allowed: Collection[str]) -> Imported:
    """Read a folder of the predecessor's configs. Blocks: reads files, changes none.

    Args:
        folder: With configs, `pipelines/` and `chunks/` somewhere below.
        base: The configs that are there already.
        allowed: Node classes that workflows may use.
    """
    sources, refused = read_sources(folder)
    shelf = fill_shelf(sources, allowed)
    gathered = _Gathered(base, shelf)
    unique = _unique(sources, shelf)
    for source in unique:
        if is_output(source):
            gathered.take_output(source)
    interceptions = [source for source in unique if not is_output(source)]
    for source in interceptions:
        gathered.take_interception(source)
    gathered.keep_what_runs(interceptions)
    reports = [_report(source, shelf) for source in sources]
    return Imported(gathered.configs(), tuple(sorted([*refused, *reports])))


def _unique(sources: list[Source], shelf: Shelf) -> list[Source]:
    """Return configs, the first of each id, and refuse the others."""
    first: dict[str, Source] = {}
    for source in sources:
        if source.role is Role.CONFIG:
            other = first.setdefault(source.id, source)
            if other is not source:
                shelf.refused[source.file] = (
                    f'The id "{source.id}" is already that of {other.file}.'
                )
    return list(first.values())


def _report(source: Source, shelf: Shelf) -> FileReport:
    if reason := shelf.refused.get(source.file):
        return FileReport(source.file, Result.REFUSED, reason, tuple(source.notes.taken))
    return source.notes.report(source.file)


@dataclass
class _Gathered:
    """Grows file by file."""

    base: ConfigSet
    shelf: Shelf
    outputs: dict[str, MadeOutput] = field(default_factory=dict)
    interceptions: dict[str, MadeInterception] = field(default_factory=dict)
    names: dict[str, OutputConfig] = field(default_factory=dict)

    def take_output(self, source: Source) -> None:
        try:
            made = made_output(source, self.shelf)
        except (RefusedError, ValidationError) as exc:
            self._refuse(source, exc)
            return
        self._told_if_replaced(source, source.id in self.base.output)
        self.outputs[source.id] = made
        for name in (source.id, source.id.rpartition("/")[2], PurePosixPath(source.file).stem):
            self.names.setdefault(name, made.config)

    def take_interception(self, source: Source) -> None:
        try:
            made = made_interception(source, self.shelf, self.names, self.base)
        except (RefusedError, ValidationError) as exc:
            self._refuse(source, exc)
            return
        self.interceptions[source.id] = made

    def keep_what_runs(self, sources: Iterable[Source]) -> None:
        """Refuse interceptions that no run can be planned for.

        Each has its parts to itself, so all are tried in one set; a set each would take as long as
        there are configs in it.
        """
        configs = self.configs()
        for source in sources:
            if source.id not in self.interceptions:
                continue
            try:
                _try(configs, source.id)
            except (ValidationError, ServiceError) as exc:
                del self.interceptions[source.id]
                self._refuse(source, exc)
            else:
                self._told_if_replaced(source, source.id in self.base.interception)

    def _refuse(self, source: Source, exc: Exception) -> None:
        if isinstance(exc, ValidationError):
            first = exc.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            self.shelf.refused[source.file] = f"{where}: {first['msg']}."
        else:
            self.shelf.refused[source.file] = str(exc)

    def _told_if_replaced(self, source: Source, is_there: bool) -> None:
        if is_there:
            source.notes.add(f'It takes the place of the config "{source.id}" that was there.')

    def configs(self) -> ConfigSet:
        """Return everything together."""
        base, made = self.base, list(self.interceptions.values())
        outputs = [*self.outputs.values(), *(one for each in made for one in each.outputs)]
        chunks = [chunk for each in made for chunk in each.chunks]
        chunks += [each.chunk for each in outputs if each.chunk is not None]
        workflows = [each.workflow for each in outputs if each.workflow is not None]
        return ConfigSet(
            interception={**base.interception, **{m.config.id: m.config for m in made}},
            output={**base.output, **{each.config.id: each.config for each in outputs}},
            pipelines={**base.pipelines, **{m.pipeline.id: m.pipeline for m in made}},
            chunks={**base.chunks, **{chunk.id: chunk for chunk in chunks}},
            workflows={**base.workflows, **{workflow.id: workflow for workflow in workflows}},
            default_outputs=base.default_outputs,
        )


def _try(configs: ConfigSet, config_id: str) -> None:
    """Plan a run, so that what is called loaded can be run.

    Raises:
        ServiceError: No plan is possible.
    """
    needs = configs.pipelines[configs.interception[config_id].pipeline].input_requirements
    build_plan(
        configs,
        PlanRequest(config_id, "en", text_count=needs.texts, image_count=needs.images),
    )
