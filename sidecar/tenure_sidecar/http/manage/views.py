"""What the management API answers with: instances, pages, counts.

Times are RFC 3339 texts in UTC with nine digits.  Payloads (input, output, custom status) are text
to the engine; here they are the JSON value that the text holds, or a JSON string when it holds
none.  Ask with ``raw=true`` for the texts exactly as they are stored.

A list gives ``Instance``, which is read from the head alone and has no payloads: one page of big
outputs would be many megabytes.  A single instance is an ``InstanceDetails``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure_common.times import format_time
from tenure_sidecar.engine.events import Status

if TYPE_CHECKING:
    from tenure_sidecar.engine.events import Failure
    from tenure_sidecar.engine.head import Head

# Any JSON value, as it was written; absent is not null.
Json = msgspec.Raw | msgspec.UnsetType


class FailureView(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An exception in workflow or activity code."""

    error_type: str
    message: str
    stack_trace: str | None = None
    inner: FailureView | None = None
    non_retriable: bool = False


class ParentView(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The workflow that waits for the instance, and under which task id."""

    instance_id: str
    task_id: int
    workflow: str = ""


class StallView(msgspec.Struct, frozen=True):
    """Why the instance waits for another worker or a larger limit."""

    reason: str
    description: str


class Instance(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One workflow instance, without its payloads."""

    instance_id: str
    app: str
    workflow: str
    status: str
    created_at: str
    updated_at: str
    version: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    start_at: str | None = None  # of a delayed start
    expires_at: str | None = None  # when retention deletes it
    parent: ParentView | None = None
    tags: dict[str, str] = {}
    stall: StallView | None = None
    error: str | None = None  # "type: message" of the failure
    generation: int = 0
    execution_id: str = ""
    history_length: int = 0
    history_bytes: int = 0
    pending_activities: int = 0
    rerun_of: str | None = None
    patches: tuple[str, ...] = ()
    trace_parent: str | None = None
    revision: str = ""  # changes with every change of the instance


class InstanceDetails(Instance, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One workflow instance with its payloads."""

    input: Json = msgspec.UNSET
    output: Json = msgspec.UNSET
    custom_status: Json = msgspec.UNSET
    failure: FailureView | None = None


class InstancePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page; ``cursor`` asks for the next one and is absent at the end."""

    instances: list[Instance]
    cursor: str | None = None


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """How many instances match, in all and by status (statuses without any are left out)."""

    total: int
    by_status: dict[str, int]


class Waited(msgspec.Struct, frozen=True):
    """The end of a wait: whether it was ``reached``, and the instance as it is now."""

    reached: bool
    instance: InstanceDetails


class Started(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a start; ``created`` is false when an earlier request had started it."""

    created: bool
    instance: Instance


class Purged(msgspec.Struct, frozen=True):
    """How many instances were deleted, children included."""

    deleted: int


class AppView(msgspec.Struct, frozen=True):
    """An app and its namespace."""

    namespace: str
    app: str


class AppsView(msgspec.Struct, frozen=True):
    """The apps that this server serves: ``apps`` are the names that stand behind ``apps/`` in paths
    like that of the request, ``items`` all that the caller may use."""

    apps: list[str]
    items: list[AppView]


class ErrorView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: a stable code, words, a page that says what to do, facts for programs."""

    code: str
    message: str
    docs: str
    details: dict[str, str] = {}


# --- from the engine's records --------------------------------------------------------------------


def payload(text: str | None, *, raw: bool = False) -> Json:
    """The JSON value that ``text`` holds, else (or when ``raw``) ``text`` as a JSON string."""
    if text is None:
        return msgspec.UNSET
    encoded = text.encode("utf-8", "surrogatepass")
    if not raw:
        try:
            msgspec.json.decode(encoded, type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            return msgspec.Raw(encoded)
    return msgspec.Raw(msgspec.json.encode(encoded.decode("utf-8", "replace")))


def failure(value: Failure | None) -> FailureView | None:
    """Its view."""
    if value is None:
        return None
    return FailureView(
        value.error_type,
        value.message,
        value.stack_trace,
        failure(value.inner),
        value.non_retriable,
    )


def _time(nanoseconds: int) -> str | None:
    return format_time(nanoseconds) if nanoseconds else None


def instance(head: Head, *, app: str) -> Instance:
    """The view of a head, without payloads."""
    parent, stall, failed = head.parent, head.stall, head.failure
    start = head.scheduled_start
    stalled = stall is not None and head.status is Status.STALLED
    return Instance(
        instance_id=head.instance_id,
        app=app,
        workflow=head.name,
        status=head.status.name,
        created_at=format_time(head.created_at),
        updated_at=format_time(head.updated_at),
        version=head.version,
        started_at=_time(head.started_at),
        completed_at=_time(head.completed_at),
        start_at=format_time(start.nanoseconds) if start else None,
        expires_at=_time(head.expires_at),
        parent=ParentView(parent.instance_id, parent.task_id, parent.name) if parent else None,
        tags=head.tags,
        stall=StallView(stall.reason.name, stall.description or "") if stall and stalled else None,
        error=f"{failed.error_type}: {failed.message}" if failed else None,
        generation=head.generation,
        execution_id=head.execution_id,
        history_length=head.history_length,
        history_bytes=head.history_bytes,
        pending_activities=0 if head.status.terminal else head.pending,
        rerun_of=head.rerun_of,
        patches=head.code.patches if head.code else (),
        trace_parent=head.trace.traceparent if head.trace else None,
        revision=head.commit_id,
    )


def details(
    head: Head,
    *,
    app: str,
    input: str | None,  # noqa: A002 - the protocol's word
    raw: bool = False,
) -> InstanceDetails:
    """The view of a head with its payloads."""
    return InstanceDetails(
        **msgspec.structs.asdict(instance(head, app=app)),
        input=payload(input, raw=raw),
        output=payload(head.output, raw=raw),
        custom_status=payload(head.custom_status, raw=raw),
        failure=failure(head.failure),
    )
