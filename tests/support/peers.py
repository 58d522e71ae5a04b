"""The SDKs' own message types, without the SDKs: dynamic messages from checked-in descriptors.

Each SDK has a pool of its own, so that types of the same name do not meet.  A message is read into
plain values (``Peer.read``) that show everything that was sent, and fails on what the SDK would not
know (``unknown``) only when asked to.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

FOLDER = Path(__file__).parent.parent / "data" / "descriptors"
WELL_KNOWN = (duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)


class Peer:
    """The message types of one SDK."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files = FileDescriptorSet.FromString((FOLDER / f"{name}.binpb").read_bytes()).file
        self.pool = descriptor_pool.DescriptorPool()
        for module in WELL_KNOWN:
            self.pool.Add(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
        for file in self.files:
            self.pool.Add(file)

    def __repr__(self) -> str:
        return self.name

    def descriptor(self, name: str) -> Descriptor:
        """The message type ``name`` (without package)."""
        for file in self.files:
            if any(message.name == name for message in file.message_type):
                full = f"{file.package}.{name}" if file.package else name
                return self.pool.FindMessageTypeByName(full)
        raise KeyError(name)

    def new(self, name: str, /, **fields: Any) -> Message:
        """A message of type ``name``; nested messages as dictionaries, wrapped strings as strings,
        times as (seconds, nanos)."""
        message = GetMessageClass(self.descriptor(name))()
        _fill(message, fields)
        return message

    def parse(self, name: str, data: bytes) -> Message:
        """The message, as the SDK's own class reads it."""
        return GetMessageClass(self.descriptor(name)).FromString(data)

    def read(self, name: str, data: bytes) -> dict[str, Any]:
        """Everything set in the message, by the SDK's field names."""
        return plain(self.parse(name, data))


@cache
def peer(name: str) -> Peer:
    """The SDK of that package and version."""
    return Peer(name)


MS = "durabletask-1.12.0"
D17 = "durabletask-dapr-0.17.4"
D18 = "dapr-1.18.3"
D19 = "dapr-1.19.0"
RUNTIME = "dapr-runtime-1.19.0"
DAPR_PEERS = (D17, D18, D19)


def plain(message: Message) -> Any:
    """Set fields as dictionaries, lists and scalars; wrappers as their value, times as pairs."""
    full = message.DESCRIPTOR.full_name
    if full in _WRAPPERS:
        return message.value  # type: ignore[attr-defined]
    if full in _TIMES:
        return (message.seconds, message.nanos)  # type: ignore[attr-defined]
    out: dict[str, Any] = {}
    for field, value in message.ListFields():
        if _is_map(field):
            out[field.name] = {
                k: plain(v) if isinstance(v, Message) else v for k, v in value.items()
            }
        elif isinstance(value, Message):
            out[field.name] = plain(value)
        elif isinstance(value, str | bytes | int | float):
            out[field.name] = value
        else:
            out[field.name] = [plain(v) if isinstance(v, Message) else v for v in value]
    return out


def unknown(message: Message, path: str = "") -> list[str]:
    """Paths of fields that the message's type does not have, at any depth."""
    found = [f"{path}#{field.field_number}" for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        at = f"{path}.{field.name}"
        if _is_map(field):
            continue
        if isinstance(value, Message):
            found += unknown(value, at)
        elif field.message_type is not None:
            for item in value:
                found += unknown(item, at)
    return found


_WRAPPERS = {
    "google.protobuf.StringValue",
    "google.protobuf.Int32Value",
    "google.protobuf.BoolValue",
}
_TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _fill(message: Message, fields: dict[str, Any]) -> None:
    kinds = message.DESCRIPTOR.fields_by_name
    for name, value in fields.items():
        field = kinds[name]
        slot = getattr(message, name)
        if _is_map(field):
            for key, item in value.items():
                if field.message_type.fields_by_name["value"].message_type is None:
                    slot[key] = item
                else:
                    _fill(slot[key], item)
        elif field.message_type is None:
            if isinstance(value, list | tuple):
                slot.extend(value)
            else:
                setattr(message, name, value)
        elif isinstance(value, list):
            for item in value:
                _put(slot.add(), item)
        else:
            _put(slot, value)


def _put(message: Message, value: Any) -> None:
    full = message.DESCRIPTOR.full_name
    message.SetInParent()
    if full in _WRAPPERS:
        message.value = value  # type: ignore[attr-defined]
    elif full in _TIMES:
        message.seconds, message.nanos = value  # type: ignore[attr-defined]
    else:
        _fill(message, value)
