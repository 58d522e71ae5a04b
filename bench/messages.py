"""The part of the worker protocol that a benchmark needs, as message classes.

The Dapr and the Microsoft flavour disagree on a few fields; the fields named here are those on
which they agree (same number, same type), so one set of messages talks to every SDK.  Where a
flavour puts a text and the other a message under one number, the field is ``bytes``: it is only
carried along, never read.  ``turn`` is orchestratorRequest or workflowRequest, ``child`` is
subOrchestration or childWorkflow: on the wire there is no difference but the name.

The classes are made from the table below at import time, in a descriptor pool of their own: the
benchmark shares no code with the engine that it measures.
"""

from __future__ import annotations

from typing import Any, Final, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

SERVICE: Final = "TaskHubSidecarService"
_PACKAGE: Final = "tenure.bench"

Proto = Any  # a message of the table: its fields are known at run time

COMPLETED: Final = 1
FAILED: Final = 3
RUNNING: Final = 0
STATEFUL_HISTORY: Final = 2

# message -> fields "[repeated ]type name number".
_TABLE: Final[dict[str, tuple[str, ...]]] = {
    "Text": ("string value 1",),
    "Number": ("int32 value 1",),
    "Time": ("int64 seconds 1", "int32 nanos 2"),
    "Empty": (),
    "Failure": ("string errorType 1", "string errorMessage 2", "Text stackTrace 3"),
    "Instance": ("string instanceId 1", "Text executionId 2"),
    "ExecutionStarted": ("string name 1", "Text version 2", "Text input 3", "Instance instance 4"),
    "TaskScheduled": ("string name 1", "Text version 2", "Text input 3", "bytes executionKey 5"),
    "TaskCompleted": ("int32 taskScheduledId 1", "Text result 2", "bytes executionKey 3"),
    "TaskFailed": ("int32 taskScheduledId 1", "Failure failureDetails 2", "bytes executionKey 3"),
    "ChildCreated": ("string instanceId 1", "string name 2", "Text version 3", "Text input 4"),
    "ChildCompleted": ("int32 taskScheduledId 1", "Text result 2"),
    "TimerCreated": ("Time fireAt 1", "bytes origin4 4", "bytes origin5 5", "bytes origin6 6"),
    "TimerFired": ("Time fireAt 1", "int32 timerId 2"),
    "EventRaised": ("string name 1", "Text input 2"),
    "HistoryEvent": (
        "int32 eventId 1",
        "Time timestamp 2",
        "ExecutionStarted executionStarted 3",
        "TaskScheduled taskScheduled 6",
        "TaskCompleted taskCompleted 7",
        "TaskFailed taskFailed 8",
        "ChildCreated childCreated 9",
        "ChildCompleted childCompleted 10",
        "TimerCreated timerCreated 12",
        "TimerFired timerFired 13",
        "Empty turnStarted 14",
        "EventRaised eventRaised 17",
    ),
    "ScheduleTask": ("string name 1", "Text version 2", "Text input 3", "bytes executionKey 5"),
    "CreateChild": ("string instanceId 1", "string name 2", "Text version 3", "Text input 4"),
    "CreateTimer": ("Time fireAt 1", "bytes origin3 3", "bytes origin4 4", "bytes origin5 5"),
    "Complete": (
        "int32 status 1",
        "Text result 2",
        "Text newVersion 4",
        "Failure failureDetails 6",
    ),
    "Action": (
        "int32 id 1",
        "ScheduleTask scheduleTask 2",
        "CreateChild createChild 3",
        "CreateTimer createTimer 4",
        "bytes sendEvent 5",
        "Complete complete 6",
        "bytes terminate 7",
    ),
    "CachedHistory": ("int32 eventCount 1",),
    "TurnRequest": (
        "string instanceId 1",
        "Text executionId 2",
        "repeated HistoryEvent pastEvents 3",
        "repeated HistoryEvent newEvents 4",
        "CachedHistory cachedHistory 9",
    ),
    "TurnResponse": (
        "string instanceId 1",
        "repeated Action actions 2",
        "Text customStatus 3",
        "string completionToken 4",
    ),
    "ActivityRequest": (
        "string name 1",
        "Text version 2",
        "Text input 3",
        "Instance instance 4",
        "int32 taskId 5",
        "bytes executionKey 7",
    ),
    "ActivityResponse": (
        "string instanceId 1",
        "int32 taskId 2",
        "Text result 3",
        "Failure failureDetails 4",
        "string completionToken 5",
    ),
    "WorkItem": ("TurnRequest turn 1", "ActivityRequest activity 2", "string completionToken 10"),
    "GetWorkItems": (
        "int32 maxTurns 1",
        "int32 maxActivities 2",
        "repeated int32 capabilities 4",
    ),
    "CreateInstance": (
        "string instanceId 1",
        "string name 2",
        "Text version 3",
        "Text input 4",
        "Time scheduledStart 5",
    ),
    "CreateInstanceResponse": ("string instanceId 1",),
    "GetInstance": ("string instanceId 1", "bool withPayloads 2"),
    "InstanceState": (
        "string instanceId 1",
        "string name 2",
        "int32 status 4",
        "Text input 8",
        "Text output 9",
        "Failure failureDetails 11",
    ),
    "GetInstanceResponse": ("bool exists 1", "InstanceState state 2"),
    "GetHistory": ("string instanceId 1",),
    "GetHistoryResponse": ("repeated HistoryEvent events 1",),
    "RaiseEvent": ("string instanceId 1", "string name 2", "Text input 3"),
}

_SCALARS: Final = {"string": 9, "bytes": 12, "bool": 8, "int32": 5, "int64": 3}
_MESSAGE: Final = 11
_OPTIONAL: Final = 1
_REPEATED: Final = 3
_SEVEN_BITS: Final = 0x7F


def _build() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        for line in fields:
            *repeated, kind, field, number = line.split()
            proto = message.field.add(name=field, number=int(number))
            proto.label = cast("Any", _REPEATED if repeated else _OPTIONAL)
            if kind in _SCALARS:
                proto.type = cast("Any", _SCALARS[kind])
            else:
                proto.type = cast("Any", _MESSAGE)
                proto.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"{_PACKAGE}.{name}")) for name in _TABLE}


_CLASSES: Final = _build()


def new(name: str, /, **fields: Proto) -> Proto:
    """A message of the table.  Raises KeyError for an unknown name, ValueError for a bad field."""
    return _CLASSES[name](**fields)


def parse(name: str, data: bytes) -> Proto:
    """Decode ``data`` as the message ``name``; raises protobuf's DecodeError."""
    message = _CLASSES[name]()
    message.ParseFromString(data)
    return message


def framed(tag: bytes, body: bytes) -> bytes:
    """A length-delimited field: ``tag`` (one byte or more), varint length, ``body``."""
    size = len(body)
    length = bytearray()
    while size > _SEVEN_BITS:
        length.append(size & _SEVEN_BITS | 0x80)
        size >>= 7
    length.append(size)
    return tag + bytes(length) + body
