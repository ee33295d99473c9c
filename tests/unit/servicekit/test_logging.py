"""Logging never gets in the way of what is logged about, and never repeats a person's words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOGS_AND_GOES_ON = """
import logging, structlog, sys
from servicekit.logging import configure_logging

configure_logging("probe")
for _ in range(3):
    structlog.get_logger().info("something_happened", text="x" * 10_000)
    logging.getLogger("somebody").error("else")
print("went on", file=sys.stderr)
"""


def test_a_full_disk_under_the_log_costs_lines_only() -> None:
    """A process whose standard output takes nothing goes on as if it did."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LOGS_AND_GOES_ON],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert "went on" in done.stderr


WORDS = "Ich heisse Zarubilo"
SETUP = f"""
import asyncio, gc, grpc, logging, structlog, sys, threading
from servicekit.logging import configure_logging

configure_logging("probe", sys.argv[1])
words = {WORDS!r}

def fail(*_):
    error = ValueError(words)
    error.add_note(words)
    raise error

async def call():
    from tests.support import serving
    from tests.unit.servicekit.probe import probe, unary_unary

    async def do(context):
        fail()

    async with serving(probe(do)) as channel:
        try:
            await unary_unary(channel)
        except grpc.aio.AioRpcError as exc:
            assert words not in exc.details()

async def forgotten():
    asyncio.create_task(asyncio.to_thread(fail))
    asyncio.get_running_loop().call_soon(fail, words)
    await asyncio.sleep(0.05)
    gc.collect()
"""
CRASHES = {
    "told": "try: fail()\nexcept ValueError: structlog.get_logger().exception('broke')",
    "by others": "try: fail()\nexcept ValueError: logging.getLogger('x').exception('broke')",
    "grouped": "raise ExceptionGroup(words, [ValueError(words), KeyError(words)])",
    "caused": "try: fail()\nexcept ValueError as exc: raise RuntimeError(words) from exc",
    "uncaught": "fail()",
    "in a thread": "thread = threading.Thread(target=fail); thread.start(); thread.join()",
    "in a finaliser": "type('Odd', (), {'__del__': fail})()",
    "in a call": "asyncio.run(call())",
    "in a forgotten task": "asyncio.run(forgotten())",
    "badly formatted": "logging.getLogger('x').error('%s %s', words)",
}


def written(level: str, crash: str) -> str:
    """Return all that a process writes that crashes so."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + crash, level],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES.keys())
def test_no_crash_repeats_what_a_person_wrote(crash: str) -> None:
    """However an exception ends, lines name its kind and place, not its words."""
    output = written("INFO", crash)
    assert "Zarubilo" not in output
    assert '"exc_type": ' in output or "%s" in crash
    for line in output.splitlines():
        stack = json.loads(line).get("exception", [{"exc_type": "", "frames": [0]}])
        assert stack[0]["frames"]
        assert stack[0]["exc_type"] or "broke" not in line


def test_for_debugging_lines_say_it_all() -> None:
    """With DEBUG the words are there, and faults of code and files always are."""
    assert WORDS in written("DEBUG", CRASHES["uncaught"])
    assert "nowhere.txt" in written("INFO", "open('nowhere.txt')")
