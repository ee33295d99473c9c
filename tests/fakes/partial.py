"""Services of which a fake plays only some RPCs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor


def add_partial_service(
    server: grpc.aio.Server, service: ServiceDescriptor, rpcs: dict[str, Callable[..., Any]]
) -> str:
    """Serve some RPCs of a service; the others answer UNIMPLEMENTED.

    Args:
        server: Where to.
        service: The service, from its module's DESCRIPTOR.
        rpcs: Handlers by the name of the RPC.

    Returns:
        The full name of the service.
    """
    handlers = {name: _handler(service.methods_by_name[name], rpc) for name, rpc in rpcs.items()}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service.full_name, handlers),)
    )
    name: str = service.full_name
    return name


def _handler(method: MethodDescriptor, rpc: Callable[..., Any]) -> grpc.RpcMethodHandler[Any, Any]:
    sides = ("stream" if method.client_streaming else "unary") + (
        "_stream" if inspect.isasyncgenfunction(rpc) else "_unary"
    )
    make = getattr(grpc, f"{sides}_rpc_method_handler")
    handler: grpc.RpcMethodHandler[Any, Any] = make(
        rpc,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return handler
