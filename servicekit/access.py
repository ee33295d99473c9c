"""The table of role and RPC, read from `access.toml` beside this file.

One file for all services, so that a person can review in one place who may do what. An RPC
without a row may be called by nobody.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from servicekit.principals import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

ANYONE = "anyone"


@dataclass(frozen=True)
class AccessTable:
    """Who may call what.

    Attributes:
        public: Full method names (`/package.Service/Rpc`) that need no credential.
        rights: Full method name to the roles that may call it.
    """

    public: frozenset[str]
    rights: Mapping[str, frozenset[Role]]

    def is_public(self, method: str) -> bool:
        """Tell whether `method` needs no credential."""
        return method in self.public

    def allows(self, actor: Role, method: str) -> bool:
        """Tell whether a caller that authenticated as `actor` may call `method`."""
        return method in self.public or actor in self.rights.get(method, frozenset())


def load_access_table() -> AccessTable:
    """Read the table that ships with this package."""
    text = resources.files(__package__).joinpath("access.toml").read_text(encoding="utf-8")
    return parse_access_table(text)


def parse_access_table(text: str) -> AccessTable:
    """Read a table.

    Args:
        text: TOML: a section per service, a row per RPC, its value the list of roles.

    Returns:
        The table.

    Raises:
        ValueError: It is no TOML, or names a role that does not exist.
    """
    public: set[str] = set()
    rights: dict[str, frozenset[Role]] = {}
    for service, rows in tomllib.loads(text).items():
        for rpc, roles in rows.items():
            method = f"/{service}/{rpc}"
            if roles == [ANYONE]:
                public.add(method)
            else:
                rights[method] = frozenset(Role(role) for role in roles)
    return AccessTable(public=frozenset(public), rights=rights)
