"""Write files whole or not at all, because others read them at any time."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DamagedFileError(Exception):
    """The bytes that came are not those that were announced."""


@contextlib.contextmanager
def whole_file(path: Path, *, sha256: str | None = None) -> Iterator[Callable[[bytes], None]]:
    """Write a file piece by piece; a reader sees the old one or the new one, never a part.

    Args:
        path: Where; its folder is made.
        sha256: What its bytes must hash to; None: anything.

    Yields:
        A function that takes the next bytes.

    Raises:
        DamagedFileError: The hash is another one.
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        temporary = Path(file.name)

        def write(piece: bytes) -> None:
            digest.update(piece)
            file.write(piece)

        try:
            yield write
            if sha256 is not None and digest.hexdigest() != sha256:
                raise DamagedFileError(f"{path.name} arrived damaged; fetch it once more")
            file.flush()
            temporary.chmod(0o644)  # temporary files are readable for their owner alone
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
