"""What the workflow code asks for at the end of a turn: the worker's response, flavour-neutral.

``task_id`` is chosen by the SDK; it numbers the actions of one execution and comes back as the
``event_id`` of the event that the action creates.
"""

from __future__ import annotations

import msgspec

from tenure_sidecar.engine.events import (
    Event,
    Failure,
    Instant,
    Status,
    TimerOrigin,
    TraceContext,
    VersionInfo,
)


class _Action(msgspec.Struct, frozen=True):
    task_id: int


class ScheduleTask(_Action, frozen=True):
    """Run an activity.  ``task_execution_id`` is empty when the SDK does not choose one."""

    name: str
    version: str | None = None
    input: str | None = None
    task_execution_id: str = ""
    trace: TraceContext | None = None
    tags: dict[str, str] = {}
    propagation: int | None = None
    target_app: str | None = None  # None or the own app; any other is refused


class CreateTimer(_Action, frozen=True):
    """Wake the workflow at ``fire_at``."""

    fire_at: Instant
    name: str | None = None
    origin: TimerOrigin | None = None


class CreateChild(_Action, frozen=True):
    """Start a child workflow; an empty ``instance_id`` lets the engine choose."""

    name: str
    instance_id: str = ""
    version: str | None = None
    input: str | None = None
    trace: TraceContext | None = None
    tags: dict[str, str] = {}
    propagation: int | None = None
    retry_parent: str | None = None
    target_app: str | None = None


class CreateDetached(_Action, frozen=True):
    """Start a workflow that nobody waits for."""

    name: str
    instance_id: str
    version: str | None = None
    input: str | None = None
    scheduled_start: Instant | None = None
    execution_id: str | None = None
    tags: dict[str, str] = {}
    trace: TraceContext | None = None
    target_app: str | None = None


class SendEvent(_Action, frozen=True):
    """Send an external event to another instance."""

    instance_id: str
    name: str
    input: str | None = None


class Complete(_Action, frozen=True):
    """End this generation.  ``status`` is COMPLETED, FAILED, TERMINATED or CONTINUED_AS_NEW;
    for the last, ``result`` is the new input and ``carryover`` the events to keep."""

    status: Status
    result: str | None = None
    details: str | None = None
    new_version: str | None = None
    carryover: tuple[Event, ...] = ()
    failure: Failure | None = None
    tags: dict[str, str] = {}


class Terminate(_Action, frozen=True):
    """Terminate another instance."""

    instance_id: str
    reason: str | None = None
    recurse: bool = False


class VersionNotAvailable(_Action, frozen=True):
    """The worker has no code for the version that the history was made with."""


class Rewind(_Action, frozen=True):
    """Replace the history (the worker's answer to ``ExecutionRewound``)."""

    history: tuple[Event, ...]


class Unsupported(_Action, frozen=True):
    """An action that this engine does not run; ``what`` names it for the error message."""

    what: str


Action = (
    ScheduleTask
    | CreateTimer
    | CreateChild
    | CreateDetached
    | SendEvent
    | Complete
    | Terminate
    | VersionNotAvailable
    | Rewind
    | Unsupported
)


class Response(msgspec.Struct, frozen=True):
    """A worker's answer to one turn.  ``processed`` limits how many new events it consumed
    (None = all); ``custom_status`` None leaves the status as it is."""

    actions: tuple[Action, ...] = ()
    custom_status: str | None = None
    processed: int | None = None
    version: VersionInfo | None = None
    span_id: str | None = None
