"""From a folder of files to one checked generation of configs, or to everything wrong with it.

A folder is taken whole or not at all: half of a set would let one learner's run differ from the
next for a reason that nobody sees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from orchestrator.configs import graphs, references, semantics
from orchestrator.configs.documents import Document, Kind, UnreadableFileError, read_document
from orchestrator.configs.faults import ConfigError, Fault
from orchestrator.configs.files import config_files
from orchestrator.configs.folders import more_node_classes, own_configs_dir, schema_dir
from orchestrator.configs.library import Library
from orchestrator.configs.model import (
    Chunk,
    ConfigSet,
    InterceptionConfig,
    OutputConfig,
    Pipeline,
)
from orchestrator.configs.schemas import Schemas
from orchestrator.configs.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.configs.values import FrozenModel

M = TypeVar("M", bound="FrozenModel")


def load_configs(folder: Path) -> ConfigSet:
    """Read a folder of configs. Blocks: reads files.

    Args:
        folder: Holds interception/, output/, pipelines/, chunks/ and workflows/.

    Raises:
        ConfigError: With every fault that was found. Users' own files are no reason: those at
            fault are left out.
    """
    loader = _Loader(folder, Schemas(schema_dir()))
    loader.load()
    if any(not _is_users(fault) for fault in loader.faults):
        raise ConfigError(loader.faults)
    loader.leave_out({fault.file for fault in loader.faults})
    library = loader.library
    return ConfigSet(
        interception=library.interception,
        output=library.output,
        pipelines=library.pipelines,
        chunks=library.chunks,
        workflows=library.workflows,
        default_outputs=library.default_outputs,
    )


def check_folder(folder: Path) -> list[Fault]:
    """Return every fault of a folder of configs, sorted by file and line; none: it can be used."""
    loader = _Loader(folder, Schemas(schema_dir()))
    loader.load()
    return sorted(loader.faults)


def _is_users(fault: Fault) -> bool:
    """Return whether a fault is in a file of a user, who must not stop everybody else."""
    return fault.file.startswith(f"{Kind.USER.value}/")


def load_node_classes(folder: Path) -> frozenset[str]:
    """Return the node classes that workflows may use: the folder's, else ours, and the settings'.

    Raises:
        ConfigError: Their file is faulty.
    """
    own = own_configs_dir()
    root = folder if (folder / Kind.NODE_CLASSES.value).is_file() else own
    try:
        document = read_document(root, root / Kind.NODE_CLASSES.value, Kind.NODE_CLASSES)
    except UnreadableFileError as exc:
        raise ConfigError(list(exc.faults)) from exc
    listed = frozenset(name for names in document.data["classes"].values() for name in names)
    return listed | more_node_classes()


class _Loader:
    """Reads one folder; faults gather here."""

    def __init__(self, folder: Path, schemas: Schemas) -> None:
        self.faults: list[Fault] = []
        self.library = Library()
        self._folder = folder
        self._schemas = schemas
        self._seen: dict[tuple[Kind, str], Document] = {}
        self._sound: list[Document] = []

    def load(self) -> None:
        """Read, then check each file, then all together."""
        paths, faults = config_files(self._folder)
        self.faults += faults
        for kind, path in paths:
            self._read(kind, path)
        if not self.library.ids[Kind.NODE_CLASSES]:
            shipped = own_configs_dir()
            self._read(Kind.NODE_CLASSES, shipped / Kind.NODE_CLASSES.value, shipped)
        # The classes first: every workflow is held against them.
        self._sound.sort(key=lambda document: document.kind is not Kind.NODE_CLASSES)
        for document in self._sound:
            self.faults += self._own_faults(document)
        for document in self._sound:
            self.faults += self._reference_faults(document)
        self.faults += references.needed_file_faults(self.library)

    def leave_out(self, files: set[str]) -> None:
        """Take configs of users' own files back."""
        for document in self._seen.values():
            if document.file in files:
                self.library.interception.pop(document.id, None)

    def _read(self, kind: Kind, path: Path, root: Path | None = None) -> None:
        try:
            document = read_document(root or self._folder, path, kind)
        except UnreadableFileError as exc:
            # Whoever names it is not at fault.
            self.library.ids[kind].add(path.stem)
            self.faults += exc.faults
            return
        kind = Kind.INTERCEPTION if kind.is_interception else kind
        first = self._seen.setdefault((kind, document.id), document)
        self.library.ids[kind].add(document.id)
        if first is not document:
            self.faults.append(
                document.fault(
                    ("id",),
                    f'The id "{document.id}" is already that of {first.file}.',
                    "Give it another id.",
                )
            )
        if faults := self._form_faults(document):
            self.faults += faults
        elif first is document:
            # Editors' key; what follows need not know it.
            data = {key: value for key, value in document.data.items() if key != "$schema"}
            self._sound.append(replace(document, data=data))

    def _form_faults(self, document: Document) -> list[Fault]:
        fault = graphs.editor_format_fault(document) if document.kind is Kind.WORKFLOW else None
        return [fault] if fault else self._schemas.faults(document)

    def _own_faults(self, document: Document) -> Iterator[Fault]:
        library = self.library
        yield from semantics.text_faults(document)
        match document.kind:
            case Kind.OUTPUT_DEFAULTS:
                library.default_outputs.update(document.data)
            case Kind.NODE_CLASSES:
                for names in document.data["classes"].values():
                    library.node_classes.update(names)
                library.node_classes.update(more_node_classes())
            case Kind.CHUNK:
                yield from self._keep(document, Chunk, library.chunks)
                if chunk := library.chunks.get(document.id):
                    yield from semantics.chunk_faults(document, chunk)
            case Kind.WORKFLOW:
                yield from self._workflow_faults(document)
            case Kind.INTERCEPTION:
                yield from self._keep(document, InterceptionConfig, library.interception)
            case Kind.USER:
                owner = document.file.split("/")[1]
                yield from self._keep(
                    document, InterceptionConfig, library.interception, owner=owner
                )
            case Kind.PIPELINE:
                yield from self._keep(document, Pipeline, library.pipelines)
                if pipeline := library.pipelines.get(document.id):
                    yield from semantics.pipeline_faults(document, pipeline)
            case Kind.OUTPUT:
                yield from self._keep(document, OutputConfig, library.output)
                if output := library.output.get(document.id):
                    yield from semantics.output_faults(document, output)

    def _workflow_faults(self, document: Document) -> Iterator[Fault]:
        faults = [
            *graphs.graph_faults(document, self.library.node_classes),
            *graphs.mapping_faults(document),
            *graphs.required_model_faults(document),
        ]
        yield from faults or self._keep(document, Workflow, self.library.workflows)

    def _keep(
        self, document: Document, model: type[M], where: dict[str, M], **own: str
    ) -> Iterator[Fault]:
        """Make the model's value; a fault here is one that the schema did not foresee."""
        try:
            where[document.id] = model.model_validate({**document.data, **own, "id": document.id})
        except ValidationError as exc:
            for error in exc.errors():
                yield document.fault(error["loc"], f"{error['msg']}.")

    def _reference_faults(self, document: Document) -> Iterator[Fault]:
        library = self.library
        match document.kind:
            case Kind.OUTPUT_DEFAULTS:
                yield from references.defaults_faults(document, library)
            case Kind.INTERCEPTION | Kind.USER:
                if config := library.interception.get(document.id):
                    yield from references.interception_faults(document, config, library)
            case Kind.CHUNK:
                yield from references.chunk_faults(document, library)
            case Kind.PIPELINE:
                if pipeline := library.pipelines.get(document.id):
                    yield from references.pipeline_faults(document, pipeline, library)
            case Kind.OUTPUT:
                if output := library.output.get(document.id):
                    yield from references.output_faults(document, output, library)
            case _:
                pass
