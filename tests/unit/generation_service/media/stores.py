"""Stores to test against: a folder, and a bucket of a real S3-API server on this machine."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import httpx
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from generation_service.media.bucket import Bucket
from generation_service.media.s3 import S3MediaStore

if TYPE_CHECKING:
    from collections.abc import Iterator


class S3Server:
    """An S3-API server that can be stopped and started; what it keeps ends with the process."""

    def __init__(self) -> None:
        """Start it."""
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, again at the same address."""
        self._server = ThreadedMotoServer("127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3-API server."""
    server = S3Server()
    try:
        yield server.url
    finally:
        server.stop()


def new_bucket(server: str) -> Bucket:
    """An empty bucket."""
    name = f"media-{uuid.uuid4().hex}"
    httpx.put(f"{server}/{name}").raise_for_status()
    return Bucket(
        name,
        endpoint=server,
        region="us-east-1",
        access_key_id=SecretStr("key"),
        secret_access_key=SecretStr("secret"),
        prefix="school",
    )


def s3_store(server: str) -> S3MediaStore:
    """A store in an empty bucket."""
    return S3MediaStore(new_bucket(server))
