"""Tamper evidence and erasure through the front door."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from servicekit.errors import Code
from servicekit.server import start_server
from servicekit.settings import ServiceSettings
from stellwerk.generation.v1 import generation_service_pb2 as generation_pb2
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from tests.fakes.partial import add_partial_service
from tests.integration.tracker import (
    ANNA,
    BERTA,
    TEACHER,
    failure,
    make_item,
    make_run,
    make_start,
    running_tracker,
)
from tests.searching import holders
from tests.support import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    import grpc


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


class MediaStore:
    """The neighbour that keeps media; notes what it was told to erase."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.erased: list[str] = []

    async def delete_media(
        self, request: generation_pb2.DeleteMediaRequest, _: Any
    ) -> generation_pb2.DeleteMediaResponse:
        """Note the execution or person."""
        self.erased.append(request.execution_id or request.user_id)
        return generation_pb2.DeleteMediaResponse()

    async def register(self, server: grpc.aio.Server, _: Any) -> list[str]:
        """Add it to a server."""
        service = generation_pb2.DESCRIPTOR.services_by_name["GenerationService"]
        return [add_partial_service(server, service, {"DeleteMedia": self.delete_media})]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve it; yields its address."""
        settings = ServiceSettings(listen_address="127.0.0.1:0", grace_seconds=1)
        async with start_server(settings, self.register) as neighbour:
            yield neighbour.address


async def test_erased_person_leaves_no_byte(tmp_path: Path) -> None:
    """After EraseUser nothing below the data folder holds a byte of the person's text or name."""
    secret, other = "Zitronenfalter", "Gänseblümchen"
    async with (
        MediaStore().running() as address,
        running_tracker(tmp_path, generation_address=address) as tracker,
    ):
        for number in range(20):
            mine = make_run(f"a{number}", 6, user="annalena")
            mine[1].content = f"Ein {secret} Nummer {number} " * 50
            mine[2].metadata_json = f'{{"messages": ["{secret}"]}}'.encode()
            await tracker.record(*mine)
            theirs = make_run(f"b{number}", 6, user="berta")
            theirs[1].content = other
            await tracker.record(*theirs)
        path = tracker.files / "dada" / "a0.json"
        await eventually(path.exists)
        assert holders(tmp_path, secret)
        receipt = (await tracker.stub.EraseUser(pb.EraseUserRequest(user_id="annalena"))).receipt
        assert receipt.state == pb.ERASURE_STATE_DONE
        assert (receipt.execution_count, receipt.item_count) == (20, 120)
        assert receipt.HasField("done_time")
        assert receipt.notice
        for text in (secret, "annalena"):
            assert holders(tmp_path, text) == []
        assert holders(tmp_path, other)
        assert not path.exists()
        for name in ("a3", "b3"):
            found = await tracker.stub.VerifyChain(pb.VerifyChainRequest(execution_id=name))
            assert (found.state, found.erased) == (pb.CHAIN_STATE_VALID, name == "a3")
    assert holders(tmp_path, secret) == []


async def test_late_run_of_an_erased_person_leaves_nothing(tmp_path: Path) -> None:
    """What a spool brings after EraseUser is acked, dropped, and its media are erased."""
    media = MediaStore()
    async with (
        media.running() as address,
        running_tracker(tmp_path, generation_address=address) as tracker,
    ):
        erase = pb.EraseUserRequest(user_id="annalena")
        receipt = (await tracker.stub.EraseUser(erase)).receipt
        assert receipt.state == pb.ERASURE_STATE_DONE
        late = make_run("late", 5, user="annalena")  # of 2023
        late[1].content = "Zitronenfalter"
        acks = [await tracker.record(item) for item in late]
        assert [(ack.accepted_count, ack.erased_count) for ack in acks] == [(1, 1)] * 5
        await eventually(lambda: "late" in media.erased, within_seconds=60)
        summary = (await tracker.read("late")).summary
        assert (summary.erased, summary.user_id, summary.item_count) == (True, "", 0)
        back = make_run("back", user="annalena")
        for item in back:
            item.occur_time.GetCurrentTime()
        assert (await tracker.record(*back)).erased_count == 0
        assert not holders(tmp_path, "Zitronenfalter")


async def test_receipt_waits_for_media(tmp_path: Path) -> None:
    """While the service that keeps the media is away, the receipt is pending and says so."""
    address = f"127.0.0.1:{free_port()}"
    async with running_tracker(tmp_path, generation_address=address) as tracker:
        item = make_item("e", 2, "user_input_image", stage=1)
        item.media.uri = "media/ab/ab.png"
        await tracker.record(make_start("e"), item)
        receipt = (await tracker.stub.EraseUser(pb.EraseUserRequest(user_id="anna"))).receipt
        # What the execution made, and what the person uploaded.
        assert (receipt.state, receipt.pending_count) == (pb.ERASURE_STATE_PENDING, 2)
        again = await tracker.stub.GetErasure(pb.GetErasureRequest(receipt_id=receipt.receipt_id))
        assert again.receipt == receipt
        assert (await tracker.read("e")).summary.erased


async def test_uploads_of_somebody_without_a_run_are_erased(tmp_path: Path) -> None:
    """A person who only uploaded something is told of to the media store, too."""
    media = MediaStore()
    async with (
        media.running() as address,
        running_tracker(tmp_path, generation_address=address) as tracker,
    ):
        receipt = (await tracker.stub.EraseUser(pb.EraseUserRequest(user_id="anna"))).receipt
        assert (receipt.state, receipt.execution_count) == (pb.ERASURE_STATE_DONE, 0)
    assert media.erased == ["anna"]


async def test_executions_are_deleted_by_filter(tmp_path: Path) -> None:
    """A dry run counts what a filter means; the real one erases just that, once."""
    async with running_tracker(tmp_path) as tracker:
        for name, config in (("a", "dada"), ("b", "dada"), ("c", "bauhaus")):
            await tracker.record(*make_run(name, config_name=config))
        request = pb.DeleteExecutionsRequest(config_name="dada", dry_run=True)
        dry = await tracker.stub.DeleteExecutions(request)
        assert (dry.matched_count, dry.HasField("receipt")) == (2, False)
        request.dry_run = False
        real = await tracker.stub.DeleteExecutions(request)
        assert (real.matched_count, real.receipt.execution_count) == (2, 2)
        again = await tracker.stub.DeleteExecutions(request)
        assert (again.matched_count, again.HasField("receipt")) == (0, False)
        erased = {name: (await tracker.read(name)).summary.erased for name in "abc"}
        assert erased == {"a": True, "b": True, "c": False}
        late = await tracker.record(make_item("a", 9))
        assert (late.accepted_count, late.erased_count) == (1, 1)


async def test_erasing_others_needs_an_admin(tmp_path: Path) -> None:
    """People may erase themselves; others' data, and by filter, only an admin may erase."""
    async with running_tracker(tmp_path) as tracker:
        await tracker.record(*make_run("e"))
        calls: dict[str, Awaitable[Any]] = {
            "ERASURE_NOT_ALLOWED": tracker.stub.EraseUser(
                pb.EraseUserRequest(user_id="anna"), metadata=BERTA
            ),
            "INVALID_ID": tracker.stub.EraseUser(pb.EraseUserRequest()),
            "FILTER_MISSING": tracker.stub.DeleteExecutions(pb.DeleteExecutionsRequest()),
            "RECEIPT_NOT_FOUND": tracker.stub.GetErasure(pb.GetErasureRequest(receipt_id="x")),
        }
        for reason, call in calls.items():
            assert (await failure(call)).reason == reason
        delete = pb.DeleteExecutionsRequest(config_name="dada")
        status = await failure(tracker.stub.DeleteExecutions(delete, metadata=ANNA))
        assert status.code == Code.PERMISSION_DENIED
        own = await tracker.stub.EraseUser(pb.EraseUserRequest(user_id="anna"), metadata=ANNA)
        assert own.receipt.execution_count == 1


async def test_retention_erases_what_is_due(tmp_path: Path) -> None:
    """At the start and every day, ended records older than the first rule that fits are erased."""
    rules = [
        {"config": "study", "days": 36_500},
        {"status": "completed", "days": 30},
    ]
    names: dict[str, dict[str, Any]] = {"old": {}, "kept": {"config_name": "study"}}
    async with running_tracker(tmp_path) as tracker:  # the items are of 2023
        for name, facts in names.items():
            await tracker.record(*make_run(name, **facts))
        await tracker.record(*make_run("open")[:2])
    async with running_tracker(tmp_path, retention=rules, retention_dry_run=True) as tracker:
        assert not (await tracker.read("old")).summary.erased
    async with running_tracker(tmp_path, retention=rules) as tracker:

        async def erased() -> bool:
            return (await tracker.read("old")).summary.erased

        await eventually(erased)
        for name in ("kept", "open"):
            assert not (await tracker.read(name)).summary.erased
