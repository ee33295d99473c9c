"""The test nodes that were installed on the recorded server; they misbehave by their inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui.node import (
    Blocked,
    Context,
    DependencyCycleError,
    NodeError,
    Result,
    WorkerDeathError,
    pause,
)

if TYPE_CHECKING:
    from tests.fakes.comfyui.node import Node

    Json = dict[str, Any]


async def _tick(context: Context, inputs: Json) -> Result:
    for tick in range(1, inputs["ticks"] + 1):
        await pause(inputs["tick_ms"] / 1000)
        await context.progress(tick, inputs["ticks"], None)
    return Result((inputs["image"],))


async def _sleep(context: Context, inputs: Json) -> Result:
    await pause(inputs["seconds"])
    return Result((inputs["image"],))


async def _fail(context: Context, inputs: Json) -> Result:
    kind = inputs["kind"]
    if kind in ("exit", "keyboard"):
        raise WorkerDeathError(kind)
    if kind == "oom":
        raise out_of_memory()
    if kind == "nonascii":
        raise NodeError("RuntimeError", "fehlgeschlagen: ü你好 😀")
    raise NodeError("ValueError", "probe failure")


def out_of_memory() -> NodeError:
    """Return what a node raises when the device has too little memory."""
    message = "Allocation on device 0 would exceed allowed memory. (probe)"
    return NodeError("torch.OutOfMemoryError", message)


async def _block(context: Context, inputs: Json) -> Result:
    return Result((Blocked(inputs["message"]),))


async def _cycle(context: Context, inputs: Json) -> Result:
    raise DependencyCycleError("Dependency cycle detected")


async def _text(context: Context, inputs: Json) -> Result:
    context.send_text(inputs["text"])
    return Result((inputs["image"],))


async def _bad_ui(context: Context, inputs: Json) -> Result:
    values: dict[str, list[Any]] = {
        "nan": [float("nan"), float("inf")],
        "tuple": ["a", 1],
        "bytes": [b"no JSON"],
    }
    return Result(ui={"values": values[inputs["kind"]]})


PROBE_NODES: dict[str, Node] = {
    "ProbeTick": _tick,
    "ProbeSleep": _sleep,
    "ProbeFail": _fail,
    "ProbeBlock": _block,
    "ProbeCycle": _cycle,
    "ProbeText": _text,
    "ProbeBadUI": _bad_ui,
}
