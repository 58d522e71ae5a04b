"""The history of an instance: an append-only list of frozen events.

An event says what *happened*; an action (``actions.py``) says what the workflow code *wants*.
Events are neutral: they carry the union of what the Dapr and the Microsoft flavour of the
protocol know, and the codecs in ``wire/`` pick what their flavour can express.  They are also
the stored form (``codec.py``), so their field order is part of the format: new fields go to the
end, with a default, and nothing is ever reordered or removed.

Shapes used throughout

* ``at``: when the engine recorded the event, nanoseconds since the Unix epoch, UTC.  It never
  goes backwards within one instance.
* ``Instant``: a time chosen by an app, kept exactly as it was sent.  9999-12-31T23:59:59.999999999Z
  ("never") does not fit 64-bit nanoseconds, so it is a (seconds, nanos) pair.
* ``task_id``: the id that the workflow code gave to an activity, timer or child; unique within one
  execution.  An event created by an action carries it as its ``event_id``; every other event has
  ``event_id`` -1.
* Payloads are opaque text (JSON by convention); ``None`` means absent, ``""`` means empty.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

NANOS = 1_000_000_000


class Instant(NamedTuple):
    """A point in time as the protocol writes it: seconds since the epoch plus nanoseconds."""

    seconds: int
    nanos: int = 0

    @classmethod
    def of(cls, nanoseconds: int) -> Instant:
        """The instant ``nanoseconds`` after the Unix epoch."""
        return cls(*divmod(nanoseconds, NANOS))

    @property
    def nanoseconds(self) -> int:
        """Nanoseconds since the Unix epoch; may exceed 64 bits."""
        return self.seconds * NANOS + self.nanos


class Status(IntEnum):
    """Runtime status of an instance; the numbers are those of the wire protocol."""

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7
    STALLED = 8

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to the instance any more, but reuse, rerun and purge."""
        return self in _TERMINAL


_TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.TERMINATED})


class StallReason(IntEnum):
    """Why an instance waits for a different worker or a larger limit."""

    PATCH_MISMATCH = 0
    VERSION_NOT_AVAILABLE = 1
    PAYLOAD_SIZE_EXCEEDED = 2


class _Value(msgspec.Struct, frozen=True, array_like=True):
    """Base of the values inside events."""


class TraceContext(_Value, frozen=True):
    """W3C trace context: ``traceparent``, ``tracestate`` and the 16-hex-digit span id."""

    traceparent: str
    span_id: str = ""
    tracestate: str | None = None


class Failure(_Value, frozen=True):
    """Full details of an exception in app code; ``properties`` are serialized protobuf Values."""

    error_type: str
    message: str
    stack_trace: str | None = None
    inner: Failure | None = None
    non_retriable: bool = False
    properties: dict[str, bytes] = {}


class Parent(_Value, frozen=True):
    """The workflow that waits for this one, and under which task id."""

    instance_id: str
    execution_id: str
    task_id: int
    name: str = ""
    version: str | None = None
    app_id: str | None = None
    namespace: str | None = None


class VersionInfo(_Value, frozen=True):
    """What the worker reported of the code that ran a turn: its named version and patches."""

    name: str | None = None
    patches: tuple[str, ...] = ()


class TimerOrigin(_Value, frozen=True):
    """Why the SDK set a timer.  ``kind`` is one of the constants; ``value`` the event name, the
    task execution id or the first child's instance id (empty for a plain timer)."""

    kind: int
    value: str = ""


ORIGIN_TIMER = 1
ORIGIN_EXTERNAL_EVENT = 2
ORIGIN_ACTIVITY_RETRY = 3
ORIGIN_CHILD_RETRY = 4


class _Event(msgspec.Struct, frozen=True, array_like=True, tag_field="k"):
    """Base of all events; the tag is the field number of the event in the wire's HistoryEvent."""

    at: int

    @property
    def event_id(self) -> int:
        """The action id that created the event, or -1."""
        return -1


class _Created(msgspec.Struct, frozen=True, array_like=True, tag_field="k"):
    """Base of events created by an action of the workflow code."""

    at: int
    task_id: int

    @property
    def event_id(self) -> int:
        """The action id that created the event."""
        return self.task_id


class ExecutionStarted(_Event, tag=3, frozen=True):
    """The first real event of each generation."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None = None
    input: str | None = None
    parent: Parent | None = None
    scheduled_start: Instant | None = None
    trace: TraceContext | None = None
    span_id: str | None = None
    tags: dict[str, str] = {}


class ExecutionCompleted(_Created, tag=4, frozen=True):
    """The workflow ended; always the last event of a generation."""

    status: Status
    result: str | None = None
    failure: Failure | None = None


class ExecutionTerminated(_Event, tag=5, frozen=True):
    """A terminate request was accepted."""

    output: str | None = None
    recurse: bool = False


class TaskScheduled(_Created, tag=6, frozen=True):
    """An activity was scheduled.  ``task_execution_id`` is its idempotency key, constant over
    redeliveries and (Dapr) over retries."""

    name: str
    version: str | None = None
    input: str | None = None
    task_execution_id: str = ""
    trace: TraceContext | None = None
    tags: dict[str, str] = {}
    rerun_parent: str | None = None
    propagation: int | None = None


class TaskCompleted(_Event, tag=7, frozen=True):
    """An activity returned ``result``."""

    task_id: int
    result: str | None = None
    task_execution_id: str = ""


class TaskFailed(_Event, tag=8, frozen=True):
    """An activity raised."""

    task_id: int
    failure: Failure
    task_execution_id: str = ""


class ChildCreated(_Created, tag=9, frozen=True):
    """A child workflow was created."""

    instance_id: str
    name: str
    version: str | None = None
    input: str | None = None
    trace: TraceContext | None = None
    tags: dict[str, str] = {}
    rerun_parent: str | None = None
    propagation: int | None = None
    retry_parent: str | None = None


class ChildCompleted(_Event, tag=10, frozen=True):
    """A child workflow returned ``result``."""

    task_id: int
    result: str | None = None


class ChildFailed(_Event, tag=11, frozen=True):
    """A child workflow failed, was terminated, or could not be created."""

    task_id: int
    failure: Failure


class TimerCreated(_Created, tag=12, frozen=True):
    """A durable timer was set for ``fire_at``."""

    fire_at: Instant
    name: str | None = None
    origin: TimerOrigin | None = None
    rerun_parent: str | None = None


class TimerFired(_Event, tag=13, frozen=True):
    """The timer with task id ``timer_id`` is due."""

    timer_id: int
    fire_at: Instant


class WorkflowStarted(_Event, tag=14, frozen=True):
    """Begins each turn (OrchestratorStarted); ``at`` drives the code's current time."""

    version: VersionInfo | None = None


class EventSent(_Created, tag=16, frozen=True):
    """The workflow sent an event to another instance."""

    instance_id: str
    name: str
    input: str | None = None


class EventRaised(_Event, tag=17, frozen=True):
    """An external event reached the workflow; a ``key`` is of the request that raised it: an event of
    a key that the instance has had already is a repeat, and dropped."""

    name: str
    input: str | None = None
    key: str = ""


class ExecutionSuspended(_Event, tag=21, frozen=True):
    """The workflow was suspended."""

    reason: str | None = None


class ExecutionResumed(_Event, tag=22, frozen=True):
    """The workflow was resumed."""

    reason: str | None = None


class ExecutionRewound(_Event, tag=30, frozen=True):
    """The failed workflow was put back before its failures (Microsoft flavour)."""

    reason: str | None = None
    instance_id: str | None = None
    parent_execution_id: str | None = None
    name: str | None = None
    version: str | None = None
    input: str | None = None
    parent: Parent | None = None
    trace: TraceContext | None = None
    tags: dict[str, str] = {}


class ExecutionStalled(_Event, tag=31, frozen=True):
    """The turn could not run with the worker or the limits at hand."""

    reason: StallReason
    description: str | None = None


class DetachedCreated(_Created, tag=32, frozen=True):
    """A workflow was started that nobody waits for."""

    instance_id: str


Event = (
    ExecutionStarted
    | ExecutionCompleted
    | ExecutionTerminated
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | ChildCreated
    | ChildCompleted
    | ChildFailed
    | TimerCreated
    | TimerFired
    | WorkflowStarted
    | EventSent
    | EventRaised
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionRewound
    | ExecutionStalled
    | DetachedCreated
)
