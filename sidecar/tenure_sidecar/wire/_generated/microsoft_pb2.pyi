from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
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

class WorkerCapability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[WorkerCapability]
    CAPABILITY_HISTORY_STREAMING: _ClassVar[WorkerCapability]
    CAPABILITY_SCHEDULED_TASKS: _ClassVar[WorkerCapability]
    CAPABILITY_LARGE_PAYLOADS: _ClassVar[WorkerCapability]
CAPABILITY_UNSPECIFIED: WorkerCapability
CAPABILITY_HISTORY_STREAMING: WorkerCapability
CAPABILITY_SCHEDULED_TASKS: WorkerCapability
CAPABILITY_LARGE_PAYLOADS: WorkerCapability

class WorkflowTraceContext(_message.Message):
    __slots__ = ("span_id", "span_started_at")
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    span_id: _wrappers_pb2.StringValue
    span_started_at: _timestamp_pb2.Timestamp
    def __init__(self, span_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., span_started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskScheduledEvent(_message.Message):
    __slots__ = ("name", "version", "input", "parent_trace", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    tags: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TaskCompletedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "result")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    result: _wrappers_pb2.StringValue
    def __init__(self, task_scheduled_id: _Optional[int] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class TaskFailedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "failure")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    failure: _common_pb2.Failure
    def __init__(self, task_scheduled_id: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...

class ChildCreatedEvent(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "parent_trace", "tags")
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
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    tags: _containers.ScalarMap[str, str]
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ChildCompletedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "result")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    result: _wrappers_pb2.StringValue
    def __init__(self, task_scheduled_id: _Optional[int] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ChildFailedEvent(_message.Message):
    __slots__ = ("task_scheduled_id", "failure")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    failure: _common_pb2.Failure
    def __init__(self, task_scheduled_id: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...

class TimerCreatedEvent(_message.Message):
    __slots__ = ("fire_at",)
    FIRE_AT_FIELD_NUMBER: _ClassVar[int]
    fire_at: _timestamp_pb2.Timestamp
    def __init__(self, fire_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkflowStartedEvent(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GenericEvent(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _wrappers_pb2.StringValue
    def __init__(self, data: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class HistoryStateEvent(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _common_pb2.WorkflowState
    def __init__(self, state: _Optional[_Union[_common_pb2.WorkflowState, _Mapping]] = ...) -> None: ...

class EntityOperationSignaledEvent(_message.Message):
    __slots__ = ("request_id", "operation", "scheduled_time", "input", "target_instance_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TARGET_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    operation: str
    scheduled_time: _timestamp_pb2.Timestamp
    input: _wrappers_pb2.StringValue
    target_instance_id: _wrappers_pb2.StringValue
    def __init__(self, request_id: _Optional[str] = ..., operation: _Optional[str] = ..., scheduled_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., target_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EntityOperationCalledEvent(_message.Message):
    __slots__ = ("request_id", "operation", "scheduled_time", "input", "parent_instance_id", "parent_execution_id", "target_instance_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARENT_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    operation: str
    scheduled_time: _timestamp_pb2.Timestamp
    input: _wrappers_pb2.StringValue
    parent_instance_id: _wrappers_pb2.StringValue
    parent_execution_id: _wrappers_pb2.StringValue
    target_instance_id: _wrappers_pb2.StringValue
    def __init__(self, request_id: _Optional[str] = ..., operation: _Optional[str] = ..., scheduled_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., target_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EntityLockRequestedEvent(_message.Message):
    __slots__ = ("critical_section_id", "lock_set", "position", "parent_instance_id")
    CRITICAL_SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCK_SET_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PARENT_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    critical_section_id: str
    lock_set: _containers.RepeatedScalarFieldContainer[str]
    position: int
    parent_instance_id: _wrappers_pb2.StringValue
    def __init__(self, critical_section_id: _Optional[str] = ..., lock_set: _Optional[_Iterable[str]] = ..., position: _Optional[int] = ..., parent_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EntityOperationCompletedEvent(_message.Message):
    __slots__ = ("request_id", "output")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    output: _wrappers_pb2.StringValue
    def __init__(self, request_id: _Optional[str] = ..., output: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EntityOperationFailedEvent(_message.Message):
    __slots__ = ("request_id", "failure")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    failure: _common_pb2.Failure
    def __init__(self, request_id: _Optional[str] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...

class EntityUnlockSentEvent(_message.Message):
    __slots__ = ("critical_section_id", "parent_instance_id", "target_instance_id")
    CRITICAL_SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    critical_section_id: str
    parent_instance_id: _wrappers_pb2.StringValue
    target_instance_id: _wrappers_pb2.StringValue
    def __init__(self, critical_section_id: _Optional[str] = ..., parent_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., target_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EntityLockGrantedEvent(_message.Message):
    __slots__ = ("critical_section_id",)
    CRITICAL_SECTION_ID_FIELD_NUMBER: _ClassVar[int]
    critical_section_id: str
    def __init__(self, critical_section_id: _Optional[str] = ...) -> None: ...

class ExecutionRewoundEvent(_message.Message):
    __slots__ = ("reason", "parent_execution_id", "instance_id", "parent_trace", "name", "version", "input", "parent", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    PARENT_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    reason: _wrappers_pb2.StringValue
    parent_execution_id: _wrappers_pb2.StringValue
    instance_id: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    name: _wrappers_pb2.StringValue
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent: _common_pb2.Parent
    tags: _containers.ScalarMap[str, str]
    def __init__(self, reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., name: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent: _Optional[_Union[_common_pb2.Parent, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class HistoryEvent(_message.Message):
    __slots__ = ("event_id", "timestamp", "execution_started", "execution_completed", "execution_terminated", "task_scheduled", "task_completed", "task_failed", "child_created", "child_completed", "child_failed", "timer_created", "timer_fired", "workflow_started", "workflow_completed", "event_sent", "event_raised", "generic_event", "history_state", "continue_as_new", "execution_suspended", "execution_resumed", "entity_operation_signaled", "entity_operation_called", "entity_operation_completed", "entity_operation_failed", "entity_lock_requested", "entity_lock_granted", "entity_unlock_sent", "execution_rewound")
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
    GENERIC_EVENT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_STATE_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_AS_NEW_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_RESUMED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_OPERATION_SIGNALED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_OPERATION_CALLED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_OPERATION_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_OPERATION_FAILED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_LOCK_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_LOCK_GRANTED_FIELD_NUMBER: _ClassVar[int]
    ENTITY_UNLOCK_SENT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_REWOUND_FIELD_NUMBER: _ClassVar[int]
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
    generic_event: GenericEvent
    history_state: HistoryStateEvent
    continue_as_new: _common_pb2.ContinueAsNewEvent
    execution_suspended: _common_pb2.ExecutionSuspendedEvent
    execution_resumed: _common_pb2.ExecutionResumedEvent
    entity_operation_signaled: EntityOperationSignaledEvent
    entity_operation_called: EntityOperationCalledEvent
    entity_operation_completed: EntityOperationCompletedEvent
    entity_operation_failed: EntityOperationFailedEvent
    entity_lock_requested: EntityLockRequestedEvent
    entity_lock_granted: EntityLockGrantedEvent
    entity_unlock_sent: EntityUnlockSentEvent
    execution_rewound: ExecutionRewoundEvent
    def __init__(self, event_id: _Optional[int] = ..., timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., execution_started: _Optional[_Union[_common_pb2.ExecutionStartedEvent, _Mapping]] = ..., execution_completed: _Optional[_Union[_common_pb2.ExecutionCompletedEvent, _Mapping]] = ..., execution_terminated: _Optional[_Union[_common_pb2.ExecutionTerminatedEvent, _Mapping]] = ..., task_scheduled: _Optional[_Union[TaskScheduledEvent, _Mapping]] = ..., task_completed: _Optional[_Union[TaskCompletedEvent, _Mapping]] = ..., task_failed: _Optional[_Union[TaskFailedEvent, _Mapping]] = ..., child_created: _Optional[_Union[ChildCreatedEvent, _Mapping]] = ..., child_completed: _Optional[_Union[ChildCompletedEvent, _Mapping]] = ..., child_failed: _Optional[_Union[ChildFailedEvent, _Mapping]] = ..., timer_created: _Optional[_Union[TimerCreatedEvent, _Mapping]] = ..., timer_fired: _Optional[_Union[_common_pb2.TimerFiredEvent, _Mapping]] = ..., workflow_started: _Optional[_Union[WorkflowStartedEvent, _Mapping]] = ..., workflow_completed: _Optional[_Union[_common_pb2.WorkflowCompletedEvent, _Mapping]] = ..., event_sent: _Optional[_Union[_common_pb2.EventSentEvent, _Mapping]] = ..., event_raised: _Optional[_Union[_common_pb2.EventRaisedEvent, _Mapping]] = ..., generic_event: _Optional[_Union[GenericEvent, _Mapping]] = ..., history_state: _Optional[_Union[HistoryStateEvent, _Mapping]] = ..., continue_as_new: _Optional[_Union[_common_pb2.ContinueAsNewEvent, _Mapping]] = ..., execution_suspended: _Optional[_Union[_common_pb2.ExecutionSuspendedEvent, _Mapping]] = ..., execution_resumed: _Optional[_Union[_common_pb2.ExecutionResumedEvent, _Mapping]] = ..., entity_operation_signaled: _Optional[_Union[EntityOperationSignaledEvent, _Mapping]] = ..., entity_operation_called: _Optional[_Union[EntityOperationCalledEvent, _Mapping]] = ..., entity_operation_completed: _Optional[_Union[EntityOperationCompletedEvent, _Mapping]] = ..., entity_operation_failed: _Optional[_Union[EntityOperationFailedEvent, _Mapping]] = ..., entity_lock_requested: _Optional[_Union[EntityLockRequestedEvent, _Mapping]] = ..., entity_lock_granted: _Optional[_Union[EntityLockGrantedEvent, _Mapping]] = ..., entity_unlock_sent: _Optional[_Union[EntityUnlockSentEvent, _Mapping]] = ..., execution_rewound: _Optional[_Union[ExecutionRewoundEvent, _Mapping]] = ...) -> None: ...

class ScheduleTaskAction(_message.Message):
    __slots__ = ("name", "version", "input", "tags", "parent_trace")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    tags: _containers.ScalarMap[str, str]
    parent_trace: _common_pb2.TraceContext
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ...) -> None: ...

class CreateChildAction(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "parent_trace", "tags")
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
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    parent_trace: _common_pb2.TraceContext
    tags: _containers.ScalarMap[str, str]
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateTimerAction(_message.Message):
    __slots__ = ("fire_at",)
    FIRE_AT_FIELD_NUMBER: _ClassVar[int]
    fire_at: _timestamp_pb2.Timestamp
    def __init__(self, fire_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CompleteAction(_message.Message):
    __slots__ = ("status", "result", "details", "new_version", "carryover_events", "failure", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    NEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    CARRYOVER_EVENTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    status: _common_pb2.Status
    result: _wrappers_pb2.StringValue
    details: _wrappers_pb2.StringValue
    new_version: _wrappers_pb2.StringValue
    carryover_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    failure: _common_pb2.Failure
    tags: _containers.ScalarMap[str, str]
    def __init__(self, status: _Optional[_Union[_common_pb2.Status, str]] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., details: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., new_version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., carryover_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SendEntityMessageAction(_message.Message):
    __slots__ = ("operation_signaled", "operation_called", "lock_requested", "unlock_sent")
    OPERATION_SIGNALED_FIELD_NUMBER: _ClassVar[int]
    OPERATION_CALLED_FIELD_NUMBER: _ClassVar[int]
    LOCK_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    UNLOCK_SENT_FIELD_NUMBER: _ClassVar[int]
    operation_signaled: EntityOperationSignaledEvent
    operation_called: EntityOperationCalledEvent
    lock_requested: EntityLockRequestedEvent
    unlock_sent: EntityUnlockSentEvent
    def __init__(self, operation_signaled: _Optional[_Union[EntityOperationSignaledEvent, _Mapping]] = ..., operation_called: _Optional[_Union[EntityOperationCalledEvent, _Mapping]] = ..., lock_requested: _Optional[_Union[EntityLockRequestedEvent, _Mapping]] = ..., unlock_sent: _Optional[_Union[EntityUnlockSentEvent, _Mapping]] = ...) -> None: ...

class RewindAction(_message.Message):
    __slots__ = ("new_history",)
    NEW_HISTORY_FIELD_NUMBER: _ClassVar[int]
    new_history: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    def __init__(self, new_history: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ...) -> None: ...

class OrchestratorAction(_message.Message):
    __slots__ = ("id", "schedule_task", "create_child", "create_timer", "send_event", "complete", "terminate", "send_entity_message", "rewind")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TASK_FIELD_NUMBER: _ClassVar[int]
    CREATE_CHILD_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIMER_FIELD_NUMBER: _ClassVar[int]
    SEND_EVENT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    TERMINATE_FIELD_NUMBER: _ClassVar[int]
    SEND_ENTITY_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REWIND_FIELD_NUMBER: _ClassVar[int]
    id: int
    schedule_task: ScheduleTaskAction
    create_child: CreateChildAction
    create_timer: CreateTimerAction
    send_event: _common_pb2.SendEventAction
    complete: CompleteAction
    terminate: _common_pb2.TerminateAction
    send_entity_message: SendEntityMessageAction
    rewind: RewindAction
    def __init__(self, id: _Optional[int] = ..., schedule_task: _Optional[_Union[ScheduleTaskAction, _Mapping]] = ..., create_child: _Optional[_Union[CreateChildAction, _Mapping]] = ..., create_timer: _Optional[_Union[CreateTimerAction, _Mapping]] = ..., send_event: _Optional[_Union[_common_pb2.SendEventAction, _Mapping]] = ..., complete: _Optional[_Union[CompleteAction, _Mapping]] = ..., terminate: _Optional[_Union[_common_pb2.TerminateAction, _Mapping]] = ..., send_entity_message: _Optional[_Union[SendEntityMessageAction, _Mapping]] = ..., rewind: _Optional[_Union[RewindAction, _Mapping]] = ...) -> None: ...

class WorkflowFilter(_message.Message):
    __slots__ = ("name", "versions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ...) -> None: ...

class ActivityFilter(_message.Message):
    __slots__ = ("name", "versions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ...) -> None: ...

class EntityFilter(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WorkItemFilters(_message.Message):
    __slots__ = ("workflows", "activities", "entities")
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[WorkflowFilter]
    activities: _containers.RepeatedCompositeFieldContainer[ActivityFilter]
    entities: _containers.RepeatedCompositeFieldContainer[EntityFilter]
    def __init__(self, workflows: _Optional[_Iterable[_Union[WorkflowFilter, _Mapping]]] = ..., activities: _Optional[_Iterable[_Union[ActivityFilter, _Mapping]]] = ..., entities: _Optional[_Iterable[_Union[EntityFilter, _Mapping]]] = ...) -> None: ...

class GetWorkItemsRequest(_message.Message):
    __slots__ = ("max_workflows", "max_activities", "max_entities", "capabilities", "filters", "worker_instance_id")
    MAX_WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    max_workflows: int
    max_activities: int
    max_entities: int
    capabilities: _containers.RepeatedScalarFieldContainer[WorkerCapability]
    filters: WorkItemFilters
    worker_instance_id: str
    def __init__(self, max_workflows: _Optional[int] = ..., max_activities: _Optional[int] = ..., max_entities: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[WorkerCapability, str]]] = ..., filters: _Optional[_Union[WorkItemFilters, _Mapping]] = ..., worker_instance_id: _Optional[str] = ...) -> None: ...

class EntityParameters(_message.Message):
    __slots__ = ("message_reorder_window",)
    MESSAGE_REORDER_WINDOW_FIELD_NUMBER: _ClassVar[int]
    message_reorder_window: _duration_pb2.Duration
    def __init__(self, message_reorder_window: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class OrchestratorRequest(_message.Message):
    __slots__ = ("instance_id", "execution_id", "past_events", "new_events", "entity_parameters", "requires_history_streaming", "properties", "trace")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAST_EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEW_EVENTS_FIELD_NUMBER: _ClassVar[int]
    ENTITY_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_HISTORY_STREAMING_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    execution_id: _wrappers_pb2.StringValue
    past_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    new_events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    entity_parameters: EntityParameters
    requires_history_streaming: bool
    properties: _containers.MessageMap[str, _struct_pb2.Value]
    trace: WorkflowTraceContext
    def __init__(self, instance_id: _Optional[str] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., past_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., new_events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ..., entity_parameters: _Optional[_Union[EntityParameters, _Mapping]] = ..., requires_history_streaming: bool = ..., properties: _Optional[_Mapping[str, _struct_pb2.Value]] = ..., trace: _Optional[_Union[WorkflowTraceContext, _Mapping]] = ...) -> None: ...

class OrchestratorResponse(_message.Message):
    __slots__ = ("instance_id", "actions", "custom_status", "completion_token", "num_events_processed", "trace", "requires_history", "is_partial", "chunk_index")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_STATUS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NUM_EVENTS_PROCESSED_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_HISTORY_FIELD_NUMBER: _ClassVar[int]
    IS_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    actions: _containers.RepeatedCompositeFieldContainer[OrchestratorAction]
    custom_status: _wrappers_pb2.StringValue
    completion_token: str
    num_events_processed: _wrappers_pb2.Int32Value
    trace: WorkflowTraceContext
    requires_history: bool
    is_partial: bool
    chunk_index: _wrappers_pb2.Int32Value
    def __init__(self, instance_id: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[OrchestratorAction, _Mapping]]] = ..., custom_status: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., completion_token: _Optional[str] = ..., num_events_processed: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ..., trace: _Optional[_Union[WorkflowTraceContext, _Mapping]] = ..., requires_history: bool = ..., is_partial: bool = ..., chunk_index: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ...) -> None: ...

class ActivityRequest(_message.Message):
    __slots__ = ("name", "version", "input", "instance", "task_id", "parent_trace", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    instance: _common_pb2.Instance
    task_id: int
    parent_trace: _common_pb2.TraceContext
    tags: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance: _Optional[_Union[_common_pb2.Instance, _Mapping]] = ..., task_id: _Optional[int] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class WorkItem(_message.Message):
    __slots__ = ("workflow_request", "activity_request", "entity_request", "health_ping", "entity_request_v2", "completion_token")
    WORKFLOW_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ENTITY_REQUEST_FIELD_NUMBER: _ClassVar[int]
    HEALTH_PING_FIELD_NUMBER: _ClassVar[int]
    ENTITY_REQUEST_V2_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workflow_request: OrchestratorRequest
    activity_request: ActivityRequest
    entity_request: EntityBatchRequest
    health_ping: _common_pb2.HealthPing
    entity_request_v2: EntityRequest
    completion_token: str
    def __init__(self, workflow_request: _Optional[_Union[OrchestratorRequest, _Mapping]] = ..., activity_request: _Optional[_Union[ActivityRequest, _Mapping]] = ..., entity_request: _Optional[_Union[EntityBatchRequest, _Mapping]] = ..., health_ping: _Optional[_Union[_common_pb2.HealthPing, _Mapping]] = ..., entity_request_v2: _Optional[_Union[EntityRequest, _Mapping]] = ..., completion_token: _Optional[str] = ...) -> None: ...

class AbandonActivityTaskRequest(_message.Message):
    __slots__ = ("completion_token",)
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    completion_token: str
    def __init__(self, completion_token: _Optional[str] = ...) -> None: ...

class AbandonActivityTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AbandonOrchestrationTaskRequest(_message.Message):
    __slots__ = ("completion_token",)
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    completion_token: str
    def __init__(self, completion_token: _Optional[str] = ...) -> None: ...

class AbandonOrchestrationTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AbandonEntityTaskRequest(_message.Message):
    __slots__ = ("completion_token",)
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    completion_token: str
    def __init__(self, completion_token: _Optional[str] = ...) -> None: ...

class AbandonEntityTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeInstancesRequest(_message.Message):
    __slots__ = ("instance_id", "filter", "batch", "recursive", "is_orchestration")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    IS_ORCHESTRATION_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    filter: _common_pb2.PurgeInstanceFilter
    batch: _common_pb2.InstanceBatch
    recursive: bool
    is_orchestration: bool
    def __init__(self, instance_id: _Optional[str] = ..., filter: _Optional[_Union[_common_pb2.PurgeInstanceFilter, _Mapping]] = ..., batch: _Optional[_Union[_common_pb2.InstanceBatch, _Mapping]] = ..., recursive: bool = ..., is_orchestration: bool = ...) -> None: ...

class RewindInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "reason")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    reason: _wrappers_pb2.StringValue
    def __init__(self, instance_id: _Optional[str] = ..., reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class RewindInstanceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestartInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "restart_with_new_instance_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    RESTART_WITH_NEW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    restart_with_new_instance_id: bool
    def __init__(self, instance_id: _Optional[str] = ..., restart_with_new_instance_id: bool = ...) -> None: ...

class RestartInstanceResponse(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class InstanceQuery(_message.Message):
    __slots__ = ("statuses", "created_from", "created_to", "task_hub_names", "max_instance_count", "continuation_token", "instance_id_prefix", "fetch_inputs_and_outputs")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    TASK_HUB_NAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_INSTANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    FETCH_INPUTS_AND_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[_common_pb2.Status]
    created_from: _timestamp_pb2.Timestamp
    created_to: _timestamp_pb2.Timestamp
    task_hub_names: _containers.RepeatedCompositeFieldContainer[_wrappers_pb2.StringValue]
    max_instance_count: int
    continuation_token: _wrappers_pb2.StringValue
    instance_id_prefix: _wrappers_pb2.StringValue
    fetch_inputs_and_outputs: bool
    def __init__(self, statuses: _Optional[_Iterable[_Union[_common_pb2.Status, str]]] = ..., created_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_to: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., task_hub_names: _Optional[_Iterable[_Union[_wrappers_pb2.StringValue, _Mapping]]] = ..., max_instance_count: _Optional[int] = ..., continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance_id_prefix: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., fetch_inputs_and_outputs: bool = ...) -> None: ...

class QueryInstancesRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: InstanceQuery
    def __init__(self, query: _Optional[_Union[InstanceQuery, _Mapping]] = ...) -> None: ...

class QueryInstancesResponse(_message.Message):
    __slots__ = ("states", "continuation_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[_common_pb2.WorkflowState]
    continuation_token: _wrappers_pb2.StringValue
    def __init__(self, states: _Optional[_Iterable[_Union[_common_pb2.WorkflowState, _Mapping]]] = ..., continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ListInstanceIdsRequest(_message.Message):
    __slots__ = ("statuses", "completed_from", "completed_to", "page_size", "last_instance_key")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FROM_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_TO_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    LAST_INSTANCE_KEY_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[_common_pb2.Status]
    completed_from: _timestamp_pb2.Timestamp
    completed_to: _timestamp_pb2.Timestamp
    page_size: int
    last_instance_key: _wrappers_pb2.StringValue
    def __init__(self, statuses: _Optional[_Iterable[_Union[_common_pb2.Status, str]]] = ..., completed_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., completed_to: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., last_instance_key: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ListInstanceIdsResponse(_message.Message):
    __slots__ = ("instance_ids", "last_instance_key")
    INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    LAST_INSTANCE_KEY_FIELD_NUMBER: _ClassVar[int]
    instance_ids: _containers.RepeatedScalarFieldContainer[str]
    last_instance_key: _wrappers_pb2.StringValue
    def __init__(self, instance_ids: _Optional[_Iterable[str]] = ..., last_instance_key: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class StreamInstanceHistoryRequest(_message.Message):
    __slots__ = ("instance_id", "execution_id", "for_work_item_processing")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FOR_WORK_ITEM_PROCESSING_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    execution_id: _wrappers_pb2.StringValue
    for_work_item_processing: bool
    def __init__(self, instance_id: _Optional[str] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., for_work_item_processing: bool = ...) -> None: ...

class HistoryChunk(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ...) -> None: ...

class CreateTaskHubRequest(_message.Message):
    __slots__ = ("recreate_if_exists",)
    RECREATE_IF_EXISTS_FIELD_NUMBER: _ClassVar[int]
    recreate_if_exists: bool
    def __init__(self, recreate_if_exists: bool = ...) -> None: ...

class CreateTaskHubResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteTaskHubRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteTaskHubResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SkipGracefulTerminationsRequest(_message.Message):
    __slots__ = ("batch", "reason")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    batch: _common_pb2.InstanceBatch
    reason: _wrappers_pb2.StringValue
    def __init__(self, batch: _Optional[_Union[_common_pb2.InstanceBatch, _Mapping]] = ..., reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class SkipGracefulTerminationsResponse(_message.Message):
    __slots__ = ("unterminated_instance_ids",)
    UNTERMINATED_INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    unterminated_instance_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, unterminated_instance_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SignalEntityRequest(_message.Message):
    __slots__ = ("instance_id", "name", "input", "request_id", "scheduled_time", "parent_trace", "request_time")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    input: _wrappers_pb2.StringValue
    request_id: str
    scheduled_time: _timestamp_pb2.Timestamp
    parent_trace: _common_pb2.TraceContext
    request_time: _timestamp_pb2.Timestamp
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., request_id: _Optional[str] = ..., scheduled_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ..., request_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignalEntityResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEntityRequest(_message.Message):
    __slots__ = ("instance_id", "include_state")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_STATE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    include_state: bool
    def __init__(self, instance_id: _Optional[str] = ..., include_state: bool = ...) -> None: ...

class EntityMetadata(_message.Message):
    __slots__ = ("instance_id", "last_modified_time", "backlog_queue_size", "locked_by", "serialized_state")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_TIME_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    LOCKED_BY_FIELD_NUMBER: _ClassVar[int]
    SERIALIZED_STATE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    last_modified_time: _timestamp_pb2.Timestamp
    backlog_queue_size: int
    locked_by: _wrappers_pb2.StringValue
    serialized_state: _wrappers_pb2.StringValue
    def __init__(self, instance_id: _Optional[str] = ..., last_modified_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., backlog_queue_size: _Optional[int] = ..., locked_by: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., serialized_state: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class GetEntityResponse(_message.Message):
    __slots__ = ("exists", "entity")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    entity: EntityMetadata
    def __init__(self, exists: bool = ..., entity: _Optional[_Union[EntityMetadata, _Mapping]] = ...) -> None: ...

class EntityQuery(_message.Message):
    __slots__ = ("instance_id_starts_with", "last_modified_from", "last_modified_to", "include_state", "include_transient", "page_size", "continuation_token")
    INSTANCE_ID_STARTS_WITH_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_FROM_FIELD_NUMBER: _ClassVar[int]
    LAST_MODIFIED_TO_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_STATE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instance_id_starts_with: _wrappers_pb2.StringValue
    last_modified_from: _timestamp_pb2.Timestamp
    last_modified_to: _timestamp_pb2.Timestamp
    include_state: bool
    include_transient: bool
    page_size: _wrappers_pb2.Int32Value
    continuation_token: _wrappers_pb2.StringValue
    def __init__(self, instance_id_starts_with: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., last_modified_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_modified_to: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., include_state: bool = ..., include_transient: bool = ..., page_size: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ..., continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class QueryEntitiesRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: EntityQuery
    def __init__(self, query: _Optional[_Union[EntityQuery, _Mapping]] = ...) -> None: ...

class QueryEntitiesResponse(_message.Message):
    __slots__ = ("entities", "continuation_token")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[EntityMetadata]
    continuation_token: _wrappers_pb2.StringValue
    def __init__(self, entities: _Optional[_Iterable[_Union[EntityMetadata, _Mapping]]] = ..., continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class CleanEntityStorageRequest(_message.Message):
    __slots__ = ("continuation_token", "remove_empty_entities", "release_orphaned_locks")
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REMOVE_EMPTY_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ORPHANED_LOCKS_FIELD_NUMBER: _ClassVar[int]
    continuation_token: _wrappers_pb2.StringValue
    remove_empty_entities: bool
    release_orphaned_locks: bool
    def __init__(self, continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., remove_empty_entities: bool = ..., release_orphaned_locks: bool = ...) -> None: ...

class CleanEntityStorageResponse(_message.Message):
    __slots__ = ("continuation_token", "empty_entities_removed", "orphaned_locks_released")
    CONTINUATION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EMPTY_ENTITIES_REMOVED_FIELD_NUMBER: _ClassVar[int]
    ORPHANED_LOCKS_RELEASED_FIELD_NUMBER: _ClassVar[int]
    continuation_token: _wrappers_pb2.StringValue
    empty_entities_removed: int
    orphaned_locks_released: int
    def __init__(self, continuation_token: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., empty_entities_removed: _Optional[int] = ..., orphaned_locks_released: _Optional[int] = ...) -> None: ...

class OperationRequest(_message.Message):
    __slots__ = ("operation", "request_id", "input", "trace")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    operation: str
    request_id: str
    input: _wrappers_pb2.StringValue
    trace: _common_pb2.TraceContext
    def __init__(self, operation: _Optional[str] = ..., request_id: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ...) -> None: ...

class EntityBatchRequest(_message.Message):
    __slots__ = ("instance_id", "entity_state", "operations", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_STATE_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    entity_state: _wrappers_pb2.StringValue
    operations: _containers.RepeatedCompositeFieldContainer[OperationRequest]
    properties: _containers.MessageMap[str, _struct_pb2.Value]
    def __init__(self, instance_id: _Optional[str] = ..., entity_state: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., operations: _Optional[_Iterable[_Union[OperationRequest, _Mapping]]] = ..., properties: _Optional[_Mapping[str, _struct_pb2.Value]] = ...) -> None: ...

class EntityRequest(_message.Message):
    __slots__ = ("instance_id", "execution_id", "entity_state", "operation_requests")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_STATE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    execution_id: str
    entity_state: _wrappers_pb2.StringValue
    operation_requests: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    def __init__(self, instance_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., entity_state: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., operation_requests: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ...) -> None: ...

class OperationResultSuccess(_message.Message):
    __slots__ = ("result", "started_at", "ended_at")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    result: _wrappers_pb2.StringValue
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class OperationResultFailure(_message.Message):
    __slots__ = ("failure", "started_at", "ended_at")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    failure: _common_pb2.Failure
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class OperationResult(_message.Message):
    __slots__ = ("success", "failure")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    success: OperationResultSuccess
    failure: OperationResultFailure
    def __init__(self, success: _Optional[_Union[OperationResultSuccess, _Mapping]] = ..., failure: _Optional[_Union[OperationResultFailure, _Mapping]] = ...) -> None: ...

class OperationInfo(_message.Message):
    __slots__ = ("request_id", "response_destination")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DESTINATION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response_destination: _common_pb2.Instance
    def __init__(self, request_id: _Optional[str] = ..., response_destination: _Optional[_Union[_common_pb2.Instance, _Mapping]] = ...) -> None: ...

class SendSignalAction(_message.Message):
    __slots__ = ("instance_id", "name", "input", "scheduled_time", "request_time", "parent_trace")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    input: _wrappers_pb2.StringValue
    scheduled_time: _timestamp_pb2.Timestamp
    request_time: _timestamp_pb2.Timestamp
    parent_trace: _common_pb2.TraceContext
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., scheduled_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., request_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ...) -> None: ...

class StartNewOrchestrationAction(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "scheduled_time", "request_time", "parent_trace")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    scheduled_time: _timestamp_pb2.Timestamp
    request_time: _timestamp_pb2.Timestamp
    parent_trace: _common_pb2.TraceContext
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., scheduled_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., request_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent_trace: _Optional[_Union[_common_pb2.TraceContext, _Mapping]] = ...) -> None: ...

class OperationAction(_message.Message):
    __slots__ = ("id", "send_signal", "start_new_orchestration")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEND_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    START_NEW_ORCHESTRATION_FIELD_NUMBER: _ClassVar[int]
    id: int
    send_signal: SendSignalAction
    start_new_orchestration: StartNewOrchestrationAction
    def __init__(self, id: _Optional[int] = ..., send_signal: _Optional[_Union[SendSignalAction, _Mapping]] = ..., start_new_orchestration: _Optional[_Union[StartNewOrchestrationAction, _Mapping]] = ...) -> None: ...

class EntityBatchResult(_message.Message):
    __slots__ = ("results", "actions", "entity_state", "failure", "completion_token", "operation_infos", "requires_state")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    ENTITY_STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OPERATION_INFOS_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_STATE_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[OperationResult]
    actions: _containers.RepeatedCompositeFieldContainer[OperationAction]
    entity_state: _wrappers_pb2.StringValue
    failure: _common_pb2.Failure
    completion_token: str
    operation_infos: _containers.RepeatedCompositeFieldContainer[OperationInfo]
    requires_state: bool
    def __init__(self, results: _Optional[_Iterable[_Union[OperationResult, _Mapping]]] = ..., actions: _Optional[_Iterable[_Union[OperationAction, _Mapping]]] = ..., entity_state: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., completion_token: _Optional[str] = ..., operation_infos: _Optional[_Iterable[_Union[OperationInfo, _Mapping]]] = ..., requires_state: bool = ...) -> None: ...
