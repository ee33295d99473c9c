"""Everything that can be asked of the stand-in: durations, start flags and faults.

One flat object, so that a test reads `comfy.switches.stall_sockets = True`, a process takes
`--switch stall_sockets=true`, and the random mode can go through all of them. A switch holds until
it is turned back; what shall happen once goes into `next_runs` and `next_answers` of the server.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MIB = 1024 * 1024


class HttpFault(StrEnum):
    """How an HTTP call goes wrong; `…_after` means that its work was done all the same."""

    ERROR = "error"  # 500, nothing done
    ERROR_AFTER = "error_after"  # done, answered 500
    HANG = "hang"  # nothing done, never answered
    HANG_AFTER = "hang_after"  # done, never answered
    CUT = "cut"  # nothing done, connection cut
    CUT_AFTER = "cut_after"  # done, connection cut instead of an answer
    NONSENSE = "nonsense"  # 200 with a web page, as a proxy in between would give


class RunFault(StrEnum):
    """How the run of a prompt goes wrong."""

    FAIL = "fail"  # the last node raises
    OUT_OF_MEMORY = "out_of_memory"  # the last node finds too little memory on the device
    INTERRUPTED = "interrupted"  # ends as interrupted although nobody asked for it
    NO_OUTPUTS = "no_outputs"  # success, without any output
    BLOCKED = "blocked"  # an ExecutionBlocker with a message: error sent, run goes on, success
    STALE_SUCCESS = "stale_success"  # ends with an error, `status_str` says success
    NAN = "nan"  # a ui value is NaN, another Infinity
    HANG = "hang"  # the last node waits until it is interrupted
    DEAF = "deaf"  # the last node waits for ever and looks at no interrupt
    DIE = "die"  # the worker thread dies; HTTP goes on
    EXIT = "exit"  # the process ends
    VANISH = "vanish"  # ends without a history entry, as if others had cleared it
    FILE_GONE = "file_gone"  # success, but the files are no longer there


@dataclass
class Switches:
    """What the stand-in does; every field may be changed at any time.

    Attributes:
        node_seconds: How long a node lasts, by class; others last `default_node_seconds`.
        default_node_seconds: Also of the nodes that really work; on top of their work.
        step_seconds: One step of a sampler.
        checkpoint_cold_seconds: Loading a model that is not in memory.
        checkpoint_warm_seconds: Loading a model that is.
        models_in_memory: How many models stay in memory.
        history_delay_ms: Between the terminal message and the history entry.
        freeze_ms: After a run the whole server stands still for this long, as when it collects
            garbage; at most once per `freeze_every_seconds`.
        freeze_every_seconds: See there; 10 in the real server.
        stall_sockets: The send loop stands still; messages pile up and come later.
        drop_messages: Message types that are never sent; "*" stands for all but the first status.
        duplicate_messages: Every message is sent twice.
        unknown_messages: Messages of unknown types and unknown keys come in between.
        forget_taken_over: When the first of two sockets with one id closes, the second is deaf.
        compress: Answer an offer of permessage-deflate.
        preview_method: "none", or "latent2rgb" for a JPEG per sampler step.
        http_faults: By route name ("prompt", "queue", "history", "view", "upload", "interrupt",
            "object_info", "system_stats", "free", "ws"), for every call.
        run_fault: For every run.
        interrupt_lost: Interrupts are answered and forgotten.
        interrupt_late: Interrupts are looked at only when a node starts.
        interrupt_hits_next: The flag is not cleared at the start of a run.
        dead_worker: Accepts, takes one, runs nothing.
        pause: The worker takes no further prompt; unlike a dead one it can go on later.
        history_cap: Entries beyond which the oldest one is dropped.
        max_upload_bytes: Limit of every body.
        cors_origin: As by --enable-cors-header; None checks Origin against Host.
        metadata: Write prompt and workflow into files; false is --disable-metadata.
        cache: "classic" keeps what the latest prompt uses, "none" nothing, "lru" `cache_entries`.
        cache_entries: For "lru".
        outputs_order: The real server runs output nodes in the order of a hash. "reversed" is
            what its recordings show most, and never what a client expects; "given", or node ids.
    """

    node_seconds: dict[str, float] = field(default_factory=dict)
    default_node_seconds: float = 0.0
    step_seconds: float = 0.0
    checkpoint_cold_seconds: float = 0.0
    checkpoint_warm_seconds: float = 0.0
    models_in_memory: int = 2
    history_delay_ms: float = 0.0
    freeze_ms: float = 0.0
    freeze_every_seconds: float = 10.0
    stall_sockets: bool = False
    drop_messages: frozenset[str] = frozenset()
    duplicate_messages: bool = False
    unknown_messages: bool = False
    forget_taken_over: bool = True
    compress: bool = True
    preview_method: str = "none"
    http_faults: dict[str, HttpFault] = field(default_factory=dict)
    run_fault: RunFault | None = None
    interrupt_lost: bool = False
    interrupt_late: bool = False
    interrupt_hits_next: bool = False
    dead_worker: bool = False
    pause: bool = False
    history_cap: int = 10_000
    max_upload_bytes: int = 100 * MIB
    cors_origin: str | None = None
    metadata: bool = True
    cache: str = "classic"
    cache_entries: int = 100
    outputs_order: str | list[str] = "reversed"

    def set(self, name: str, value: Any) -> None:
        """Set a switch from a JSON value, as the command line and the control route need it.

        Raises:
            KeyError: There is no such switch.
            ValueError: No value that it could have.
        """
        if name not in {each.name for each in dataclasses.fields(self)}:
            raise KeyError(name)
        if name == "http_faults":
            value = {route: HttpFault(fault) for route, fault in value.items()}
        elif name == "run_fault":
            value = None if value is None else RunFault(value)
        elif name == "drop_messages":
            value = frozenset(value)
        setattr(self, name, value)

    def set_text(self, assignment: str) -> None:
        """Set a switch from `name=value`, the value as JSON or as plain text.

        Raises:
            KeyError: There is no such switch.
            ValueError: No assignment, or no value that it could have.
        """
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ValueError(f"{assignment!r} is not of the form name=value")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        self.set(name.strip().replace("-", "_"), value)
