"""Reads run folders of the AI4ArtsEd DevServer: `metadata.json`, `final/`, `prompting_process/`.

We have the words of a description and no such folder, so the reader is tolerant: wherever a
`metadata.json` lies, there is a run, and all files below belong to it, however the folders above
and inside are laid out. Files become items by what they are; everything is kept, and each guess is
marked in the item and told in the report.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol

from tracker_service.export.json_form import canonical_metadata
from tracker_service.importing.completing import Draft, completed
from tracker_service.importing.ids import derived_id, execution_id_of
from tracker_service.importing.json_records import DAMAGES, older_draft
from tracker_service.importing.model import ForeignRecord, JsonObject, MediaFiles, UnreadableError
from tracker_service.importing.run_files import (
    HEAD_BYTES,
    Guess,
    guess_of,
    mime_type_of,
    natural_key,
)
from tracker_service.importing.run_metadata import facts_in, notes_in, start_in, state_in
from tracker_service.items import ExecutionItem, MediaRef
from tracker_service.records import ExecutionState
from tracker_service.taxonomy import DELIVERED_OUTPUTS, RULES, TERMINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

METADATA: Final = "metadata.json"
MOST_FILES: Final = 5_000
"""Files of one run that are read."""
MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
PART_LENGTH: Final = 250_000
"""Code points of a text in one item; a longer one becomes several."""
_GROUPS: Final = {"prompting_process": 1, "final": 2}


class RunFiles(MediaFiles, Protocol):
    """The files of an archive, as this reader needs them."""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the first `limit` bytes of a file; None: it is damaged or not there."""

    def sha256(self, name: str) -> str | None:
        """Return the hash of a file; None: it is damaged, not there, or too large."""


def runs_in(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the runs among files: the files below each folder that holds a `metadata.json`.

    Args:
        names: Paths with `/`; a file belongs to the nearest run above it.
    """
    known = list(names)
    paths = map(PurePosixPath, known)
    folders = dict.fromkeys(path.parent for path in paths if path.name == METADATA)
    runs: dict[str, list[str]] = {str(folder): [] for folder in folders}
    for name in known:
        home = next((one for one in PurePosixPath(name).parents if one in folders), None)
        if home is not None:
            runs[str(home)].append(name)
    return runs


def read_run(folder: str, names: Sequence[str], files: RunFiles) -> ForeignRecord:
    """Read one run.

    Args:
        folder: Its path.
        names: Its files, with their whole paths.
        files: Has their bytes.

    Raises:
        UnreadableError: NO_JSON, NO_RECORD, FILE_TOO_LARGE or RECORD_INVALID.
    """
    form = _metadata(folder, files)
    try:
        return completed(_Run(folder, files).read(form, names))
    except DAMAGES as exc:
        raise UnreadableError("RECORD_INVALID", "The metadata of the run are damaged.") from exc


def _metadata(folder: str, files: RunFiles) -> JsonObject:
    data = files.read(str(PurePosixPath(folder, METADATA)), MAX_TEXT_BYTES + 1)
    if data is None:
        raise UnreadableError("ARCHIVE_BROKEN", f"{METADATA} is damaged.")
    if len(data) > MAX_TEXT_BYTES:
        raise UnreadableError("FILE_TOO_LARGE", f"{METADATA} is over 16 MiB.")
    try:
        form = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as exc:
        raise UnreadableError("NO_JSON", f"{METADATA} is no valid JSON.") from exc
    if not isinstance(form, dict):
        raise UnreadableError("NO_RECORD", f"{METADATA} says nothing about a run.")
    return form


class _Run:
    """One run while it is read."""

    def __init__(self, folder: str, files: RunFiles) -> None:
        self._folder = folder
        self._files = files
        self._outputs = 0
        self._start_us = 0
        self._draft = Draft(source=folder, execution_id="", facts={}, files=files)

    def read(self, form: JsonObject, names: Sequence[str]) -> Draft:
        """Return the record of the run.

        Args:
            form: Its metadata.
            names: Its files.
        """
        draft = self._draft = self._begun(form)
        inner = [str(PurePosixPath(name).relative_to(self._folder)) for name in names]
        taken = self._attached(inner)
        notes = notes_in(form, inner)
        last = len(notes)

        def order(path: str) -> tuple[Any, ...]:
            group = max(_GROUPS.get(part, 0) for part in PurePosixPath(path).parts)
            place = notes[path].place if path in notes else last
            return (path != METADATA, place, group, natural_key(path))

        self._outputs = sum(item.item_type in DELIVERED_OUTPUTS for item in draft.items)
        found: list[ExecutionItem] = []
        for path in sorted(set(inner) - taken, key=order)[:MOST_FILES]:
            note = notes.get(path)
            guess_from = note.told if note else ()
            moment = note.time_us if note else None
            found += self._items(path, guess_from, moment or self._start_us + len(found))
        if len(inner) - len(taken) > MOST_FILES:
            draft.warnings.append(("TOO_MANY_FILES", self._folder))
        _insert(draft, found)
        if draft.state is None and self._outputs:
            draft.state = ExecutionState.COMPLETED
            draft.warnings.append(("STATE_GUESSED", "completed, since it has an output"))
        return draft

    def _begun(self, form: JsonObject) -> Draft:
        """Return a record with the facts of the metadata, and its items if these are a record."""
        start_us = start_in(form, self._folder)
        self._start_us = start_us or 0
        if isinstance(form.get("items"), list) and form["items"] and "execution_id" in form:
            draft = older_draft(form, self._folder, self._files)
            self._start_us = min(item.occur_time_us for item in draft.items)
            return draft
        facts = facts_in(form)
        told = facts.pop("execution_id", "")
        draft = Draft(
            source=self._folder,
            execution_id=execution_id_of(told or self._made_up_id()),
            facts=facts,
            state=state_in(form),
            files=self._files,
        )
        if start_us is None:
            draft.warnings.append(("START_TIME_UNKNOWN", self._folder))
        if not told:
            draft.warnings.append(("EXECUTION_ID_GUESSED", draft.execution_id))
        return draft

    def _made_up_id(self) -> str:
        """Return a name that stays the same wherever the folder lies."""
        digest = self._files.sha256(self._whole(METADATA)) or ""
        return f"{PurePosixPath(self._folder).name or 'run'}-{digest[:8]}"

    def _attached(self, inner: Sequence[str]) -> set[str]:
        """Give the items that name files these files; return those, and what else is no item."""
        taken = {METADATA} if self._draft.items else set()
        by_name = {PurePosixPath(path).name: path for path in inner}
        for item in self._draft.items:
            if item.media is not None:
                path = by_name.get(PurePosixPath(item.media.uri).name)
                if path is not None:
                    self._draft.media[item.item_id] = self._whole(path)
                    taken.add(path)
        return taken

    def _items(self, path: str, told: Sequence[str], time_us: int) -> list[ExecutionItem]:
        name = self._whole(path)
        head, sha256 = self._files.read(name, HEAD_BYTES), self._files.sha256(name)
        if head is None or sha256 is None:
            self._draft.warnings.append(("FILE_UNREADABLE", path))
            return []
        mime_type = mime_type_of(head)
        if mime_type:
            guess = guess_of(path, told, mime_type)
            item = self._item(guess, path, sha256, time_us)
            self._draft.media[item.item_id] = name
            media = MediaRef(path[-1024:], sha256, 0, mime_type, PurePosixPath(path).name[:256])
            return [item._replace(media=media)]
        text = self._text(name)
        if text is None:
            self._draft.warnings.append(("FILE_NOT_KEPT", path))
            item = self._item(Guess("warning", 0, ""), path, sha256, time_us)
            return [item]
        guess = guess_of(path, told, "")
        if path == METADATA:
            guess = Guess("warning", 0, "text")
        parts = [text[at : at + PART_LENGTH] for at in range(0, len(text), PART_LENGTH)] or [""]
        return [
            self._item(guess, path, sha256, time_us, part)._replace(content=one)
            for part, one in enumerate(parts, 1)
        ]

    def _text(self, name: str) -> str | None:
        """Return a file as text; None: it is none."""
        data = self._files.read(name, MAX_TEXT_BYTES + 1)
        if data is None or len(data) > MAX_TEXT_BYTES or b"\0" in data:
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None

    def _item(
        self, guess: Guess, path: str, sha256: str, time_us: int, part: int = 1
    ) -> ExecutionItem:
        rule = RULES[guess.item_type]
        self._outputs += guess.item_type in DELIVERED_OUTPUTS
        if path != METADATA:
            self._draft.warnings.append(("ITEM_TYPE_GUESSED", f"{guess.item_type} from {path}"))
        note = {"file": path, "sha256": sha256, "part": part, "guessed": True}
        return ExecutionItem(
            item_id=derived_id(time_us, self._draft.execution_id, path, sha256, part),
            execution_id=self._draft.execution_id,
            epoch=1,
            sequence_number=1,
            occur_time_us=time_us,
            stage=guess.stage,
            stage_iteration=(guess.turn or 1) if rule.needs_stage_iteration else None,
            loop_iteration=max(self._outputs, 1) if rule.needs_loop_iteration else None,
            media_type=guess.media_type,
            item_type=guess.item_type,
            content=None,
            media=None,
            config_used="",
            model_used="",
            backend_used="",
            backend_job_id="",
            run_duration_us=None,
            metadata_json=canonical_metadata({"imported": note}),
        )

    def _whole(self, path: str) -> str:
        return str(PurePosixPath(self._folder, path))


def _insert(draft: Draft, found: Sequence[ExecutionItem]) -> None:
    """Put items before the terminal one, and number all anew if there are any."""
    if not found:
        return
    ends = [item for item in draft.items if item.item_type in TERMINAL_STATES]
    others = [item for item in draft.items if item.item_type not in TERMINAL_STATES]
    items = [*others, *found, *ends]
    draft.items = [item._replace(sequence_number=n) for n, item in enumerate(items, 1)]
