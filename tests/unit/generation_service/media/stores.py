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


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3-API server that forgets everything when it ends."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
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
