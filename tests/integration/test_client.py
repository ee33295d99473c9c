"""The client against a server that can be told to break transfers in the middle."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as orchestrator_pb2
from stellwerk.tracker.v1 import export_service_pb2 as export_pb2
from stellwerk_client.client import StellwerkClient
from stellwerk_client.connections import seen_from_outside
from stellwerk_client.errors import DownloadBrokenError, ServerNotReachableError, StellwerkError
from tests.fakes.deployment import CHUNK, Deployment, serving_deployment
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

EXPORT = export_pb2.ExportExecutionsRequest(format=export_pb2.EXPORT_FORMAT_JSON)


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    """A server that plays all services."""
    async with serving_deployment(Deployment()) as deployment:
        yield deployment


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[StellwerkClient]:
    """A client of `deployment`."""
    async with StellwerkClient(deployment.address) as client:
        yield client


def run_of(*texts: str, config: str = "dada") -> orchestrator_pb2.RunExecutionRequest:
    """A request to run these texts."""
    return orchestrator_pb2.RunExecutionRequest(config=config, texts=texts)


def names_in(folder: Path) -> list[str]:
    """The names of all files in a folder."""
    return sorted(path.name for path in folder.iterdir())


class TestCalls:
    """Single calls and streams of events."""

    async def test_a_run_yields_its_events(self, client: StellwerkClient) -> None:
        """Events come in order, as the messages of the contract."""
        events = [event async for event in client.run(run_of("Blume", "Wiese"))]
        assert [event.text_delta.text for event in events] == ["Blume", "Wiese"]

    async def test_leaving_the_loop_closes_the_call(
        self, client: StellwerkClient, deployment: Deployment
    ) -> None:
        """The server sees at once that nobody listens any more."""
        events = client.run(run_of("Blume", config="endless"))
        await anext(events)
        await events.aclose()
        async with asyncio.timeout(30):
            assert await deployment.left.wait()

    async def test_a_run_has_a_time_limit(self, deployment: Deployment) -> None:
        """A run that never ends is ended by the client's own limit."""
        async with StellwerkClient(deployment.address, run_seconds=0.2) as client:
            with pytest.raises(StellwerkError) as caught:
                _ = [event async for event in client.run(run_of("Blume", config="endless"))]
        assert caught.value.code == "DEADLINE_EXCEEDED"

    async def test_a_refusal_names_code_reason_and_field(self, client: StellwerkClient) -> None:
        """What the server says about a fault can be read from one exception."""
        with pytest.raises(StellwerkError) as caught:
            _ = [event async for event in client.run(run_of())]
        error = caught.value
        assert (error.code, error.reason, error.field) == (
            "INVALID_ARGUMENT",
            "EMPTY_TEXT",
            "texts[0]",
        )
        assert error.message == "Say something."
        assert not isinstance(error, ServerNotReachableError)

    async def test_all_pages_are_read(
        self, client: StellwerkClient, deployment: Deployment
    ) -> None:
        """A list of several pages is one iteration."""
        ids = [config.id async for config in client.list_configs()]
        assert ids == list(deployment.config_ids)

    async def test_nobody_there_is_an_error_of_its_own(self) -> None:
        """An address without a server is told apart from a server that refuses."""
        async with StellwerkClient(f"127.0.0.1:{free_port()}") as client:
            with pytest.raises(ServerNotReachableError):
                await client.get_server_info()

    async def test_who_one_is_goes_along(self, deployment: Deployment) -> None:
        """User, session and group reach the server with every call."""
        async with StellwerkClient(deployment.address, user="u", session="s", group="g") as client:
            await client.get_server_info()
        assert deployment.seen["stellwerk-user"] == "u"
        assert deployment.seen["stellwerk-session"] == "s"
        assert deployment.seen["stellwerk-group"] == "g"

    async def test_a_key_is_shown(self, deployment: Deployment) -> None:
        """A key that the server does not know is refused, so it was shown."""
        async with StellwerkClient(deployment.address, api_key="unknown") as client:
            with pytest.raises(StellwerkError, match="CREDENTIALS_INVALID"):
                await client.get_server_info()

    @pytest.mark.parametrize(
        ("address", "server", "expected"),
        [
            ("127.0.0.1:50053", "127.0.0.1:50051", "127.0.0.1:50053"),
            ("127.0.0.1:50053", "school.example:50051", "school.example:50053"),
            ("localhost:50053", "[2001:db8::1]:50051", "[2001:db8::1]:50053"),
            ("generation:50053", "school.example:50051", "generation:50053"),
            ("dns:///generation:50053", "school.example:50051", "dns:///generation:50053"),
        ],
    )
    def test_neighbours_are_looked_for_where_the_server_is(
        self, address: str, server: str, expected: str
    ) -> None:
        """A loopback address that a remote server names means that server's machine."""
        assert seen_from_outside(address, server) == expected


class TestMedia:
    """Pictures, up and down."""

    async def test_bytes_and_files_are_uploaded(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """A file keeps its name, and its bytes arrive whole."""
        content = b"x" * 700_000
        media = await client.upload_media(content, filename="a.png")
        assert deployment.uploaded == ("a.png", content)
        assert media.sha256 == hashlib.sha256(content).hexdigest()
        file = tmp_path / "b.png"
        file.write_bytes(b"file")
        await client.upload_media(file)
        assert deployment.uploaded == ("b.png", b"file")

    async def test_a_missing_file_is_an_os_error(
        self, client: StellwerkClient, tmp_path: Path
    ) -> None:
        """A file that is not there fails before anything is sent."""
        with pytest.raises(FileNotFoundError):
            await client.upload_media(tmp_path / "none.png")

    async def test_a_broken_download_goes_on_where_it_was(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """Each piece is asked for once, however often the connection breaks."""
        deployment.breaks = 4
        file = tmp_path / "new" / "picture.png"
        media = await client.save_media("e", "picture", file)
        assert file.read_bytes() == deployment.media
        assert media.size_bytes == len(deployment.media)
        assert deployment.offsets == [0, CHUNK, 2 * CHUNK, 3 * CHUNK, 4 * CHUNK]
        pieces = [piece async for piece in client.read_media("e", "picture")]
        assert b"".join(pieces) == deployment.media

    async def test_a_damaged_download_leaves_no_file(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """Bytes that do not fit the hash are thrown away."""
        deployment.media_sha256 = "0" * 64
        with pytest.raises(DownloadBrokenError):
            await client.save_media("e", "picture", tmp_path / "picture.png")
        assert names_in(tmp_path) == []

    async def test_a_marked_file_is_whole_when_its_size_fits(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """A machine's mark changes the hash; then the announced size decides."""
        deployment.media_sha256 = "0" * 64
        deployment.marked_size = len(deployment.media)
        file = tmp_path / "picture.png"
        await client.save_media("e", "picture", file)
        assert file.read_bytes() == deployment.media
        deployment.marked_size += 1
        with pytest.raises(DownloadBrokenError):
            await client.save_media("e", "picture", tmp_path / "cut.png")

    async def test_a_mark_beside_a_file_is_saved_if_there_is_one(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """A model has one, a picture none; half of one is thrown away."""
        file = tmp_path / "cat.glb.c2pa"
        assert not await client.save_mark("e", "picture", file)
        deployment.manifest = b"manifest"
        assert await client.save_mark("e", "picture", file)
        assert file.read_bytes() == b"manifest"
        deployment.marked_size = 100
        with pytest.raises(DownloadBrokenError):
            await client.save_mark("e", "picture", tmp_path / "dog.glb.c2pa")
        with pytest.raises(StellwerkError, match="MEDIA_NOT_FOUND"):
            await client.save_mark("e", "other", tmp_path / "dog.glb.c2pa")
        assert names_in(tmp_path) == ["cat.glb.c2pa"]

    async def test_a_file_that_is_not_mine_is_not_found(
        self, client: StellwerkClient, tmp_path: Path
    ) -> None:
        """A refused download raises the server's refusal and leaves no file."""
        with pytest.raises(StellwerkError, match="MEDIA_NOT_FOUND"):
            await client.save_media("e", "other", tmp_path / "picture.png")
        assert names_in(tmp_path) == []


class TestExport:
    """Records as files."""

    async def test_an_export_survives_breaks(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """Within one call an export goes on after each break, and leaves only the file."""
        deployment.breaks = 3
        file = tmp_path / "records.json"
        assert await client.export_records(EXPORT, file) == len(deployment.export)
        assert file.read_bytes() == deployment.export
        assert names_in(tmp_path) == ["records.json"]
        assert deployment.cursors == ["", "1000", "2000", "3000"]

    async def test_an_export_is_taken_up_by_the_next_call(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """What a broken-off export has written is not fetched again."""
        file = tmp_path / "records.json"
        await broken_off(client, deployment, file)
        assert await client.export_records(EXPORT, file) == len(deployment.export)
        assert file.read_bytes() == deployment.export
        assert deployment.cursors == ["", "3000"]
        assert names_in(tmp_path) == ["records.json"]

    async def test_another_export_begins_anew(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """What another request has written is not mixed into this one."""
        file = tmp_path / "records.json"
        await broken_off(client, deployment, file)
        other = export_pb2.ExportExecutionsRequest(format=export_pb2.EXPORT_FORMAT_JSON_LINES)
        await client.export_records(other, file)
        assert file.read_bytes() == deployment.export
        assert deployment.cursors == ["", ""]

    async def test_a_forgotten_cursor_begins_anew(
        self, client: StellwerkClient, deployment: Deployment, tmp_path: Path
    ) -> None:
        """A server that does not know the cursor any more is asked from the beginning."""
        file = tmp_path / "records.json"
        await broken_off(client, deployment, file)
        deployment.forgets_cursors = True
        await client.export_records(EXPORT, file)
        assert file.read_bytes() == deployment.export
        assert deployment.cursors == ["", "3000", ""]


async def broken_off(client: StellwerkClient, deployment: Deployment, file: Path) -> None:
    """Try an export that fails after 3 000 bytes."""
    deployment.fails_at = 3_000
    with pytest.raises(StellwerkError, match="EXPORT_FAILED"):
        await client.export_records(EXPORT, file)
    assert file.name not in names_in(file.parent)
    deployment.fails_at = 0
