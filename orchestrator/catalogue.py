"""What can be chosen: lists the loaded configs for clients, page by page."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from orchestrator.converters.words import MEDIA_TYPES
from servicekit.errors import InvalidArgumentError, NotFoundError
from stellwerk.common.v1 import types_pb2
from stellwerk.orchestrator.v1 import orchestrator_service_pb2 as pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.configs.localized import LocalizedText
    from orchestrator.configs.model import ConfigSet

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000


class Catalogue:
    """Answers ListConfigs and GetConfig from the present generation of configs."""

    def __init__(self, configs: Callable[[], ConfigSet]) -> None:
        self._configs = configs

    def page(self, request: pb2.ListConfigsRequest, learner: str | None) -> pb2.ListConfigsResponse:
        """Return one page of summaries, by kind and id.

        Args:
            request: What is asked.
            learner: Who asks, where that is somebody who sees no other learners' configs.

        Raises:
            InvalidArgumentError: PAGE_SIZE_INVALID or PAGE_TOKEN_INVALID.
        """
        size = request.page_size or DEFAULT_PAGE_SIZE
        if not 1 <= size <= MAX_PAGE_SIZE:
            raise InvalidArgumentError(
                "PAGE_SIZE_INVALID", f"Use 1 to {MAX_PAGE_SIZE}.", field="page_size"
            )
        after = _read_token(request.page_token)
        configs = self._configs()
        keys = [
            (pb2.CONFIG_KIND_INTERCEPTION, id_)
            for id_, config in sorted(configs.interception.items())
            if config.is_for(learner)
        ]
        keys += [(pb2.CONFIG_KIND_OUTPUT, id_) for id_ in sorted(configs.output)]
        wanted = [key for key in keys if key > after and request.kind in (0, key[0])]
        shown = wanted[:size]
        return pb2.ListConfigsResponse(
            configs=[_summary(configs, kind, id_) for kind, id_ in shown],
            next_page_token=_write_token(*shown[-1]) if len(wanted) > size else "",
        )

    def config(self, request: pb2.GetConfigRequest, learner: str | None) -> pb2.GetConfigResponse:
        """Return one config with everything that it refers to.

        Args:
            request: What is asked.
            learner: Who asks, where that is somebody who sees no other learners' configs.

        Raises:
            InvalidArgumentError: KIND_UNSPECIFIED.
            NotFoundError: CONFIG_NOT_FOUND.
        """
        configs = self._configs()
        if request.kind == pb2.CONFIG_KIND_INTERCEPTION:
            found = configs.interception.get(request.id)
            known = found is not None and found.is_for(learner)
            resolve: Callable[[str], str] = configs.resolved_interception
        elif request.kind == pb2.CONFIG_KIND_OUTPUT:
            known = request.id in configs.output
            resolve = configs.resolved_output
        else:
            raise InvalidArgumentError(
                "KIND_UNSPECIFIED", "Say INTERCEPTION or OUTPUT.", field="kind"
            )
        if not known:
            raise NotFoundError(
                "CONFIG_NOT_FOUND", "There is no such config; list them to choose one.", field="id"
            )
        return pb2.GetConfigResponse(
            config=_summary(configs, request.kind, request.id),
            resolved_json=resolve(request.id).encode(),
        )


def _summary(configs: ConfigSet, kind: pb2.ConfigKind.ValueType, id_: str) -> pb2.ConfigSummary:
    if kind == pb2.CONFIG_KIND_OUTPUT:
        output = configs.output[id_]
        return pb2.ConfigSummary(
            id=id_,
            kind=kind,
            name=_localized(output.name),
            description=_localized(output.description),
            digest=configs.output_digests[id_],
            media_type=MEDIA_TYPES[output.media_type],
            image_count=configs.input_image_count(output),
            tags=configs.tags_of(output),
            backend=output.backend,
            role=configs.chunks[output.chunk].role if output.chunk else "",
        )
    config = configs.interception[id_]
    needs = configs.pipelines[config.pipeline].input_requirements
    return pb2.ConfigSummary(
        id=id_,
        kind=kind,
        name=_localized(config.name),
        description=_localized(config.description),
        digest=configs.interception_digests[id_],
        text_count=needs.texts,
        image_count=needs.images,
        default_outputs=configs.outputs_of(config),
        accepts_context=config.accepts_context,
        tags=config.tags,
    )


def _localized(text: LocalizedText) -> types_pb2.LocalizedText:
    return types_pb2.LocalizedText(texts=dict(text.texts))


def _write_token(kind: int, id_: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{id_}".encode()).decode()


def _read_token(token: str) -> tuple[int, str]:
    if not token:
        return 0, ""
    try:
        kind, _, id_ = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        return int(kind), id_
    except (binascii.Error, ValueError) as exc:
        raise InvalidArgumentError(
            "PAGE_TOKEN_INVALID", "Use the token of the page before.", field="page_token"
        ) from exc
