"""Drops from an installed environment what no service ever reads; run while an image is built.

Wheels are made for developers, too: they bring tests, headers, symbols for debuggers and whole
engines that we do not use. Each pattern here is only worth its line when it saves some megabytes.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

UNREAD = (
    "**/tests",
    "**/include",
    # For those who compile, or check types.
    *("**/*.a", "**/*.h", "**/*.pxd", "**/*.pxi", "**/*.pyi", "**/*.pyx", "**/*.rlib"),
    # The tracker writes Parquet; Arrow's servers, clouds and other formats it never meets.
    *("pyarrow/*flight*", "pyarrow/*s3*", "pyarrow/*orc*", "pyarrow/src"),
    *("pyarrow/*_encryption.*", "pyarrow/*_tests.*"),
    # The same library again, under the names that compilers and packagers look for.
    *("pyarrow/libarrow_python.so", "pyarrow/libarrow_python.so.*.*"),
    # Databases that no service speaks to, and what tests a driver of one.
    *(f"sqlalchemy/dialects/{name}" for name in ("mssql", "mysql", "oracle")),
    "sqlalchemy/testing",
    # Documents are built and read as trees of elements, not bound to objects.
    *("lxml/objectify*", "lxml/isoschematron"),
    # Compilers of Fortran and C.
    *("numpy/distutils", "numpy/f2py", "pycparser"),
    # Numbers are recognised, not located.
    *("phonenumbers/geodata", "phonenumbers/carrierdata", "phonenumbers/tzdata"),
)


def drop(packages: Path) -> None:
    """Delete what fits `UNREAD` from the packages of a virtual environment."""
    for pattern in UNREAD:
        for path in sorted(packages.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def strip(packages: Path) -> None:
    """Take the symbols from the libraries: what loads them does not read those."""
    found = sorted(packages.glob("**/*.so*"))
    # Those that a wheel brings along were moved within by patchelf, and come to harm by it.
    libraries = [path for path in found if not path.parent.name.endswith(".libs")]
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    for path in found:
        ctypes.CDLL(str(path))  # raises OSError, and so ends the build, if one came to harm


def main(environment: Path) -> None:
    """Make a virtual environment smaller."""
    for packages in environment.glob("lib/python3.*/site-packages"):
        drop(packages)
        strip(packages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
