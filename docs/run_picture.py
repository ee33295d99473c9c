"""Makes the two pictures of the README from a real run of the demo.

Usage: `python docs/run_picture.py`. What the screen showed becomes `run.svg`, cut to the first idea
and the last, and the artwork becomes `run.jpg`.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

DOCS = Path(__file__).resolve().parent
WIDTH = 100
PICTURE_PIXELS = 420
_CURSOR = re.compile(r"\x1b\[\?25[hl]|\x1b\[2K")


def main() -> None:
    """Run the demo and write both files."""
    screen = _demo()
    # Paths and ids are of this run only; the pictures are about what happens.
    screen = re.sub(r" saved: \S+/", " saved: …/", screen)
    first = screen.index("1. An idea becomes")
    second = screen.index("2. Stille Post")
    third = screen.index("3. Not everything")
    end = screen.index("Stopping the services")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen[first:second] + screen[third:end].rstrip()))
    svg = console.export_svg(title="make demo", theme=MONOKAI)
    # The fonts that rich names would be fetched from elsewhere; any monospaced one will do.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (DOCS / "run.svg").write_text(svg.replace("Fira Code", "monospace"), encoding="utf-8")


def _demo() -> str:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    command = [str(Path(sys.executable).with_name("stellwerk")), "demo"]
    output = subprocess.run(
        command, env=environment, check=True, capture_output=True, timeout=300
    ).stdout.decode()
    # A progress bar is drawn over and over in one line; only its last state stays.
    shown = "\n".join(_CURSOR.sub("", line.rsplit("\r", 1)[-1]) for line in output.split("\n"))
    shown = "\n".join(line for line in shown.split("\n") if "━━━" not in line)
    found = re.search(r"picture\S*\s+(\S+\.png)", re.sub(r"\x1b\[[0-9;]*m", "", shown))
    if found is None:
        raise SystemExit("The demo named no picture.")
    with Image.open(found.group(1)) as picture:
        small = picture.convert("RGB").resize((PICTURE_PIXELS, PICTURE_PIXELS))
        small.save(DOCS / "run.jpg", quality=88)
    return shown


if __name__ == "__main__":
    main()
