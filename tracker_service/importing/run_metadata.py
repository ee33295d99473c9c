"""Reads what the `metadata.json` of a run folder says, whatever its form.

Which keys it has is not described, so it is asked for facts under the names that they could have,
and for every object in it that names a file of the folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tracker_service.importing.json_records import STATES, time_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker_service.importing.model import JsonObject
    from tracker_service.records import ExecutionState

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "execution_id": ("execution_id", "run_id", "id", "uuid"),
    "config_name": ("config_name", "config", "schema", "pipeline", "workflow"),
    "safety_level": ("safety_level",),
    "user_id": ("user_id", "user"),
    "session_id": ("session_id", "session"),
    "group_id": ("group_id", "group"),
}
_STARTS: Final = ("start_time", "started_at", "timestamp", "created_at", "created", "date", "time")
_ENDS: Final = ("status", "state")
_DAY_AND_TIME: Final = re.compile(
    r"(20\d\d)-?(\d\d)-?(\d\d)(?:[T_\- ]?(\d\d)[:\-]?(\d\d)[:\-]?(\d\d))?"
)
MOST_NOTES: Final = 10_000
MAX_FACT: Final = 256


@dataclass(frozen=True, slots=True)
class Note:
    """What the metadata say about one file.

    Attributes:
        place: In the order of being named, from 0.
        told: What they call it: all short texts beside its name.
        time_us: When it was made, microseconds since 1970 UTC; None: they do not say.
    """

    place: int
    told: tuple[str, ...]
    time_us: int | None


def facts_in(form: JsonObject) -> dict[str, str]:
    """Return the facts of an execution, by our names; those that are not there are left out."""
    facts = {}
    for name, keys in _NAMES.items():
        told = (form.get(key) for key in keys)
        found = next((one for one in told if isinstance(one, str | int) and str(one)), None)
        if found is not None and not isinstance(found, bool):
            facts[name] = str(found)[:MAX_FACT]
    if "safety_level" in facts:
        facts["safety_level"] = facts["safety_level"].lower()
    return facts


def state_in(form: JsonObject) -> ExecutionState | None:
    """Return how the execution ended; None: it is not said."""
    told = next((form[key] for key in _ENDS if isinstance(form.get(key), str)), "")
    return STATES.get(told.lower())


def start_in(form: JsonObject, folder: str) -> int | None:
    """Return when it began, microseconds since 1970 UTC; None: nothing tells.

    Args:
        form: The metadata.
        folder: Path of the run; the time may be in the names.
    """
    for key in _STARTS:
        if (moment := time_us(form.get(key))) is not None:
            return moment
    for part in reversed(PurePosixPath(folder).parts):
        if found := _DAY_AND_TIME.search(part):
            year, month, day, *clock = found.groups(default="00")
            return time_us(f"{year}-{month}-{day}T{':'.join(clock)}")
    return None


def notes_in(form: JsonObject, paths: list[str]) -> dict[str, Note]:
    """Return what the metadata say about files.

    Args:
        form: The metadata.
        paths: The files, by their paths inside of the folder.
    """
    by_name = {PurePosixPath(path).name: path for path in paths} | {path: path for path in paths}
    notes: dict[str, Note] = {}
    for one in _objects(form):
        texts = [value for value in one.values() if isinstance(value, str)]
        path = next((by_name[text] for text in texts if text in by_name), None)
        if path is None or path in notes or len(notes) >= MOST_NOTES:
            continue
        told = tuple(text for text in texts if text not in by_name and len(text) <= MAX_FACT)
        times = (time_us(one.get(key)) for key in _STARTS)
        moment = next((time for time in times if time is not None), None)
        notes[path] = Note(len(notes), told, moment)
    return notes


def _objects(value: Any) -> Iterator[JsonObject]:
    """Yield all objects in a JSON value, in the order of the text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += reversed(one.values())
        elif isinstance(one, list):
            waiting += reversed(one)
