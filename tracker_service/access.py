"""Whose executions a caller may read and write.

The rights of a role stand in one table of the house; this module answers the other question, to
whom a record belongs, and the store applies the answer in every query.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicekit.principals import Role
from tracker_service.metadata import is_withheld, read_metadata

if TYPE_CHECKING:
    from servicekit.principals import Principal
    from tracker_service.items import ExecutionItem


@dataclass(frozen=True, slots=True)
class Audience:
    """Which executions a caller may read.

    Attributes:
        everything: All of them; the other fields do not matter then.
        session_id: Those of this session; empty: none by session.
        group_id: Those of this group; empty: none by group.
        sees_withheld: Whether content that was blocked for learners is shown.
    """

    everything: bool
    session_id: str = ""
    group_id: str = ""
    sees_withheld: bool = True

    def may_read(self, session_id: str, group_id: str) -> bool:
        """Tell whether an execution of this session and group is the caller's to read."""
        if self.everything:
            return True
        own_session = bool(self.session_id) and self.session_id == session_id
        own_group = bool(self.group_id) and self.group_id == group_id
        return own_session or own_group

    def shown(self, item: ExecutionItem) -> ExecutionItem:
        """Return `item` as the caller may see it.

        Withheld content is cleared for learners; stack traces are for researchers and admins.
        """
        if not self.everything and item.item_type == "pipeline_error":
            facts = read_metadata(item.metadata_json)
            if facts.pop("stack_trace", None) is not None:
                item = item._replace(metadata_json=json.dumps(facts, ensure_ascii=False))
        if self.sees_withheld or not is_withheld(item.metadata_json):
            return item
        return item._replace(content=None, media=None)


EVERYTHING = Audience(everything=True)
"""What the tracker itself reads, for its files."""


def audience_of(principal: Principal) -> Audience:
    """Return what `principal` may read."""
    if principal.role is Role.LEARNER:
        return Audience(False, session_id=principal.session, sees_withheld=False)
    if principal.role is Role.TEACHER:
        return Audience(False, session_id=principal.session, group_id=principal.group)
    return EVERYTHING


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes items.

    Attributes:
        trusted: A service or admin, who records for others; the items say for whom.
        user_id: The caller.
        session_id: The caller's session.
        group_id: The caller's group.
    """

    trusted: bool
    user_id: str
    session_id: str
    group_id: str


def writer_of(principal: Principal) -> Writer:
    """Return `principal` as a writer; what counts is who authenticated, not for whom."""
    return Writer(
        trusted=principal.actor in (Role.SERVICE, Role.ADMIN),
        user_id=principal.id,
        session_id=principal.session,
        group_id=principal.group,
    )
