"""The file of API keys."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from servicekit.api_keys import create_key, list_keys, revoke_key
from servicekit.principals import Role
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_file_holds_no_key(tmp_path: Path) -> None:
    """Only a hash is stored, and only the owner may read it."""
    path = tmp_path / "new" / "keys.json"
    key = create_key(path, role=Role.LEARNER, user="lea", session="s1", group="4b")
    [entry] = list_keys(path)
    assert key.startswith(f"sw_{entry.id}_")
    assert key.removeprefix(f"sw_{entry.id}_") not in path.read_text()
    assert entry.hash.startswith("$argon2id$")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (entry.role, entry.user, entry.session, entry.group) == ("learner", "lea", "s1", "4b")
    assert entry.created.utcoffset() is not None


def test_keys_are_added_and_removed(tmp_path: Path) -> None:
    """Making and revoking keys leaves the others alone, and no temporary file behind."""
    path = tmp_path / "keys.json"
    for user in ("a", "b", "c"):
        create_key(path, role=Role.TEACHER, user=user)
    second = list_keys(path)[1]
    assert revoke_key(path, second.id)
    assert [entry.user for entry in list_keys(path)] == ["a", "c"]
    assert not revoke_key(path, second.id)
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("user", ["", "two words", "x" * 65, "käthe"])
def test_a_bad_user_gets_no_key(tmp_path: Path, user: str) -> None:
    """Names that could not travel as metadata are refused before anything is written."""
    with pytest.raises(ValueError):
        create_key(tmp_path / "keys.json", role=Role.LEARNER, user=user)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": [{"id": "x"}]}', '{"keys": [], "more": 1}', "\x00"]
)
def test_a_faulty_file_is_named(tmp_path: Path, text: str) -> None:
    """A file that is no key file is a fault that names it."""
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"keys\.json is faulty"):
        list_keys(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A key file that is not there is a fault that names it."""
    with pytest.raises(ConfigurationError, match=r"keys\.json: No such file"):
        list_keys(tmp_path / "keys.json")
