"""Generates the Python stubs of the contract into a folder.

The stubs are committed, so that no one who only runs Stellwerk needs a compiler; a test generates
them again and compares bytes. Usage: `python protos/generate.py [OUT_FOLDER]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Writes the messages, the gRPC stubs and their types below `out`.

    Raises:
        RuntimeError: the compiler refused a file; it has printed where and why.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = (PROTOS / "stellwerk").rglob("*.proto")
    files = sorted(str(path.relative_to(PROTOS)) for path in found)
    well_known = Path(protoc.__file__).parent / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{well_known}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *files,
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with {status}")
    for folder in {(out / file).parent for file in files}:
        for package in (folder, *folder.parents):
            if package == out:
                break
            (package / "__init__.py").touch()
            (package / "py.typed").touch()


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS / "gen")
