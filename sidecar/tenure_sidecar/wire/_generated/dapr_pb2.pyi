from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from tenure_sidecar.wire._generated import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StalledReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PATCH_MISMATCH: _ClassVar[StalledReason]
    VERSION_NOT_AVAILABLE: _ClassVar[StalledReason]
    PAYLOAD_SIZE_EXCEEDED: _ClassVar[StalledReason]

class HistoryPropagationScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_NONE: _ClassVar[HistoryPropagationScope]
    SCOPE_OWN_HISTORY: _ClassVar[HistoryPropagationScope]
    SCOPE_LINEAGE: _ClassVar[HistoryPropagationScope]

class WorkerCapability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[WorkerCapability]
    CAPABILITY_STATEFUL_HISTORY: _ClassVar[WorkerCapability]
    CAPABILITY_HEALTH_PING: _ClassVar[WorkerCapability]
PATCH_MISMATCH: StalledReason
VERSION_NOT_AVAILABLE: StalledReason
PAYLOAD_SIZE_EXCEEDED: StalledReason
SCOPE_NONE: HistoryPropagationScope
SCOPE_OWN_HISTORY: HistoryPropagationScope
SCOPE_LINEAGE: HistoryPropagationScope
CAPABILITY_UNSPECIFIED: WorkerCapability
CAPABILITY_STATEFUL_HISTORY: WorkerCapability
CAPABILITY_HEALTH_PING: WorkerCapability

class WorkflowVersion(_message.Message):
    __slots__ = ("patches", "name")
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    patches: _containers.RepeatedScalarFieldContainer[str]
    name: str
    def __init__(self, patches: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ...) -> None: ...

class RerunParent(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class RetryParent(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class TimerOriginTimer(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TimerOriginExternalEvent(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class TimerOriginActivityRetry(_message.Message):
    __slots__ = ("task_execution_id",)
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    task_execution_id: str
    def __init__(self, task_execution_id: _Optional[str] = ...) -> None: ...

class TimerOriginChildRetry(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class ActivityAttestation(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ChildAttestation(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class PropagatedHistoryChunk(_message.Message):
    __slots__ = ("raw_events", "app_id", "instance_id", "workflow_name", "raw_signatures", "signing_cert_chains")
    RAW_EVENTS_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_NAME_FIELD_NUMBER: _ClassVar[int]
    RAW_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SIGNING_CERT_CHAINS_FIELD_NUMBER: _ClassVar[int]
    raw_events: _containers.RepeatedScalarFieldContainer[bytes]
    app_id: str
    instance_id: str
    workflow_name: str
    raw_signatures: _containers.RepeatedScalarFieldContainer[bytes]
    signing_cert_chains: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, raw_events: _Optional[_Iterable[bytes]] = ..., app_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., workflow_name: _Optional[str] = ..., raw_signatures: _Optional[_Iterable[bytes]] = ..., signing_cert_chains: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PropagatedHistory(_message.Message):
    __slots__ = ("scope", "chunks")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    scope: HistoryPropagationScope
    chunks: _containers.RepeatedCompositeFieldContainer[PropagatedHistoryChunk]
    def __init__(self, scope: _Optional[_Union[HistoryPropagationScope, str]] = ..., chunks: _Optional[_Iterable[_Union[PropagatedHistoryChunk, _Mapping]]] = ...) -> None: ...

class TaskScheduledEvent(_message.Message):
    __slots__ = ("name", "version", "input", "parent_trace", "task_execution_id", "rerun_parent", "propagation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    RERUN_PARENT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    task_execution_id: str
    rerun_parent: RerunParent
    propagation: HistoryPropagationScope
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., task_execution_id: _Optional[str] = ..., rerun_parent: _Optional[_Union[RerunParent, _Mapping]] = ..., propagation: _Optional[_Union[HistoryPropagationScope, str]] = ...) -> None: ...

class TaskCompletedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "result", "task_execution_id", "attestation", "signer_certificate")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    SIGNER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    result: _wrappers_pb2.StringValue
    task_execution_id: str
    attestation: ActivityAttestation
    signer_certificate: bytes
    def __init__(self, task_scheduled_id: _Optional[int] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., task_execution_id: _Optional[str] = ..., attestation: _Optional[_Union[ActivityAttestation, _Mapping]] = ..., signer_certificate: _Optional[bytes] = ...) -> None: ...

class TaskFailedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "failure", "task_execution_id", "attestation", "signer_certificate")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    SIGNER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    failure: _common_pb2.Failure
    task_execution_id: str
    attestation: ActivityAttestation
    signer_certificate: bytes
    def __init__(self, task_scheduled_id: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., task_execution_id: _Optional[str] = ..., attestation: _Optional[_Union[ActivityAttestation, _Mapping]] = ..., signer_certificate: _Optional[bytes] = ...) -> None: ...

class ChildCreatedEvent(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "parent_trace", "rerun_parent", "propagation", "retry_parent")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    RERUN_PARENT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    RETRY_PARENT_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    rerun_parent: RerunParent
    propagation: HistoryPropagationScope
    retry_parent: RetryParent
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., rerun_parent: _Optional[_Union[RerunParent, _Mapping]] = ..., propagation: _Optional[_Union[HistoryPropagationScope, str]] = ..., retry_parent: _Optional[_Union[RetryParent, _Mapping]] = ...) -> None: ...

class ChildCompletedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "result", "attestation", "signer_certificate")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    SIGNER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    result: _wrappers_pb2.StringValue
    attestation: ChildAttestation
    signer_certificate: bytes
    def __init__(self, task_scheduled_id: _Optional[int] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., attestation: _Optional[_Union[ChildAttestation, _Mapping]] = ..., signer_certificate: _Optional[bytes] = ...) -> None: ...

class ChildFailedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "failure", "attestation", "signer_certificate")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    SIGNER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    failure: _common_pb2.Failure
    attestation: ChildAttestation
    signer_certificate: bytes
    def __init__(self, task_scheduled_id: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., attestation: _Optional[_Union[ChildAttestation, _Mapping]] = ..., signer_certificate: _Optional[bytes] = ...) -> None: ...

class DetachedCreatedEvent(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class TimerCreatedEvent(_message.Message):
    __slots__ = ("fire_at", "name", "rerun_parent", "origin_timer", "origin_external_event", "origin_activity_retry", "origin_child_retry")
    FIRE_AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RERUN_PARENT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_TIMER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_EXTERNAL_EVENT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ACTIVITY_RETRY_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_CHILD_RETRY_FIELD_NUMBER: _ClassVar[int]
    fire_at: _timestamp_pb2.Timestamp
    name: str
    rerun_parent: RerunParent
    origin_timer: TimerOriginTimer
    origin_external_event: TimerOriginExternalEvent
    origin_activity_retry: TimerOriginActivityRetry
    origin_child_retry: TimerOriginChildRetry
    def __init__(self, fire_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., rerun_parent: _Optional[_Union[RerunParent, _Mapping]] = ..., origin_timer: _Optional[_Union[TimerOriginTimer, _Mapping]] = ..., origin_external_event: _Optional[_Union[TimerOriginExternalEvent, _Mapping]] = ..., origin_activity_retry: _Optional[_Union[TimerOriginActivityRetry, _Mapping]] = ..., origin_child_retry: _Optional[_Union[TimerOriginChildRetry, _Mapping]] = ...) -> None: ...

class WorkflowStartedEvent(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: WorkflowVersion
    def __init__(self, version: _Optional[_Union[WorkflowVersion, _Mapping]] = ...) -> None: ...

class ExecutionStalledEvent(_message.Message):
    __slots__ = ("reason", "description")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    reason: StalledReason
    description: str
    def __init__(self, reason: _Optional[_Union[StalledReason, str]] = ..., description: _Optional[str] = ...) -> None: ...

class HistoryEvent(_message.Message):
    __slots__ = ("event_id", "timestamp", "execution_started", "execution_completed", "execution_terminated", "task_scheduled", "task_completed", "task_failed", "child_created", "child_completed", "child_failed", "timer_created", "timer_fired", "workflow_started", "workflow_completed", "event_sent", "event_raised", "continue_as_new", "execution_suspended", "execution_resumed", "execution_stalled", "detached_created", "router")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_STARTED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TERMINATED_FIELD_NUMBER: _ClassVar[int]
    TASK_SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    TASK_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    TASK_FAILED_FIELD_NUMBER: _ClassVar[int]
    CHILD_CREATED_FIELD_NUMBER: _ClassVar[int]
    CHILD_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    CHILD_FAILED_FIELD_NUMBER: _ClassVar[int]
    TIMER_CREATED_FIELD_NUMBER: _ClassVar[int]
    TIMER_FIRED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_STARTED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    EVENT_SENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_RAISED_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_AS_NEW_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_RESUMED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_STALLED_FIELD_NUMBER: _ClassVar[int]
    DETACHED_CREATED_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    event_id: int
    timestamp: _timestamp_pb2.Timestamp
    execution_started: _common_pb2.ExecutionStartedEvent
    execution_completed: _common_pb2.ExecutionCompletedEvent
    execution_terminated: _common_pb2.ExecutionTerminatedEvent
    task_scheduled: TaskScheduledEvent
    task_completed: TaskCompletedEvent
    task_failed: TaskFailedEvent
    child_created: ChildCreatedEvent
    child_completed: ChildCompletedEvent
    child_failed: ChildFailedEvent
    timer_created: TimerCreatedEvent
    timer_fired: _common_pb2.TimerFiredEvent
    workflow_started: WorkflowStartedEvent
    workflow_completed: _common_pb2.WorkflowCompletedEvent
    event_sent: _common_pb2.EventSentEvent
    event_raised: _common_pb2.EventRaisedEvent
    continue_as_new: _common_pb2.ContinueAsNewEvent
    execution_suspended: _common_pb2.ExecutionSuspendedEvent
    execution_resumed: _common_pb2.ExecutionResumedEvent
    execution_stalled: ExecutionStalledEvent
    detached_created: DetachedCreatedEvent
    router: _common_pb2.TaskRouter
    def __init__(self, event_id: _Optional[int] = ..., timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., execution_started: _Optional[_Union[_common_pb2.ExecutionStartedEvent, _Mapping]] = ..., execution_completed: _Optional[_Union[_common_pb2.ExecutionCompletedEvent, _Mapping]] = ..., execution_terminated: _Optional[_Union[_common_pb2.ExecutionTerminatedEvent, _Mapping]] = ..., task_scheduled: _Optional[_Union[TaskScheduledEvent, _Mapping]] = ..., task_completed: _Optional[_Union[TaskCompletedEvent, _Mapping]] = ..., task_failed: _Optional[_Union[TaskFailedEvent, _Mapping]] = ..., child_created: _Optional[_Union[ChildCreatedEvent, _Mapping]] = ..., child_completed: _Optional[_Union[ChildCompletedEvent, _Mapping]] = ..., child_failed: _Optional[_Union[ChildFailedEvent, _Mapping]] = ..., timer_created: _Optional[_Union[TimerCreatedEvent, _Mapping]] = ..., timer_fired: _Optional[_Union[_common_pb2.TimerFiredEvent, _Mapping]] = ..., workflow_started: _Optional[_Union[WorkflowStartedEvent, _Mapping]] = ..., workflow_completed: _Optional[_Union[_common_pb2.WorkflowCompletedEvent, _Mapping]] = ..., event_sent: _Optional[_Union[_common_pb2.EventSentEvent, _Mapping]] = ..., event_raised: _Optional[_Union[_common_pb2.EventRaisedEvent, _Mapping]] = ..., continue_as_new: _Optional[_Union[_common_pb2.ContinueAsNewEvent, _Mapping]] = ..., execution_suspended: _Optional[_Union[_common_pb2.ExecutionSuspendedEvent, _Mapping]] = ..., execution_resumed: _Optional[_Union[_common_pb2.ExecutionResumedEvent, _Mapping]] = ..., execution_stalled: _Optional[_Union[ExecutionStalledEvent, _Mapping]] = ..., detached_created: _Optional[_Union[DetachedCreatedEvent, _Mapping]] = ..., router: _Optional[_Union[_common_pb2.TaskRouter, _Mapping]] = ...) -> None: ...

class ScheduleTaskAction(_message.Message):
    __slots__ = ("name", "version", "input", "task_execution_id", "propagation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    task_execution_id: str
    propagation: HistoryPropagationScope
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., task_execution_id: _Optional[str] = ..., propagation: _Optional[_Union[HistoryPropagationScope, str]] = ...) -> None: ...

class CreateChildAction(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "propagation", "retry_parent")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    RETRY_PARENT_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    propagation: HistoryPropagationScope
    retry_parent: RetryParent
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., propagation: _Optional[_Union[HistoryPropagationScope, str]] = ..., retry_parent: _Optional[_Union[RetryParent, _Mapping]] = ...) -> None: ...

class CreateDetachedAction(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "scheduled_start", "execution_id", "tags", "parent_trace")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_START_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    scheduled_start: _timestamp_pb2.Timestamp
    execution_id: _wrappers_pb2.StringValue
    tags: _containers.ScalarMap[str, str]
    parent_trace: _common_pb2.TraceContext
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., scheduled_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ...) -> None: ...

class CreateTimerAction(_message.Message):
    __slots__ = ("fire_at", "name", "origin_timer", "origin_external_event", "origin_activity_retry", "origin_child_retry")
    FIRE_AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_TIMER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_EXTERNAL_EVENT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_ACTIVITY_RETRY_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_CHILD_RETRY_FIELD_NUMBER: _ClassVar[int]
    fire_at: _timestamp_pb2.Timestamp
    name: str
    origin_timer: TimerOriginTimer
    origin_external_event: TimerOriginExternalEvent
    origin_activity_retry: TimerOriginActivityRetry
    origin_child_retry: TimerOriginChildRetry
    def __init__(self, fire_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., origin_timer: _Optional[_Union[TimerOriginTimer, _Mapping]] = ..., origin_external_event: _Optional[_Union[TimerOriginExternalEvent, _Mapping]] = ..., origin_activity_retry: _Optional[_Union[TimerOriginActivityRetry, _Mapping]] = ..., origin_child_retry: _Optional[_Union[TimerOriginChildRetry, _Mapping]] = ...) -> None: ...

class CompleteAction(_message.Message):
    __slots__ = ("status", "result", "details", "new_version", "carryover_events", "failure")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    NEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    CARRYOVER_EVENTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    status: _common_pb2.Status
    result: _wrappers_pb2.StringValue
    details: _wrappers_pb2.StringValue
    new_version: _wrappers_pb2.StringValue
    carryover_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    failure: _common_pb2.Failure
    def __init__(self, status: _Optional[_Union[_common_pb2.Status, str]] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., details: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., new_version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., carryover_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...

class VersionNotAvailableAction(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkflowAction(_message.Message):
    __slots__ = ("id", "schedule_task", "create_child", "create_timer", "send_event", "complete", "terminate", "version_not_available", "create_detached", "router")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TASK_FIELD_NUMBER: _ClassVar[int]
    CREATE_CHILD_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIMER_FIELD_NUMBER: _ClassVar[int]
    SEND_EVENT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    TERMINATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_NOT_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    CREATE_DETACHED_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    id: int
    schedule_task: ScheduleTaskAction
    create_child: CreateChildAction
    create_timer: CreateTimerAction
    send_event: _common_pb2.SendEventAction
    complete: CompleteAction
    terminate: _common_pb2.TerminateAction
    version_not_available: VersionNotAvailableAction
    create_detached: CreateDetachedAction
    router: _common_pb2.TaskRouter
    def __init__(self, id: _Optional[int] = ..., schedule_task: _Optional[_Union[ScheduleTaskAction, _Mapping]] = ..., create_child: _Optional[_Union[CreateChildAction, _Mapping]] = ..., create_timer: _Optional[_Union[CreateTimerAction, _Mapping]] = ..., send_event: _Optional[_Union[_common_pb2.SendEventAction, _Mapping]] = ..., complete: _Optional[_Union[CompleteAction, _Mapping]] = ..., terminate: _Optional[_Union[_common_pb2.TerminateAction, _Mapping]] = ..., version_not_available: _Optional[_Union[VersionNotAvailableAction, _Mapping]] = ..., create_detached: _Optional[_Union[CreateDetachedAction, _Mapping]] = ..., router: _Optional[_Union[_common_pb2.TaskRouter, _Mapping]] = ...) -> None: ...

class GetWorkItemsRequest(_message.Message):
    __slots__ = ("max_workflows", "max_activities", "max_entities", "capabilities")
    MAX_WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    max_workflows: int
    max_activities: int
    max_entities: int
    capabilities: _containers.RepeatedScalarFieldContainer[WorkerCapability]
    def __init__(self, max_workflows: _Optional[int] = ..., max_activities: _Optional[int] = ..., max_entities: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[WorkerCapability, str]]] = ...) -> None: ...

class CachedHistory(_message.Message):
    __slots__ = ("event_count",)
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    event_count: int
    def __init__(self, event_count: _Optional[int] = ...) -> None: ...

class WorkflowRequest(_message.Message):
    __slots__ = ("instance_id", "execution_id", "past_events", "new_events", "requires_history_streaming", "router", "propagated_history", "cached_history")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAST_EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEW_EVENTS_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_HISTORY_STREAMING_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    PROPAGATED_HISTORY_FIELD_NUMBER: _ClassVar[int]
    CACHED_HISTORY_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    execution_id: _wrappers_pb2.StringValue
    past_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    new_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    requires_history_streaming: bool
    router: _common_pb2.TaskRouter
    propagated_history: PropagatedHistory
    cached_history: CachedHistory
    def __init__(self, instance_id: _Optional[str] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., past_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., new_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., requires_history_streaming: bool = ..., router: _Optional[_Union[_common_pb2.TaskRouter, _Mapping]] = ..., propagated_history: _Optional[_Union[PropagatedHistory, _Mapping]] = ..., cached_history: _Optional[_Union[CachedHistory, _Mapping]] = ...) -> None: ...

class WorkflowResponse(_message.Message):
    __slots__ = ("instance_id", "actions", "custom_status", "completion_token", "num_events_processed", "version")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_STATUS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NUM_EVENTS_PROCESSED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    actions: _containers.RepeatedCompositeFieldContainer[WorkflowAction]
    custom_status: _wrappers_pb2.StringValue
    completion_token: str
    num_events_processed: _wrappers_pb2.Int32Value
    version: WorkflowVersion
    def __init__(self, instance_id: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[WorkflowAction, _Mapping]]] = ..., custom_status: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., completion_token: _Optional[str] = ..., num_events_processed: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ..., version: _Optional[_Union[WorkflowVersion, _Mapping]] = ...) -> None: ...

class ActivityRequest(_message.Message):
    __slots__ = ("name", "version", "input", "instance", "task_id", "parent_trace", "task_execution_id", "propagated_history")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PROPAGATED_HISTORY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    instance: _common_pb2.Instance
    task_id: int
    parent_trace: _common_pb2.TraceContext
    task_execution_id: str
    propagated_history: PropagatedHistory
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance: _Optional[_Union[_common_pb2.Instance, _Mapping]] = ..., task_id: _Optional[int] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., task_execution_id: _Optional[str] = ..., propagated_history: _Optional[_Union[PropagatedHistory, _Mapping]] = ...) -> None: ...

class WorkItem(_message.Message):
    __slots__ = ("workflow_request", "activity_request", "health_ping", "completion_token")
    WORKFLOW_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_REQUEST_FIELD_NUMBER: _ClassVar[int]
    HEALTH_PING_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workflow_request: WorkflowRequest
    activity_request: ActivityRequest
    health_ping: _common_pb2.HealthPing
    completion_token: str
    def __init__(self, workflow_request: _Optional[_Union[WorkflowRequest, _Mapping]] = ..., activity_request: _Optional[_Union[ActivityRequest, _Mapping]] = ..., health_ping: _Optional[_Union[_common_pb2.HealthPing, _Mapping]] = ..., completion_token: _Optional[str] = ...) -> None: ...

class PurgeInstancesRequest(_message.Message):
    __slots__ = ("instance_id", "filter", "recursive", "force", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    filter: _common_pb2.PurgeInstanceFilter
    recursive: bool
    force: bool
    router: _common_pb2.TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., filter: _Optional[_Union[_common_pb2.PurgeInstanceFilter, _Mapping]] = ..., recursive: bool = ..., force: bool = ..., router: _Optional[_Union[_common_pb2.TaskRouter, _Mapping]] = ...) -> None: ...

class RerunRequest(_message.Message):
    __slots__ = ("source_instance_id", "event_id", "new_instance_id", "input", "overwrite_input", "new_child_instance_id", "router")
    SOURCE_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_INPUT_FIELD_NUMBER: _ClassVar[int]
    NEW_CHILD_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    source_instance_id: str
    event_id: int
    new_instance_id: str
    input: _wrappers_pb2.StringValue
    overwrite_input: bool
    new_child_instance_id: str
    router: _common_pb2.TaskRouter
    def __init__(self, source_instance_id: _Optional[str] = ..., event_id: _Optional[int] = ..., new_instance_id: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., overwrite_input: bool = ..., new_child_instance_id: _Optional[str] = ..., router: _Optional[_Union[_common_pb2.TaskRouter, _Mapping]] = ...) -> None: ...

class RerunResponse(_message.Message):
    __slots__ = ("new_instance_id",)
    NEW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    new_instance_id: str
    def __init__(self, new_instance_id: _Optional[str] = ...) -> None: ...

class ListInstanceIdsRequest(_message.Message):
    __slots__ = ("continuation_token", "page_size")
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    continuation_token: str
    page_size: int
    def __init__(self, continuation_token: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListInstanceIdsResponse(_message.Message):
    __slots__ = ("instance_ids", "continuation_token")
    INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instance_ids: _containers.RepeatedScalarFieldContainer[str]
    continuation_token: str
    def __init__(self, instance_ids: _Optional[_Iterable[str]] = ..., continuation_token: _Optional[str] = ...) -> None: ...

class GetInstanceHistoryRequest(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class GetInstanceHistoryResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ...) -> None: ...
