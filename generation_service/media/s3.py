"""The media store in an S3-compatible bucket, for deployments beyond one machine.

`obstore` (MIT; Apache Arrow's object_store in Rust) does the protocol: it is asyncio without
threads of ours, cuts large files into parts, signs addresses, and is one wheel without
dependencies. aiobotocore pins botocore to narrow ranges, and boto3 would need a thread per file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store

from generation_service.media.interface import (
    CHUNK_BYTES,
    MediaNotFoundError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from obstore.store import S3Config

    from generation_service.media.bucket import Bucket

PART_BYTES = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
_CONNECT_SECONDS = 5
_REQUEST_SECONDS = 300  # of one request, its body included
_RETRIES = 3
_RETRY_SECONDS = 20


class S3MediaStore:
    """A `MediaStore` in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        """Use a bucket; nothing is asked of it yet."""
        self._prefix = bucket.prefix.strip("/")
        self._store = S3Store(
            bucket.name,
            config=_config(bucket),
            client_options={
                "allow_http": bucket.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                "timeout": timedelta(seconds=_REQUEST_SECONDS),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
            },
        )

    async def write(self, key: str, data: bytes) -> None:
        """See `MediaStore.write`; large files go in parts, the bucket shows them when whole."""
        if await self.size(key) is not None:
            return
        try:
            if len(data) <= PART_BYTES:
                await obstore.put_async(self._store, self._path(key), data, mode="create")
                return
            await obstore.put_async(
                self._store,
                self._path(key),
                data,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except (AlreadyExistsError, PreconditionError):
            return  # another replica was faster
        except (BaseError, OSError) as exc:
            raise StoreUnavailableError from exc

    async def size(self, key: str) -> int | None:
        """See `MediaStore.size`."""
        try:
            return (await obstore.head_async(self._store, self._path(key)))["size"]
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as exc:
            raise StoreUnavailableError from exc

    async def read(self, key: str, offset: int) -> AsyncGenerator[bytes, None]:
        """See `MediaStore.read`."""
        if offset and offset == await self.size(key):
            return  # S3 calls an empty rest an invalid range
        try:
            found = await obstore.get_async(
                self._store,
                self._path(key),
                options={"range": {"offset": offset}} if offset else None,
            )
            async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                view = memoryview(piece)
                for start in range(0, len(view), CHUNK_BYTES):
                    yield bytes(view[start : start + CHUNK_BYTES])
        except (NotFoundError, FileNotFoundError) as exc:
            raise MediaNotFoundError from exc
        except (BaseError, OSError) as exc:
            raise StoreUnavailableError from exc

    async def delete(self, prefix: str) -> None:
        """See `MediaStore.delete`."""
        path = self._path(prefix)
        try:
            async for found in obstore.list(self._store, prefix=path):
                await obstore.delete_async(self._store, [each["path"] for each in found])
            await obstore.delete_async(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as exc:
            raise StoreUnavailableError from exc

    async def signed_url(self, key: str, seconds: float) -> str:
        """See `MediaStore.signed_url`; made without asking the server."""
        return await obstore.sign_async(
            self._store, "GET", self._path(key), timedelta(seconds=seconds)
        )

    async def close(self) -> None:
        """See `MediaStore.close`: the connections end with the object."""

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key


def _config(bucket: Bucket) -> S3Config:
    config: S3Config = {}
    if bucket.endpoint:
        config["endpoint"] = bucket.endpoint
    if bucket.region:
        config["region"] = bucket.region
    if bucket.access_key_id is not None and bucket.secret_access_key is not None:
        config["access_key_id"] = bucket.access_key_id.get_secret_value()
        config["secret_access_key"] = bucket.secret_access_key.get_secret_value()
    return config
