"""The custom resources as frozen values; the CRDs in ``crds/`` are their description.

A resource is decoded once, when Kubernetes tells of it, and never changed: what shall become of it
is a new status beside the old one.  Times stay RFC 3339 texts here, because they are compared and
copied more often than they are calculated with.

Decoding is lenient where the API server is strict already (unknown fields, bounds, one-of): a field
that a later version adds must not stop an operator of this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from tenure_common.errors import BadResourceError

FINALIZER = "tenure.dev/run"
FINALIZER_SETTINGS = "tenure.dev/settings"
LABEL_SCHEDULE = "tenure.dev/schedule"
ANNOTATION_DUE = "tenure.dev/scheduled-at"
ANNOTATION_ENDED = "tenure.dev/ended"

Policy = Literal["Terminate", "Purge", "Orphan"]
Phase = Literal[
    "Pending",
    "Running",
    "Suspended",
    "Stalled",
    "Completed",
    "Failed",
    "Terminated",
    "Canceled",
    "Missing",
]


class Key(NamedTuple):
    """Which object: ``kind`` is the Kubernetes kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def _rename(field: str) -> str:
    """Kubernetes' spelling: camel case, with ID in capitals."""
    first, *rest = field.split("_")
    return first + "".join("ID" if word == "id" else word.capitalize() for word in rest)


class _Value(msgspec.Struct, frozen=True, kw_only=True, rename=_rename, omit_defaults=True):
    """Base of everything below."""


class Owner(_Value, frozen=True, kw_only=True):
    """An entry of ``ownerReferences``."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Meta(_Value, frozen=True, kw_only=True):
    """The metadata that matter."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: str
    generation: int = 0
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()

    @property
    def deleted(self) -> bool:
        """Whether it is being deleted."""
        return self.deletion_timestamp is not None


class Condition(_Value, frozen=True, kw_only=True):
    """One condition, as ``kubectl wait`` reads it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int = 0


# --- Workflow -------------------------------------------------------------------------------------


class WorkflowSpec(_Value, frozen=True, kw_only=True):
    """``spec`` of a Workflow; ``input`` is any JSON value."""

    app_id: str
    workflow: str
    version: str | None = None
    input: Any = msgspec.UNSET
    instance_id: str | None = None
    start_at: str | None = None
    suspend: bool | None = None
    terminate: bool = False
    ttl_seconds_after_finished: int | None = None
    deletion_policy: Policy = "Terminate"


class Failure(_Value, frozen=True, kw_only=True):
    """The error that ended a run."""

    error_type: str = ""
    message: str = ""
    stack_trace: str | None = None


class Progress(_Value, frozen=True, kw_only=True):
    """How far a run is."""

    history_length: int = 0
    pending_activities: int = 0
    generation: int = 0


class WorkflowStatus(_Value, frozen=True, kw_only=True):
    """``status`` of a Workflow."""

    observed_generation: int = 0
    phase: Phase | None = None
    reason: str | None = None
    message: str | None = None
    instance_id: str | None = None
    start_time: str | None = None
    completion_time: str | None = None
    output: Any = msgspec.UNSET
    output_bytes: int | None = None
    custom_status: Any = msgspec.UNSET
    failure: Failure | None = None
    progress: Progress | None = None
    conditions: tuple[Condition, ...] = ()


class Workflow(_Value, frozen=True, kw_only=True):
    """One run."""

    metadata: Meta
    spec: WorkflowSpec
    status: WorkflowStatus = WorkflowStatus()

    @property
    def key(self) -> Key:
        """Which object it is."""
        return Key("Workflow", self.metadata.namespace, self.metadata.name)

    @property
    def instance_id(self) -> str:
        """The id of its run: that of the spec, or one of the name and uid; never that of the status,
        which a hand can change."""
        return self.spec.instance_id or f"{self.metadata.name}-{self.metadata.uid[:8]}"


# --- WorkflowSchedule -----------------------------------------------------------------------------


class TemplateMeta(_Value, frozen=True, kw_only=True):
    """Labels and annotations of the Workflows that a schedule creates."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class WorkflowTemplate(_Value, frozen=True, kw_only=True):
    """The Workflow that a schedule creates; its spec goes there as it is."""

    spec: dict[str, Any]
    metadata: TemplateMeta = TemplateMeta()


class ScheduleSpec(_Value, frozen=True, kw_only=True):
    """``spec`` of a WorkflowSchedule."""

    schedule: str
    workflow_template: WorkflowTemplate
    time_zone: str = "Etc/UTC"
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    starting_deadline_seconds: int | None = None
    suspend: bool = False
    successful_runs_history_limit: int = 3
    failed_runs_history_limit: int = 1


class ScheduleStatus(_Value, frozen=True, kw_only=True):
    """``status`` of a WorkflowSchedule."""

    observed_generation: int = 0
    counted_from: str | None = None
    last_schedule_time: str | None = None
    next_schedule_time: str | None = None
    last_successful_time: str | None = None
    active_count: int = 0
    active: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


class WorkflowSchedule(_Value, frozen=True, kw_only=True):
    """Workflows at certain times."""

    metadata: Meta
    spec: ScheduleSpec
    status: ScheduleStatus = ScheduleStatus()

    @property
    def key(self) -> Key:
        """Which object it is."""
        return Key("WorkflowSchedule", self.metadata.namespace, self.metadata.name)


# --- WorkflowEvent --------------------------------------------------------------------------------


class EventSpec(_Value, frozen=True, kw_only=True):
    """``spec`` of a WorkflowEvent."""

    event: str
    workflow_name: str | None = None
    instance_id: str | None = None
    app_id: str | None = None
    data: Any = msgspec.UNSET
    timeout_seconds: int = 300
    ttl_seconds_after_finished: int | None = None


class EventStatus(_Value, frozen=True, kw_only=True):
    """``status`` of a WorkflowEvent."""

    observed_generation: int = 0
    phase: Literal["Pending", "Delivered", "Failed"] | None = None
    reason: str | None = None
    message: str | None = None
    instance_id: str | None = None
    completion_time: str | None = None
    conditions: tuple[Condition, ...] = ()


class WorkflowEvent(_Value, frozen=True, kw_only=True):
    """An event for one run."""

    metadata: Meta
    spec: EventSpec
    status: EventStatus = EventStatus()

    @property
    def key(self) -> Key:
        """Which object it is."""
        return Key("WorkflowEvent", self.metadata.namespace, self.metadata.name)


# --- WorkflowApp ----------------------------------------------------------------------------------


class KeptFor(_Value, frozen=True, kw_only=True):
    """How long runs are kept after their end: `7d`, `forever`; None = as the sidecars' flags say."""

    any: str | None = None
    completed: str | None = None
    failed: str | None = None
    terminated: str | None = None


class Concurrency(_Value, frozen=True, kw_only=True):
    """How much the workers of one sidecar work on at a time; None = as they say themselves."""

    workflows: int | None = None
    activities: int | None = None


class AppSpec(_Value, frozen=True, kw_only=True):
    """``spec`` of a WorkflowApp."""

    app_id: str | None = None
    partitions: int | None = None
    retention: KeptFor = KeptFor()
    concurrency: Concurrency = Concurrency()


class AppStatus(_Value, frozen=True, kw_only=True):
    """``status`` of a WorkflowApp."""

    observed_generation: int = 0
    app_id: str | None = None
    store: str | None = None
    partitions: int | None = None
    owned_partitions: int | None = None
    sidecars: int | None = None
    workers: int | None = None
    settings_version: int | None = None
    conditions: tuple[Condition, ...] = ()


class WorkflowApp(_Value, frozen=True, kw_only=True):
    """The settings of an app, and who works for it."""

    metadata: Meta
    spec: AppSpec
    status: AppStatus = AppStatus()

    @property
    def key(self) -> Key:
        """Which object it is."""
        return Key("WorkflowApp", self.metadata.namespace, self.metadata.name)

    @property
    def app_id(self) -> str:
        """The app: that of the spec, or the one of its name."""
        return self.spec.app_id or self.metadata.name


Resource = Workflow | WorkflowSchedule | WorkflowEvent | WorkflowApp
R = TypeVar("R", bound=Resource)


class _ListMeta(_Value, frozen=True, kw_only=True):
    resource_version: str = ""


class Listed(_Value, frozen=True, kw_only=True):
    """The API server's answer to a list: the objects as they were at one moment."""

    metadata: _ListMeta
    items: tuple[msgspec.Raw, ...]

    @property
    def version(self) -> str:
        """That moment."""
        return self.metadata.resource_version


def decode(body: bytes | Mapping[str, Any], kind: type[R]) -> R:
    """The resource in an object of the API server, as JSON or decoded.  Raises: BadResourceError."""
    try:
        if isinstance(body, bytes):
            return msgspec.json.decode(body, type=kind)
        return msgspec.convert(body, kind, strict=True)
    except msgspec.DecodeError as error:
        message = (
            f"{kind.__name__} cannot be read: {error}; are the CRDs of this version installed?"
        )
        raise BadResourceError(message) from error
