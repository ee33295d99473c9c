"""Generates the Python stubs of the contract into a folder.

The stubs are committed, so that no one who only runs Stellwerk needs a compiler; a test generates
them again and compares bytes. Usage: `python protos/generate.py [OUT_FOLDER]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
COMMENTS = "stellwerk/comments.json"
"""What the contract says about messages and fields, by full name; stubs do not keep it."""
_MESSAGES_OF_A_FILE, _FIELDS_OF_A_MESSAGE = 4, 2  # numbers in descriptor.proto


def generate(out: Path) -> None:
    """Writes the messages, the gRPC stubs and their types below `out`.

    Raises:
        RuntimeError: the compiler refused a file; it has printed where and why.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = (PROTOS / "stellwerk").rglob("*.proto")
    files = sorted(str(path.relative_to(PROTOS)) for path in found)
    well_known = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "described"
        _compile(out, described, [f"-I{PROTOS}", f"-I{well_known}", *files])
        found_set = FileDescriptorSet.FromString(described.read_bytes())
    comments: dict[str, str] = {}
    for file in found_set.file:
        comments.update(_comments(file))
    text = json.dumps(comments, indent=1, sort_keys=True, ensure_ascii=False)
    (out / COMMENTS).write_text(text + "\n", encoding="utf-8")
    for home in {(out / file).parent for file in files}:
        for package in (home, *home.parents):
            if package == out:
                break
            (package / "__init__.py").touch()
            (package / "py.typed").touch()


def _compile(out: Path, described: Path, sources: list[str]) -> None:
    status = protoc.main(
        [
            "protoc",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            "--include_source_info",
            f"--descriptor_set_out={described}",
            *sources,
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with {status}")


def _comments(file: FileDescriptorProto) -> dict[str, str]:
    """Returns the comments of a file's messages and their fields on one line each."""
    found = {}
    for location in file.source_code_info.location:
        match list(location.path):
            case [kind, number] if kind == _MESSAGES_OF_A_FILE:
                name = file.message_type[number].name
            case [kind, number, part, field] if (kind, part) == (
                _MESSAGES_OF_A_FILE,
                _FIELDS_OF_A_MESSAGE,
            ):
                message = file.message_type[number]
                name = f"{message.name}.{message.field[field].name}"
            case _:
                continue
        found[f"{file.package}.{name}"] = " ".join(location.leading_comments.split())
    return found


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS / "gen")
