"""How large the parameters of an order may be: they are stored, sent on and shown to people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from servicekit.nesting import MAX_DEPTH, is_deeper_than

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generation_service.backends.interface import MediaParameters

MAX_TEXT_CHARACTERS = 20_000
MAX_EXTRA_CHARACTERS = 1024 * 1024
MAX_ENTRIES = 64
"""Most LoRAs, and most files that something is made from."""


def oversized(parameters: MediaParameters) -> Iterator[tuple[str, str]]:
    """Yield the fields that hold too much, each with what is wrong with it."""
    for name, value in parameters.others.items():
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
            yield f"parameters.{name}", f"At most {MAX_TEXT_CHARACTERS} characters."
        if isinstance(value, list) and len(value) > MAX_ENTRIES:
            yield f"parameters.{name}", f"At most {MAX_ENTRIES} entries."
    if len(parameters.input_media) > MAX_ENTRIES:
        yield "parameters.input_media", f"At most {MAX_ENTRIES} files."
    if not parameters.extra:
        return
    if is_deeper_than(parameters.extra):
        yield "parameters.extra_json", f"Nested more than {MAX_DEPTH} deep."
    elif len(json.dumps(parameters.extra, ensure_ascii=False)) > MAX_EXTRA_CHARACTERS:
        yield "parameters.extra_json", "At most 1 MiB."
