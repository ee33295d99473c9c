"""Small documents in a JetStream stream: the newest message of a subject is the document.

That is what NATS calls a key-value bucket, without two of its rules that do not fit here: a deleted
key leaves nothing behind, and old versions can be overwritten, since they hold what people wrote.

Every change names the version that it changes, so of two who change a document one is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import structlog
from nats.errors import MaxPayloadError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    Header,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import (
    APIError,
    BadRequestError,
    NoStreamResponseError,
    NotFoundError,
)

from generation_service.queue.jetstream.access import LOST
from generation_service.queue.jetstream.link import heeding
from servicekit.settings import ConfigurationError

if TYPE_CHECKING:
    from generation_service.queue.jetstream.link import Link

log = structlog.get_logger(__name__)

_WRONG_VERSION = (10071, 10164)
_STREAM_EXISTS = 10058
_NO_CLUSTER = 10074
_RETRY_SECONDS = 0.1
_REFUSED_SECONDS = 2.0
_READ_SECONDS = 5.0
_VERSIONS = 64


class Document(NamedTuple):
    """A document as it was read.

    Attributes:
        value: Its content.
        version: Number of its last change in the stream.
        older: Numbers of the changes before that are still there, the first one first.
    """

    value: bytes
    version: int
    older: tuple[int, ...] = ()


class WrongVersionError(Exception):
    """Somebody else has changed the document."""


class DocumentTooLargeError(Exception):
    """The document does not fit into a message of the server."""


class Documents:
    """Documents by key; keys are words with dots between. Every call waits for NATS to be there."""

    def __init__(self, link: Link, name: str) -> None:
        """Name the documents; `prepare` them before use."""
        self._link = link
        self._stream = "_".join((*link.options.prefix.split("."), name)).upper()
        self._root = link.subject(name)

    async def prepare(self) -> None:
        """Make the stream where it is missing, and keep it on as many servers as is wanted.

        Raises:
            ConfigurationError: There is only one server, and more are wanted.
        """
        options = self._link.options
        config = StreamConfig(
            name=self._stream,
            description="Documents of Stellwerk's job queue",
            subjects=[f"{self._root}.>"],
            retention=RetentionPolicy.LIMITS,
            max_msgs_per_subject=_VERSIONS,
            discard=DiscardPolicy.OLD,
            storage=StorageType.MEMORY if options.in_memory else StorageType.FILE,
            num_replicas=options.replicas,
            allow_direct=False,  # what is read is what was written last, also in a cluster
        )
        while True:
            try:
                await heeding(self._link.jetstream.add_stream(config))
            except BadRequestError as exc:
                if exc.err_code != _STREAM_EXISTS:  # it may be there with other limits
                    raise
                await self._copy_to(options.replicas)
                return
            except APIError as exc:
                if exc.err_code == _NO_CLUSTER:
                    raise ConfigurationError(
                        f"GENERATION_NATS_REPLICAS={options.replicas} needs as many NATS servers, "
                        "joined to a cluster."
                    ) from exc
                log.warning("stream_refused", error=str(exc))  # such as a cluster that meets now
                await asyncio.sleep(_REFUSED_SECONDS)
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _copy_to(self, replicas: int) -> None:
        """Keep a stream that is there on as many servers as is wanted, if they are there, too."""
        jetstream = self._link.jetstream
        try:
            config = (await heeding(jetstream.stream_info(self._stream))).config
            if config.num_replicas != replicas:
                await heeding(jetstream.update_stream(config, num_replicas=replicas))
        except LOST as exc:
            log.warning("stream_not_copied", replicas=replicas, error=str(exc))

    async def get(self, key: str) -> Document | None:
        """Read a document; None: there is none."""
        while True:
            try:
                found = await heeding(
                    self._link.jetstream.get_last_msg(self._stream, self._subject(key))
                )
            except NotFoundError:
                return None
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return Document(found.data or b"", found.seq or 0)

    async def all(self, family: str) -> dict[str, Document]:
        """Read all documents whose keys begin with a word."""
        while True:
            try:
                return await self._read_all(family)
            except NotFoundError:
                await self.prepare()  # the server may have come back without its files
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)

    async def put(self, key: str, value: bytes, *, version: int | None = None) -> int:
        """Write a document.

        Args:
            key: Of the document.
            value: Its new content, different from every other version of it.
            version: The version that it replaces; 0: there must be none; None: whatever it is.

        Returns:
            The new version.

        Raises:
            WrongVersionError: It is another version.
            DocumentTooLargeError: It is larger than the server's `max_payload`.
        """
        expected: dict[str, str] = {}
        if version is not None:
            expected[Header.EXPECTED_LAST_SUBJECT_SEQUENCE] = str(version)
        while True:
            try:
                done = await heeding(
                    self._link.jetstream.publish(
                        self._subject(key), value, headers=expected or None
                    )
                )
            except APIError as exc:
                if exc.err_code not in _WRONG_VERSION:
                    log.warning("document_refused", error=str(exc))  # such as a full disk
                    await asyncio.sleep(_REFUSED_SECONDS)
                    continue
                found = await self.get(key)
                if found is not None and found.value == value:
                    return found.version  # our own write, whose answer was lost
                raise WrongVersionError(key) from exc
            except MaxPayloadError as exc:
                raise DocumentTooLargeError(key) from exc
            except NoStreamResponseError:
                await self.prepare()  # the server may have come back without its files
                await asyncio.sleep(_RETRY_SECONDS)
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return done.seq

    async def overwrite(self, version: int) -> None:
        """Overwrite the bytes of an old version, if it is still there."""
        while True:
            try:
                await heeding(self._link.jetstream.delete_msg(self._stream, version))
            except APIError:
                return  # it is not there
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def remove(self, key: str) -> None:
        """Remove a document with all its versions, if it is there."""
        while True:
            try:
                await heeding(
                    self._link.jetstream.purge_stream(self._stream, subject=self._subject(key))
                )
            except NotFoundError:
                return
            except LOST:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _read_all(self, family: str) -> dict[str, Document]:
        subject = f"{self._root}.{family}.>"
        state = (await heeding(self._link.jetstream.stream_info(self._stream, subject))).state
        found: dict[str, Document] = {}
        if not state.subjects:
            return found
        reading = await heeding(
            self._link.jetstream.subscribe(
                subject,
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE),
            )
        )
        try:
            while True:
                message = await heeding(reading.next_msg(timeout=_READ_SECONDS))
                key = message.subject.removeprefix(f"{self._root}.")
                last = found.get(key)
                older = (*last.older, last.version) if last else ()
                found[key] = Document(message.data, message.metadata.sequence.stream, older)
                if not message.metadata.num_pending:
                    return found
        finally:
            await reading.unsubscribe()

    def _subject(self, key: str) -> str:
        return f"{self._root}.{key}"
