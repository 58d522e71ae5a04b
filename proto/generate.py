# ruff: noqa: INP001 - a script, not a package
"""Generates the Python modules of proto/*.proto, or checks that they are what the sources say.

::

    uv run --no-project --with grpcio-tools==1.72.1 python proto/generate.py
    python proto/generate.py --check            # any grpcio-tools

Generated code refuses a protobuf runtime that is older than its compiler, so it is always made with
protoc 30 (grpcio-tools 1.72), the first whose output wants protobuf 6.30.  ``--check`` compares
descriptors, not text, and so can be done by any later compiler.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
PACKAGES = {
    "tenure_sidecar/etcd/_generated": ("etcd",),
    "tenure_sidecar/wire/_generated": ("common", "dapr", "microsoft", "runtime"),
}
MODULES = tuple(f"{package}/{name}" for package, names in PACKAGES.items() for name in names)
COMPILER = "6.30.0"  # what the generated modules must say they were made by


def compile_(*args: str) -> None:
    """Run protoc on all sources.  Raises: SystemExit with protoc's complaint printed."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    roots = (f"-I{package}={SOURCES}" for package in PACKAGES)
    command = ["protoc", *roots, f"-I{well_known}", *args]
    if protoc.main([*command, *(f"{module}.proto" for module in MODULES)]) != 0:
        raise SystemExit(1)


def generate() -> None:
    """Write the modules and their type stubs into the sidecar's package."""
    out = ROOT / "sidecar"
    compile_(f"--python_out={out}", f"--pyi_out={out}")
    for name in MODULES:
        module = out / f"{name}_pb2.py"
        made_by = f"# Protobuf Python Version: {COMPILER}"
        if made_by not in module.read_text():
            module.unlink()
            message = f"{module.name} was not made by protobuf {COMPILER}: see --help"
            raise SystemExit(message)


def descriptors() -> dict[str, FileDescriptorProto]:
    """What the sources say, by path of the module without its suffix."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        compile_(f"--descriptor_set_out={out}")
        files = FileDescriptorSet.FromString(out.read_bytes()).file
    return {file.name.removesuffix(".proto"): file for file in files}


def stale() -> list[str]:
    """Modules that do not agree with their sources."""
    sys.path.insert(0, str(ROOT / "sidecar"))
    found = []
    for name, wanted in descriptors().items():
        module = import_module(f"{name.replace('/', '.')}_pb2")
        actual = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for message in wanted.message_type:
            _drop_json_names(message)
        if wanted != actual:
            found.append(name)
    return found


def _drop_json_names(message: DescriptorProto) -> None:
    """Remove what a descriptor set spells out and a generated module leaves to the runtime."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _drop_json_names(nested)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if names := stale():
            message = f"generate again, the sources changed: {', '.join(names)}"
            raise SystemExit(message)
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    else:
        generate()
