"""What a person may do: the table of role and RPC, asked before something is offered or done.

To the services the gateway is a service, which may call everything. So it is the gateway that holds
its user against the table: each of its calls (`check`), and what a page offers (`may`), which names
the RPC that stands behind a button.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from servicekit.access import load_access_table
from servicekit.errors import PermissionDeniedError
from servicekit.principals import Role, principal_or_none

if TYPE_CHECKING:
    from fastapi import Request


class Rights:
    """The table, for people at the gateway."""

    def __init__(self) -> None:
        """Read the table."""
        self._table = load_access_table()
        self._methods: defaultdict[str, list[str]] = defaultdict(list)
        for method in self._table.rights:
            self._methods[method.rpartition("/")[2]].append(method)

    def may(self, role: Role, rpc: str) -> bool:
        """Tell whether somebody may call an RPC of this name, such as `EraseUser`.

        Raises:
            ValueError: No service has it, or two have.
        """
        [method] = self._methods[rpc]
        return self._table.allows(role, method)

    def check(self, method: str) -> None:
        """Refuse a call that the person for whom it is made may not make.

        Args:
            method: `/package.Service/Rpc`.

        Raises:
            PermissionDeniedError: RPC_NOT_ALLOWED.
        """
        principal = principal_or_none()
        if principal is not None and not self._table.allows(principal.role, method):
            raise _not_for(principal.role)

    def demand(self, role: Role, rpc: str) -> None:
        """Refuse whoever may not call an RPC, before a page asks for anything.

        Raises:
            PermissionDeniedError: RPC_NOT_ALLOWED.
        """
        if not self.may(role, rpc):
            raise _not_for(role)


def rights_of(request: Request) -> Rights:
    """Return the rights that this app keeps."""
    found: Rights = request.app.state.rights
    return found


def _not_for(role: Role) -> PermissionDeniedError:
    return PermissionDeniedError("RPC_NOT_ALLOWED", f"This is not for a {role}.")
