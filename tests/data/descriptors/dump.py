"""Writes the descriptors of an installed SDK's generated modules into one FileDescriptorSet.

Run by the interpreter that has the SDK::

    python dump.py OUT.binpb MODULE_pb2…
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet


def add(found: FileDescriptorSet, file: FileDescriptor) -> None:
    """Put ``file`` behind everything that it imports; protobuf's own files are left out."""
    if file.name.startswith("google/") or any(f.name == file.name for f in found.file):
        return
    for imported in file.dependencies:
        add(found, imported)
    file.CopyToProto(found.file.add())


if __name__ == "__main__":
    out, *modules = sys.argv[1:]
    descriptors = FileDescriptorSet()
    for module in modules:
        add(descriptors, import_module(module).DESCRIPTOR)
    Path(out).write_bytes(descriptors.SerializeToString(deterministic=True))
