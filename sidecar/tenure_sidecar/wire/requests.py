"""What clients ask, as records.  Both flavours, and the HTTP API, end up here.

Times are nanoseconds since the Unix epoch unless they are an ``Instant``.  ``target_app`` is set
when a Dapr client means another app than the one it is connected to.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from tenure_sidecar.engine.events import Instant, Status, TraceContext


class ReuseAction(Enum):
    """What to do when the id belongs to an instance in one of the policy's statuses."""

    ERROR = "error"
    IGNORE = "ignore"  # leave the old instance alone and report success
    REPLACE = "replace"  # end the old instance if it runs, and start the new one


class Reuse(msgspec.Struct, frozen=True):
    """A client's policy for ids that are taken.  In a status that is not listed, the id is not
    free."""

    statuses: frozenset[Status]
    action: ReuseAction = ReuseAction.REPLACE


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Create an instance.  ``instance_id`` empty = the engine's choice; ``reuse`` None = the
    default: the id of an ended instance may be used again."""

    name: str
    instance_id: str = ""
    version: str | None = None
    input: str | None = None
    scheduled_start: Instant | None = None
    execution_id: str | None = None
    tags: dict[str, str] = {}
    trace: TraceContext | None = None
    reuse: Reuse | None = None
    enforce_unique: bool = False  # the id must never have been used
    target_app: str | None = None


class GetRequest(msgspec.Struct, frozen=True):
    """Read an instance, or wait for it."""

    instance_id: str
    with_payloads: bool = False
    target_app: str | None = None


class RaiseRequest(msgspec.Struct, frozen=True):
    """Send an external event."""

    instance_id: str
    name: str
    input: str | None = None
    target_app: str | None = None


class TerminateRequest(msgspec.Struct, frozen=True):
    """End an instance; its children too when ``recursive``."""

    instance_id: str
    output: str | None = None
    recursive: bool = False
    target_app: str | None = None


class ReasonRequest(msgspec.Struct, frozen=True):
    """Suspend, resume or rewind."""

    instance_id: str
    reason: str | None = None
    target_app: str | None = None


class PurgeFilter(msgspec.Struct, frozen=True):
    """Which ended instances to purge; no statuses = any.  ``timeout`` is in nanoseconds."""

    statuses: frozenset[Status] = frozenset()
    created_from: int | None = None
    created_to: int | None = None
    timeout: int | None = None


class PurgeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Delete instances: those named, or (``filter`` is not None) all that match."""

    instance_ids: tuple[str, ...] = ()
    filter: PurgeFilter | None = None
    recursive: bool = False
    force: bool = False
    target_app: str | None = None


class QueryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One page of instances in full.  ``limit`` None = the client has no opinion."""

    statuses: frozenset[Status] = frozenset()
    created_from: int | None = None
    created_to: int | None = None
    id_prefix: str | None = None
    limit: int | None = None
    cursor: str | None = None
    with_payloads: bool = False


class ListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One page of instance ids.  The Microsoft flavour lists ended instances, by time of their end;
    Dapr's lists all and has no conditions."""

    statuses: frozenset[Status] = frozenset()
    completed_from: int | None = None
    completed_to: int | None = None
    limit: int | None = None
    cursor: str | None = None


class HistoryRequest(msgspec.Struct, frozen=True):
    """The events of one execution; ``execution_id`` None = the current one."""

    instance_id: str
    execution_id: str | None = None
    for_work_item: bool = False  # a worker asks, for a work item that left its history out


class RerunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Run a new instance from an event of an ended one."""

    source_id: str
    event_id: int
    new_id: str = ""
    overwrite_input: bool = False
    input: str | None = None
    child_id: str = ""
    target_app: str | None = None


class RestartRequest(msgspec.Struct, frozen=True):
    """Run an instance again from its input."""

    instance_id: str
    new_id: bool = False


class SkipTerminationRequest(msgspec.Struct, frozen=True):
    """End instances without telling their code."""

    instance_ids: tuple[str, ...]
    reason: str | None = None
