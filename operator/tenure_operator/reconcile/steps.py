"""What a reconcile asks for: one step at a time, as values.

The controller does the step, looks at what became of it and asks again, until the answer is
``Rest``.  So every decision is made on what is known then, and a crash between two steps is a
reconcile that begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tenure_operator.resources import (
    AppStatus,
    Concurrency,
    EventStatus,
    KeptFor,
    Key,
    ScheduleStatus,
    WorkflowStatus,
)

Verb = Literal["suspend", "resume", "terminate", "purge"]


class Look(NamedTuple):
    """Ask the gateway for the run, or for the app."""


class Start(NamedTuple):
    """Start the run; a repeat with the same ``request_key`` finds it."""

    instance_id: str
    request_key: str
    body: Mapping[str, Any]


class Steer(NamedTuple):
    """Suspend, resume, terminate or purge the run."""

    verb: Verb


class Raise(NamedTuple):
    """Raise an event; a repeat with the same ``request_key`` raises nothing."""

    namespace: str
    app_id: str
    instance_id: str
    event: str
    request_key: str
    body: Mapping[str, Any]


class Confirm(NamedTuple):
    """List the resources of this kind in the namespace anew: a watch may have left some out."""


class Configure(NamedTuple):
    """Set all settings of the app; only those of that version are replaced."""

    version: int
    retention: KeptFor = KeptFor()
    concurrency: Concurrency = Concurrency()


class Delete(NamedTuple):
    """Delete a resource (this one, when ``key`` is None)."""

    key: Key | None = None


class Reread(NamedTuple):
    """Read a resource anew, before something is left out because of it: the watch may not have told
    that it is gone."""

    key: Key


class Create(NamedTuple):
    """Create a resource; one that is there already is as good."""

    object: Mapping[str, Any]


class Patch(NamedTuple):
    """Change a part of the spec of another resource."""

    key: Key
    spec: Mapping[str, Any]


class Announcement(NamedTuple):
    """A Kubernetes Event about the resource, in users' words."""

    reason: str
    message: str
    warning: bool = False


class SetFinalizers(NamedTuple):
    """Write the list of finalizers, and what the annotation that keeps a run's end says (None: as it
    is); announce when that is done."""

    finalizers: tuple[str, ...]
    announcements: tuple[Announcement, ...] = ()
    ended: str | None = None


class Rest(NamedTuple):
    """Nothing more to do now: the status to write if it differs, what to announce, when to look again.

    ``wake_at`` is nanoseconds since the epoch, None = when something changes.
    """

    status: WorkflowStatus | ScheduleStatus | EventStatus | AppStatus | None = None
    announcements: tuple[Announcement, ...] = ()
    wake_at: int | None = None


Step = (
    Look
    | Start
    | Steer
    | Raise
    | Confirm
    | Configure
    | SetFinalizers
    | Delete
    | Reread
    | Create
    | Patch
    | Rest
)
