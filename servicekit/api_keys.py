"""API keys: a JSON file of hashes, managed by the operator and read by the services.

A key reads `sw_<id>_<random>`: the id finds the entry, so that a wrong id costs no hashing and
nobody can keep a server busy with guesses. Argon2 takes some 50 ms, hence a thread, and a cache
of the keys that were already verified.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from servicekit.context import is_valid_id
from servicekit.errors import ResourceExhaustedError
from servicekit.principals import Principal, Role
from servicekit.settings import ConfigurationError, faults_of_file

log = structlog.get_logger(__name__)

KEY_PREFIX = "sw_"
_KEY = re.compile(KEY_PREFIX + r"([0-9a-f]{12})_[A-Za-z0-9_-]{32,64}")
_CONCURRENT_HASHES = 2  # Argon2 takes 64 MiB each
_WAITING_HASHES = 64


def _checked_id(text: str) -> str:
    if text and not is_valid_id(text):
        raise ValueError("expected up to 64 printable ASCII characters without spaces")
    return text


Id = Annotated[str, AfterValidator(_checked_id)]


class ApiKey(BaseModel):
    """One entry of the file.

    Attributes:
        id: The part of the key that may be shown.
        role: What its holder is.
        user: Whose it is.
        session: The session of all its calls.
        group: Class or workshop; may be empty.
        hash: Argon2 hash of the whole key.
        created: When it was made, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    role: Role
    user: Id
    session: Id
    group: Id = ""
    hash: str
    created: AwareDatetime

    def principal(self) -> Principal:
        """Return whom the holder of this key is."""
        return Principal(self.user, self.role, self.session, self.group, actor=self.role)


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[ApiKey] = []


def create_key(path: Path, *, role: Role, user: str, session: str = "", group: str = "") -> str:
    """Add a key to the file, which is made if it is not there.

    Args:
        path: The key file.
        role: What the holder is.
        user: Whose key it is.
        session: The session of all its calls; a new one of its own when empty.
        group: Class or workshop.

    Returns:
        The key itself, which is stored nowhere: show it once.

    Raises:
        ValueError: A name is no valid id, or `user` is empty.
        ConfigurationError: The file is there but faulty.
    """
    if not user:
        raise ValueError("a key needs a user")
    key_id = secrets.token_hex(6)
    secret = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    entry = ApiKey(
        id=key_id,
        role=role,
        user=user,
        session=session or f"key-{key_id}",
        group=group,
        hash=PasswordHasher().hash(secret),
        created=datetime.now(UTC),
    )
    _write(path, [*(list_keys(path) if path.exists() else []), entry])
    return secret


def list_keys(path: Path) -> list[ApiKey]:
    """Return the entries of the file, oldest first.

    Raises:
        ConfigurationError: The file is missing or faulty.
    """
    try:
        return _KeyFile.model_validate_json(path.read_bytes()).keys
    except OSError as exc:
        raise ConfigurationError(f"API key file {path}: {exc.strerror}") from exc
    except ValidationError as exc:
        raise ConfigurationError(f"API key file {path} is faulty: {faults_of_file(exc)}") from exc


def revoke_key(path: Path, key_id: str) -> bool:
    """Remove a key; services notice at once.

    Args:
        path: The key file.
        key_id: The id shown by `list_keys`.

    Returns:
        Whether there was such a key.

    Raises:
        ConfigurationError: The file is missing or faulty.
    """
    before = list_keys(path)
    after = [entry for entry in before if entry.id != key_id]
    if len(after) < len(before):
        _write(path, after)
    return len(after) < len(before)


def _write(path: Path, keys: list[ApiKey]) -> None:
    """Replace the file atomically, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_KeyFile(keys=keys).model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class ApiKeys:
    """The keys of one file, kept current."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Args:
            path: The key file.

        Raises:
            ConfigurationError: The file is missing or faulty.
        """
        self._path = path
        self._hasher = PasswordHasher()
        self._hashing = asyncio.Semaphore(_CONCURRENT_HASHES)
        self._waiting = 0
        self._stamp = self._current_stamp()
        self._entries = {entry.id: entry for entry in list_keys(path)}
        self._verified: dict[bytes, ApiKey] = {}

    async def principal(self, key: str) -> Principal | None:
        """Return whose key this is.

        Args:
            key: What the caller showed.

        Returns:
            The principal; None if the key is unknown, wrong or revoked.

        Raises:
            ResourceExhaustedError: TOO_MANY_KEYS: too many keys wait to be checked.
        """
        self._refresh()
        match = _KEY.fullmatch(key)
        entry = self._entries.get(match[1]) if match else None
        if entry is None:
            return None
        digest = hashlib.sha256(key.encode()).digest()
        if self._verified.get(digest) == entry or await self._verify(key, digest, entry):
            return entry.principal()
        return None

    async def _verify(self, key: str, digest: bytes, entry: ApiKey) -> bool:
        if self._waiting >= _WAITING_HASHES:  # whoever knows an id could have us hash for ever
            raise ResourceExhaustedError(
                "TOO_MANY_KEYS", "Too many keys are being checked; try again.", retry_seconds=1.0
            )
        self._waiting += 1
        try:
            async with self._hashing:
                # Somebody with the same key may have been first while we waited.
                if self._verified.get(digest) == entry:
                    return True
                if not await asyncio.to_thread(self._matches, entry.hash, key):
                    return False
                self._remember(digest, entry)
                return True
        finally:
            self._waiting -= 1

    def _matches(self, stored: str, key: str) -> bool:
        try:
            return self._hasher.verify(stored, key)
        except (Argon2Error, InvalidHashError):
            return False

    def _remember(self, digest: bytes, entry: ApiKey) -> None:
        # Only while it is still valid: it may have been revoked during the hashing. One secret
        # fits an entry, so there are never more digests than entries.
        if self._entries.get(entry.id) == entry:
            self._verified[digest] = entry

    def _current_stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _refresh(self) -> None:
        """Read the file again if it changed; a `stat` per call costs microseconds."""
        stamp = self._current_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            entries = list_keys(self._path) if stamp else []
        except ConfigurationError as exc:
            # Keep the last good set: a typing error must not lock out a class.
            log.warning("api_keys_not_reloaded", fault=str(exc))
            return
        self._entries = {entry.id: entry for entry in entries}
        self._verified.clear()
        log.info("api_keys_reloaded", key_count=len(entries))
