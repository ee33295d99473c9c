"""Drops from an installed environment what no service ever reads; run while an image is built.

Wheels are made for developers, too: they bring tests, headers and whole engines that we do not
use. Each pattern here is only worth its line when it saves some megabytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

UNREAD = (
    "**/tests",
    "**/include",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.a",
    # The tracker writes Parquet; Arrow's servers and clouds it never meets.
    "pyarrow/*flight*",
    "pyarrow/*s3*",
    "pyarrow/src",
    # Numbers are recognised, not located.
    "phonenumbers/geodata",
    "phonenumbers/carrierdata",
    "phonenumbers/tzdata",
)


def main(environment: Path) -> None:
    """Delete what fits `UNREAD` from the packages of a virtual environment."""
    for packages in environment.glob("lib/python3.*/site-packages"):
        for pattern in UNREAD:
            for path in sorted(packages.glob(pattern)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
