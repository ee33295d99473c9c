"""What can go wrong with a prompt, sorted by whose fault it is.

The queue needs one thing to know: is it worth trying elsewhere? People need two: a learner one
sentence, an author the node, its class and the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from generation_service.backends.interface import AttemptFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DETAIL_CHARACTERS = 600
"""An error of a node may quote whole tensors; an author needs its beginning."""


@dataclass(frozen=True)
class NodeFault:
    """What is wrong at one place of a workflow.

    Attributes:
        node_id: The node; empty: the workflow as a whole.
        class_type: Its class; empty: not known.
        input_name: The input; empty: none in particular.
        message: One sentence for the author.
        hint: What to do; empty: nothing comes to mind.
    """

    node_id: str
    class_type: str
    input_name: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Write it on one line, for logs and the author."""
        place = f"node {self.node_id}" if self.node_id else "workflow"
        place += f" ({self.class_type})" if self.class_type else ""
        place += f", input {self.input_name!r}" if self.input_name else ""
        text = f"{place}: {shorten(self.message)}"
        return f"{text} {self.hint}" if self.hint else text


def shorten(text: str) -> str:
    """Put a text on one line of bounded length."""
    line = " ".join(text.split())
    if len(line) <= MAX_DETAIL_CHARACTERS:
        return line
    return line[: MAX_DETAIL_CHARACTERS - 1] + "…"


class ComfyUIError(AttemptFailedError):
    """A prompt did not give what it should.

    Attributes:
        reason: UPPER_SNAKE, fixed per subclass; what programs branch on.
        message: One sentence for the learner, fixed per subclass.
        detail: For the author and the log; never shown to a learner.
        faults: The places in the workflow, as far as they are known.
        quarantine: The worker should get no further work before somebody has looked at it.
    """

    REASON: ClassVar[str]
    MESSAGE: ClassVar[str]
    RETRY: ClassVar[bool]
    quarantine: ClassVar[bool] = False

    def __init__(self, detail: str = "", faults: Sequence[NodeFault] = ()) -> None:
        """Describe it for the author; the learner's sentence is the class's."""
        super().__init__(self.REASON, self.MESSAGE, worth_retrying=self.RETRY)
        self.detail = shorten(detail or "; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        """Reason and detail."""
        return f"{self.reason}: {self.detail or self.message}"


class JobFaultError(ComfyUIError):
    """The job is to blame: it would fail on every worker."""

    RETRY = False


class WorkflowInvalidError(JobFaultError):
    """The worker refused the graph, or we did before it was sent."""

    REASON = "WORKFLOW_INVALID"
    MESSAGE = "The recipe for this output has a mistake. Please tell its author."


class WorkflowPartlyInvalidError(WorkflowInvalidError):
    """The worker would have made some outputs and left out others."""

    REASON = "WORKFLOW_PARTLY_INVALID"


class LoraNotApplicableError(WorkflowInvalidError):
    """LoRAs were asked for and the workflow has no place for them."""

    REASON = "LORA_NOT_APPLICABLE"
    MESSAGE = "This output cannot use the style add-ons (LoRAs) that were chosen."


class PromptTooLargeError(JobFaultError):
    """The graph is larger than what the worker takes."""

    REASON = "WORKFLOW_TOO_LARGE"
    MESSAGE = "The recipe for this output is too large for the media server."


class NodeFailedError(JobFaultError):
    """A node raised an exception."""

    REASON = "NODE_FAILED"
    MESSAGE = "A step of the recipe for this output failed. Please tell its author."


class OutputMissingError(JobFaultError):
    """The run ended well, without the outputs that were declared."""

    REASON = "OUTPUT_MISSING"
    MESSAGE = "The recipe ran to its end but made no result. Please tell its author."


class OutputBlockedError(OutputMissingError):
    """A node of the workflow blocked the output, and said why."""

    REASON = "OUTPUT_BLOCKED"
    MESSAGE = "A step of the recipe held the result back."


class OutputTooLargeError(JobFaultError):
    """A file, or all of them, is larger than allowed."""

    REASON = "OUTPUT_TOO_LARGE"
    MESSAGE = "The result is larger than allowed here. Try a smaller size or a shorter duration."


class RunTimedOutError(JobFaultError):
    """It ran longer than allowed, and ended when it was told to."""

    REASON = "RUN_TIMED_OUT"
    MESSAGE = "Making this took too long and was stopped. Try a smaller size or fewer steps."


class UploadRefusedError(JobFaultError):
    """The worker did not take an input file."""

    REASON = "INPUT_REFUSED"
    MESSAGE = "The media server did not take the uploaded file."


class WorkerFaultError(ComfyUIError):
    """The worker is to blame: another one, or the same one later, may do it."""

    RETRY = True
    MESSAGE = "The media server had a problem. Please try again later."


class WorkerUnreachableError(WorkerFaultError):
    """It has not answered for longer than we wait."""

    REASON = "WORKER_UNREACHABLE"


class WorkerAnswerInvalidError(WorkerFaultError):
    """What it answers is not what a ComfyUI server says."""

    REASON = "WORKER_ANSWER_INVALID"


class WorkerRefusedError(WorkerFaultError):
    """Something in front of the worker does not let us in, or it is no ComfyUI."""

    REASON = "WORKER_REFUSED"
    quarantine = True


class PromptLostError(WorkerFaultError):
    """It is neither in the worker's queue nor in its history: somebody cleared one of them."""

    REASON = "PROMPT_LOST"


class WorkerRestartedError(PromptLostError):
    """It is gone because the worker started anew."""

    REASON = "WORKER_RESTARTED"


class WorkerOutOfMemoryError(WorkerFaultError):
    """The device of the worker has too little memory, at least right now."""

    REASON = "WORKER_OUT_OF_MEMORY"


class PromptInterruptedError(WorkerFaultError):
    """It was interrupted, and not by us."""

    REASON = "PROMPT_INTERRUPTED"


class WorkerBusyError(WorkerFaultError):
    """It did not start within its waiting time: others keep the worker busy, or it is dead."""

    REASON = "WORKER_BUSY"


class LoadTimedOutError(WorkerFaultError):
    """Its models were not loaded within the loading time."""

    REASON = "LOAD_TIMED_OUT"


class WorkerDeadError(WorkerFaultError):
    """It answers, but its worker thread does not: an interrupt does not end what runs."""

    REASON = "WORKER_DEAD"
    quarantine = True


class OutputUnreadableError(WorkerFaultError):
    """A file that the history names cannot be fetched, such as a cached one that was deleted."""

    REASON = "OUTPUT_UNREADABLE"


class PromptReleasedError(Exception):
    """We let go of a prompt on purpose: it goes on, and can be taken over later."""
