"""Who sees names: every reading RPC, asked by every role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import Code
from servicekit.principals import Role, identity_metadata
from stellwerk.tracker.v1 import export_service_pb2, tracker_service_pb2
from tests.integration.tracker import (
    Tracker,
    failure,
    make_item,
    make_run,
    make_start,
    read_all,
    running_tracker,
)
from tests.postgres import fresh_database
from tests.searching import layers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RESEARCHER = identity_metadata(user="rosa", session="s-annalena", role=Role.RESEARCHER)
"""Says to be of somebody else's session, which must not help."""
NAMES = ("annalena", "s-annalena", "klasse-7b")
PSEUDONYM = re.compile(r"(user|session|group)-[0-9a-f]{16}")
READING = (
    *("GetExecution", "ListExecutions", "WatchItems", "ListSessions", "GetSession"),
    *("GetStatistics", "GetPatterns", "ListConfigUsage", "VerifyChain"),
    *("JSON", "JSON_LINES", "CSV", "ZIP", "PROV_JSON", "RO_CRATE"),
)
NAMELESS = {"GetStatistics", "GetPatterns", "ListConfigUsage", "VerifyChain"}
"""These name nobody, whoever asks."""


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Tracker]:
    """A tracker with one execution of somebody in a class."""
    async with running_tracker(tmp_path) as tracker:
        await tracker.record(*make_run("e", user="annalena", group_id="klasse-7b"))
        yield tracker


async def read(tracker: Tracker, what: str, metadata: Any, **fields: Any) -> str:
    """Return all that an RPC tells, or an export."""
    if what.isupper():
        return await exported(tracker, what, metadata, **fields)
    if what in ("GetExecution", "WatchItems", "VerifyChain"):
        fields = {"execution_id": "e"}
    if what == "GetSession" and not fields:
        fields = {"session_id": await own_name(tracker, metadata)}
    request = getattr(tracker_service_pb2, f"{what}Request")(**fields)
    call = getattr(tracker.stub, what)(request, metadata=metadata)
    return repr(await read_all(call) if what == "WatchItems" else await call)


async def exported(tracker: Tracker, form: str, metadata: Any, **fields: Any) -> str:
    """Return an export as text, archives unpacked."""
    number = export_service_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{form}")
    request = export_service_pb2.ExportExecutionsRequest(format=number, **fields)
    chunks = await read_all(tracker.exports.ExportExecutions(request, metadata=metadata))
    return b"\n".join(layers(b"".join(chunk.data for chunk in chunks))).decode("utf-8", "replace")


async def own_name(tracker: Tracker, metadata: Any) -> str:
    """Return the name of the one session, as a caller sees it."""
    request = tracker_service_pb2.ListSessionsRequest()
    (session,) = (await tracker.stub.ListSessions(request, metadata=metadata)).sessions
    name: str = session.session_id
    return name


@pytest.mark.parametrize("role", list(Role))
async def test_only_researchers_see_no_names(tracker: Tracker, role: Role) -> None:
    """Each role × each reading RPC: researchers get pseudonyms, who may read else gets names."""
    who = identity_metadata(
        user="annalena" if role is Role.LEARNER else "somebody",
        session="s-annalena",
        group="klasse-7b",
        role=role,
    )
    for what in READING:
        told = await read(tracker, what, who)
        assert told
        hidden = not any(name in told for name in NAMES)
        assert hidden == (role is Role.RESEARCHER or what in NAMELESS), what
        if role is Role.RESEARCHER and what not in NAMELESS:
            assert PSEUDONYM.search(told), what


async def test_researchers_find_by_pseudonyms_only(tracker: Tracker) -> None:
    """A pseudonym filters like a name; a real name finds nothing, so none can be tried out."""
    told = (await tracker.read("e", RESEARCHER)).summary
    others = {"user_id": "annalena", "session_id": "s-annalena"}
    for field, real in others.items():
        for what in ("ListExecutions", "JSON_LINES"):
            found = await read(tracker, what, RESEARCHER, **{field: getattr(told, field)})
            assert "execution_id" in found
            assert "execution_id" not in await read(tracker, what, RESEARCHER, **{field: real})
    scope = tracker_service_pb2.GetStatisticsRequest(session_id=told.session_id)
    (row,) = (await tracker.stub.GetStatistics(scope, metadata=RESEARCHER)).rows
    assert row.execution_count == 1
    request = tracker_service_pb2.GetSessionRequest(session_id="s-annalena")
    status = await failure(tracker.stub.GetSession(request, metadata=RESEARCHER))
    assert (status.code, status.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


async def test_pseudonyms_are_the_same_everywhere(tracker: Tracker) -> None:
    """What a researcher reads, lists, watches and exports can be joined; also after a restart."""
    told = (await tracker.read("e", RESEARCHER)).summary
    for what in ("ListExecutions", "WatchItems", "JSON_LINES", "CSV"):
        assert told.user_id in await read(tracker, what, RESEARCHER)
    plain = await read(tracker, "JSON_LINES", RESEARCHER, pseudonymise=False)
    assert told.session_id in plain


async def test_own_records_stand_under_the_own_name(tracker: Tracker) -> None:
    """A researcher who runs something finds it as their own."""
    await tracker.record(*make_run("mine", user="rosa"))
    assert (await tracker.read("mine", RESEARCHER)).summary.user_id == "rosa"
    found = await read(tracker, "ListExecutions", RESEARCHER, user_id="rosa")
    assert '"mine"' in found
    assert '"e"' not in found


async def test_start_that_comes_while_watching_names_nobody(tracker: Tracker) -> None:
    """Who watches before anybody knows whose execution it is sees no name either."""
    await tracker.record(make_item("new", 2))
    request = tracker_service_pb2.WatchItemsRequest(execution_id="new")
    call = tracker.stub.WatchItems(request, metadata=RESEARCHER)
    items = aiter(call)
    await anext(items)
    await tracker.record(make_start("new", "annalena"))
    start = repr(await anext(items))
    call.cancel()
    assert "pipeline_start" in start
    assert "annalena" not in start


async def test_tracker_without_a_key_keeps_one(tmp_path: Path) -> None:
    """Who was told no key makes one, readable for its owner alone, and finds it after a restart."""
    found: list[str] = []
    for _ in range(2):
        async with running_tracker(tmp_path) as tracker:
            await tracker.record(*make_run(f"e{len(found)}"))
            found.append((await tracker.read("e0", RESEARCHER)).summary.user_id)
    assert found[0] == found[1]
    assert (tmp_path / "pseudonym.key").stat().st_mode & 0o077 == 0


async def test_without_any_key_no_name_is_handed_out(tmp_path: Path) -> None:
    """Trackers that share a database must be told a key; without one researchers read nothing."""
    async with running_tracker(tmp_path, database_url=fresh_database()) as tracker:
        await tracker.record(*make_run("e"))
        request = export_service_pb2.ExportExecutionsRequest(
            format=export_service_pb2.EXPORT_FORMAT_CSV
        )
        export = tracker.exports.ExportExecutions
        calls = [tracker.read("e", RESEARCHER), read_all(export(request, metadata=RESEARCHER))]
        request.pseudonymise = True
        calls.append(read_all(export(request)))
        for call in calls:
            error = await failure(call)
            assert error.code == Code.FAILED_PRECONDITION
            assert error.reason == "PSEUDONYM_KEY_MISSING"
