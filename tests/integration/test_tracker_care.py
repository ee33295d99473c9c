"""Tamper evidence and erasure through the front door."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from servicekit.errors import Code
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.integration.tracker import ANNA, TEACHER, failure, make_run, running_tracker

if TYPE_CHECKING:
    from pathlib import Path


async def test_tampering_behind_the_tracker_is_found(tmp_path: Path) -> None:
    """Whoever changes, removes or adds rows in the database is found out by VerifyChain."""
    tampering = {
        "changed": "UPDATE items SET content = 'Ein Baum' WHERE position = 2",
        "moved": "UPDATE items SET occur_time_us = occur_time_us + 1 WHERE position = 3",
        "removed": "DELETE FROM items WHERE position = 3",
        "unsealed": "UPDATE items SET seal = NULL WHERE position = 4",
    }
    states = {}
    async with running_tracker(tmp_path) as tracker:
        for name, statement in {"untouched": "", **tampering}.items():
            await tracker.record(*make_run(name))
            if statement:
                with contextlib.closing(sqlite3.connect(tmp_path / "tracker.sqlite3")) as other:
                    chosen = "(SELECT key FROM executions WHERE execution_id = ?)"
                    other.execute(f"{statement} AND execution_key = {chosen}", (name,))
                    other.commit()
            found = await tracker.stub.VerifyChain(pb.VerifyChainRequest(execution_id=name))
            assert (found.item_count, found.unchained_count, len(found.head)) == (4, 0, 64)
            states[name] = (found.state, found.position)
    assert states == {
        "untouched": (pb.CHAIN_STATE_VALID, 0),
        "changed": (pb.CHAIN_STATE_ITEM_CHANGED, 2),
        "moved": (pb.CHAIN_STATE_ITEM_CHANGED, 3),
        "removed": (pb.CHAIN_STATE_ITEM_MISSING, 3),
        "unsealed": (pb.CHAIN_STATE_ITEM_CHANGED, 4),
    }


async def test_chain_of_others_is_unknown(tmp_path: Path) -> None:
    """A chain can be verified by those who may read the record; an unknown one is NOT_FOUND."""
    async with running_tracker(tmp_path) as tracker:
        await tracker.record(*make_run("e", user="berta"))
        request = pb.VerifyChainRequest(execution_id="e")
        own = await tracker.stub.VerifyChain(request, metadata=TEACHER)
        assert own.state == pb.CHAIN_STATE_VALID
        for name, metadata in (("e", ANNA), ("none", TEACHER)):
            request = pb.VerifyChainRequest(execution_id=name)
            status = await failure(tracker.stub.VerifyChain(request, metadata=metadata))
            assert (status.code, status.reason) == (Code.NOT_FOUND, "EXECUTION_NOT_FOUND")
