"""A stand-in ComfyUI server, faithful to the recorded real one; see tests/unit/fakes/README.md."""

from tests.fakes.comfyui.process import ComfyUIProcess
from tests.fakes.comfyui.random_faults import RandomFaults
from tests.fakes.comfyui.server import ComfyUIServer
from tests.fakes.comfyui.switches import HttpFault, RunFault, Switches
from tests.fakes.comfyui.watermark import prompt_id_of

__all__ = [
    "ComfyUIProcess",
    "ComfyUIServer",
    "HttpFault",
    "RandomFaults",
    "RunFault",
    "Switches",
    "prompt_id_of",
]
