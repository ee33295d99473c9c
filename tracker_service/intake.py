"""The tracker's edge: what an item must look like before it is stored.

One faulty item is refused alone, with a reason that its producer can act on; the others of its
batch are kept. Nothing behind this module needs to doubt a field again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import structlog

from tracker_service.items import Refusal

if TYPE_CHECKING:
    from tracker_service.items import ExecutionItem, MediaRef
    from tracker_service.taxonomy import Taxonomy

log = structlog.get_logger(__name__)

MAX_CONTENT_BYTES: Final = 1024 * 1024
MAX_PLAN_BYTES: Final = 1024 * 1024
MAX_NAME: Final = 256
MAX_URI: Final = 1024
MAX_SEQUENCE_NUMBER: Final = 2**53
"""Numbers beyond could not be counted up, nor be read by JavaScript."""
MIN_TIME_US: Final = -62_135_596_800_000_000  # year 1
MAX_TIME_US: Final = 253_402_300_799_999_999  # year 9999
MAX_DURATION_US: Final = 10 * 366 * 86_400 * 1_000_000  # ten years

_EXECUTION_ID: Final = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ITEM_TYPE: Final = re.compile(r"[a-z0-9_]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def is_execution_id(text: str) -> bool:
    """Tell whether `text` may name an execution."""
    return _EXECUTION_ID.fullmatch(text) is not None


def is_plan(plan_digest: str, plan_json: bytes) -> bool:
    """Tell whether a plan is what its digest says, and small enough; a wrong one is logged."""
    right = (
        len(plan_json) <= MAX_PLAN_BYTES and hashlib.sha256(plan_json).hexdigest() == plan_digest
    )
    if not right:
        log.warning("plan_refused", size_bytes=len(plan_json))
    return right


def check_item(item: ExecutionItem, taxonomy: Taxonomy) -> None:
    """Check everything about an item that can be known without its execution.

    Its metadata were checked when they were read.

    Args:
        item: The item.
        taxonomy: The rules of stages and iterations.

    Raises:
        Refusal: What is wrong with it first.
    """
    if _UUID.fullmatch(item.item_id) is None:
        raise Refusal("INVALID_ID", "`item_id` must be a UUID in lower-case text form.")
    if _EXECUTION_ID.fullmatch(item.execution_id) is None:
        raise Refusal(
            "INVALID_ID", "`execution_id` must be 1 to 64 characters of `A-Z a-z 0-9 . _ : -`."
        )
    if item.epoch < 1:
        raise Refusal("EPOCH_INVALID", "`epoch` counts from 1.")
    if not 1 <= item.sequence_number <= MAX_SEQUENCE_NUMBER:
        raise Refusal("SEQUENCE_INVALID", "`sequence_number` must be from 1 to 2^53.")
    if not MIN_TIME_US <= item.occur_time_us <= MAX_TIME_US:
        raise Refusal("TIME_INVALID", "`occur_time` must lie in the years 1 to 9999.")
    if not 0 <= item.stage <= 5:
        raise Refusal("STAGE_MISMATCH", "`stage` must be from 0 to 5.")
    _check_iterations(item)
    if _ITEM_TYPE.fullmatch(item.item_type) is None:
        raise Refusal("ITEM_TYPE_INVALID", "`item_type` must be 1 to 64 characters of `a-z 0-9 _`.")
    _check_sizes(item)
    if item.media is not None:
        _check_media(item.media)
    taxonomy.check(item.item_type, item.stage, item.stage_iteration, item.loop_iteration)


def _check_iterations(item: ExecutionItem) -> None:
    if item.stage_iteration is not None and item.stage_iteration < 1:
        raise Refusal("ITERATION_INVALID", "`stage_iteration` counts from 1.")
    if item.loop_iteration is not None and item.loop_iteration < 1:
        raise Refusal("ITERATION_INVALID", "`loop_iteration` counts from 1.")


def _check_sizes(item: ExecutionItem) -> None:
    content = item.content
    # Encoding only what could be too long: a code point takes 4 bytes at most.
    if content and 4 * len(content) > MAX_CONTENT_BYTES < len(content.encode()):
        raise Refusal("CONTENT_TOO_LARGE", "`content` is over 1 MiB; store it as media.")
    longest = max(
        len(item.config_used),
        len(item.model_used),
        len(item.backend_used),
        len(item.backend_job_id),
    )
    if longest > MAX_NAME:
        raise Refusal("NAME_TOO_LONG", "Names of config, model, backend and job: 256 characters.")
    if item.run_duration_us is not None and not 0 <= item.run_duration_us <= MAX_DURATION_US:
        raise Refusal("DURATION_INVALID", "`run_duration` must be from 0 to 10 years.")


def _check_media(media: MediaRef) -> None:
    if not 1 <= len(media.uri) <= MAX_URI:
        raise Refusal("MEDIA_INVALID", "`media.uri` must be 1 to 1 024 characters.")
    if media.sha256 and _SHA256.fullmatch(media.sha256) is None:
        raise Refusal("MEDIA_INVALID", "`media.sha256` must be 64 lower-case hexadecimal digits.")
    if media.size_bytes < 0:
        raise Refusal("MEDIA_INVALID", "`media.size_bytes` must not be negative.")
    if max(len(media.mime_type), len(media.filename)) > MAX_NAME:
        raise Refusal("MEDIA_INVALID", "`media.mime_type` and `media.filename`: 256 characters.")
