"""Recording without being felt: a spool on the disk and a sender behind it."""

from stellwerk_client.recorder.limits import Limits
from stellwerk_client.recorder.recorder import Recorder, RecorderStats

__all__ = ["Limits", "Recorder", "RecorderStats"]
