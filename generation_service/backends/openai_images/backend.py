"""The media backend `openai_images`: pictures of a service that others run.

The prompt leaves the house here, and nothing else does: no name, no session, no file.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from generation_service.backends.interface import (
    MadeFile,
    MediaModelNotFoundError,
    MediaPlan,
)
from generation_service.backends.openai_images.dialects import DIALECTS, prompt_refused
from generation_service.backends.openai_images.fetching import PictureFetcher, resolve_host
from generation_service.backends.openai_images.options import (
    AnswerInvalidError,
    ServiceRefusedError,
    ServiceUnavailableError,
)
from generation_service.media.types import find_kind
from servicekit.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generation_service.backends.interface import MediaParameters, MediaRequest, Report
    from generation_service.backends.openai_images.dialects import Answer, Dialect
    from generation_service.backends.openai_images.fetching import Resolve
    from generation_service.backends.openai_images.options import ImageServiceOptions

log = structlog.get_logger()

_SCALARS = (str, int, float, bool)
_REFUSED_PROMPTS = ("content_policy_violation", "moderation_blocked", "content_filter")
_MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Pictures:
    """What a request brought.

    Attributes:
        files: The pictures.
        texts: Prompts as the service rewrote them, or what it said beside the pictures.
        request_id: The service's own id; empty: not told.
    """

    files: tuple[MadeFile, ...]
    texts: tuple[str, ...] = field(default=(), repr=False)
    request_id: str = ""


class OpenAIImagesBackend:
    """Asks one picture service; models are `images/<model>` or `chat/<model>`."""

    name = "openai_images"
    photographic = True
    leaves_site = True

    def __init__(self, options: ImageServiceOptions, *, resolve: Resolve = resolve_host) -> None:
        """Open the pools.

        Args:
            options: The service.
            resolve: How names of hosts become addresses.
        """
        # httpx logs every URL at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._options = options
        headers = {"Accept-Encoding": "identity", "User-Agent": "stellwerk"}
        if options.api_key:
            headers["Authorization"] = f"Bearer {options.api_key}"
        self._client = httpx.AsyncClient(
            base_url=options.base_url,
            headers=headers,
            timeout=httpx.Timeout(options.total_seconds, connect=options.connect_seconds),
            follow_redirects=False,
        )
        self._fetcher = PictureFetcher(options, resolve=resolve)

    def plan(self, request: MediaRequest) -> MediaPlan:
        """See `MediaBackend.plan`."""
        model = f"{self.name}/{request.model}"
        kind, _, rest = request.model.partition("/")
        dialect = DIALECTS.get(kind)
        if dialect is None or not rest or request.media_type != "image":
            raise MediaModelNotFoundError(model, request.media_type)
        asked = _asked(request.parameters)
        applied = {name: asked[name] for name in dialect.parameters if name in asked}
        return MediaPlan(
            backend=self.name,
            model=model,
            prompt=request.prompt,
            applied=applied,
            warnings=tuple(
                f"{name} is unknown to {model} and was not applied."
                for name in asked
                if name not in applied
            ),
            run_seconds=self._options.total_seconds,
        )

    async def make(self, plan: MediaPlan, report: Report) -> tuple[MadeFile, ...]:
        """See `MediaBackend.make`."""
        report(0.0, plan.model)
        made = await self.ask(plan)
        report(100.0, plan.model)
        return made.files

    async def ask(self, plan: MediaPlan) -> Pictures:
        """Make what was planned and tell all that came with it.

        Raises:
            AttemptFailedError: It did not work; the error says whether to try again.
        """
        kind, _, model = plan.model.removeprefix(f"{self.name}/").partition("/")
        dialect = DIALECTS[kind]
        try:
            async with asyncio.timeout(self._options.total_seconds):
                answer = await self._post(dialect, model, plan)
                files = [await self._picture(each) for each in answer.pictures]
        except TimeoutError as exc:
            raise ServiceUnavailableError("The picture service took too long.") from exc
        return Pictures(tuple(files), answer.texts, answer.request_id)

    async def close(self) -> None:
        """Close the pools."""
        await self._client.aclose()
        await self._fetcher.close()

    async def _post(self, dialect: Dialect, model: str, plan: MediaPlan) -> Answer:
        body = dialect.body(model, plan.prompt, plan.applied)
        try:
            request = self._client.build_request("POST", dialect.path, json=body)
            response = await self._client.send(request, stream=True)
            try:
                is_fine = response.status_code == httpx.codes.OK
                limit = self._options.max_answer_bytes if is_fine else _MAX_ERROR_BYTES
                content = await _bounded(response, limit)
            finally:
                await response.aclose()
        except httpx.HTTPError as exc:
            raise ServiceUnavailableError("The picture service does not answer.") from exc
        if not is_fine:
            raise _refusal(response.status_code, content)
        return dialect.read(await asyncio.to_thread(_parsed, content))

    async def _picture(self, source: str) -> MadeFile:
        if source.startswith(("http://", "https://")):
            data = await self._fetcher.fetch(source)
        else:
            data = await asyncio.to_thread(_decoded, source, self._options.max_picture_bytes)
        kind = find_kind(data)
        if kind is None or kind.family != "image":
            raise AnswerInvalidError("What the picture service sent is no picture.")
        return MadeFile(data)


async def _bounded(response: httpx.Response, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise AnswerInvalidError("The picture service's answer is too large.")
        pieces.append(piece)
    return b"".join(pieces)


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise AnswerInvalidError("The picture service's answer cannot be read.") from exc
    if not isinstance(answer, dict):
        raise AnswerInvalidError("The picture service's answer cannot be read.")
    if answer.get("error"):  # some send errors with status 200
        raise _refusal(httpx.codes.OK, content)
    return answer


def _decoded(source: str, limit: int) -> bytes:
    """Decode base64, bare or in a `data:` URL."""
    if source.startswith("data:"):
        head, _, source = source.partition(",")
        if not head.endswith(";base64"):
            raise AnswerInvalidError("What the picture service sent is no picture.")
    if len(source) > limit * 4 // 3 + 4:
        raise AnswerInvalidError("The picture is too large.")
    try:
        return base64.b64decode(source, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise AnswerInvalidError("What the picture service sent is no picture.") from exc


def _refusal(status: int, content: bytes) -> Exception:
    """Tell errors apart; the service's own words may repeat the prompt and stay here."""
    code = _error_code(content)
    if status == httpx.codes.OK and code.isdecimal():
        status = int(code)
    log.warning("image_service_refused", status=status, error_code=code[:64])
    if code in _REFUSED_PROMPTS:
        return prompt_refused()
    if status in (401, 403):
        return ServiceRefusedError(
            "The picture service does not accept our key.", reason="IMAGE_SERVICE_KEY_REFUSED"
        )
    if status == httpx.codes.PAYMENT_REQUIRED or code == "insufficient_quota":
        return ServiceRefusedError("The picture service's budget is used up.")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ServiceUnavailableError("The picture service is busy.")
    if status == httpx.codes.OK or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ServiceUnavailableError("The picture service has a fault.")
    return ServiceRefusedError("The picture service does not take this request.")


def _error_code(content: bytes) -> str:
    try:
        error = json.loads(content)["error"]
        code = error.get("code") or error.get("type") or ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return str(code)


def _asked(parameters: MediaParameters) -> dict[str, object]:
    """All that was asked for by name, width and height as the size that services know.

    Raises:
        InvalidArgumentError: PARAMETER_OUT_OF_RANGE.
    """
    if parameters.extra is None:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "Must be a JSON object.", field="parameters.extra_json"
        )
    asked = {**parameters.extra, **parameters.others}
    if parameters.seed is not None:
        asked["seed"] = parameters.seed
    if parameters.width and parameters.height:
        asked.setdefault("size", f"{parameters.width}x{parameters.height}")
    asked = {name: value for name, value in asked.items() if value not in (None, "", (), [])}
    violations = [
        (f"parameters.{name}", "Must be a number, a text, true or false.")
        for name, value in asked.items()
        if name in _SENT and not isinstance(value, _SCALARS)
    ]
    if violations:
        raise InvalidArgumentError(
            "PARAMETER_OUT_OF_RANGE", "A parameter is out of range.", violations=violations
        )
    return asked


_SENT = frozenset(name for dialect in DIALECTS.values() for name in dialect.parameters)
