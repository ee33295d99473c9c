"""How the service and its renderer children talk.

A message is a length (4 bytes, big endian) and as many bytes: orders are JSON objects, answers
are one byte, DONE or FAILED, and then a file or the name of an exception.
"""

from __future__ import annotations

import struct

LENGTH = struct.Struct(">I")
DONE, FAILED = b"+", b"-"
