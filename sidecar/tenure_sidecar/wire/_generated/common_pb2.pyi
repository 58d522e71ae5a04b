from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_RUNNING: _ClassVar[Status]
    STATUS_COMPLETED: _ClassVar[Status]
    STATUS_CONTINUED_AS_NEW: _ClassVar[Status]
    STATUS_FAILED: _ClassVar[Status]
    STATUS_CANCELED: _ClassVar[Status]
    STATUS_TERMINATED: _ClassVar[Status]
    STATUS_PENDING: _ClassVar[Status]
    STATUS_SUSPENDED: _ClassVar[Status]
    STATUS_STALLED: _ClassVar[Status]
STATUS_RUNNING: Status
STATUS_COMPLETED: Status
STATUS_CONTINUED_AS_NEW: Status
STATUS_FAILED: Status
STATUS_CANCELED: Status
STATUS_TERMINATED: Status
STATUS_PENDING: Status
STATUS_SUSPENDED: Status
STATUS_STALLED: Status

class Instance(_message.Message):
    __slots__ = ("instance_id", "execution_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    execution_id: _wrappers_pb2.StringValue
    def __init__(self, instance_id: _Optional[str] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("error_type", "error_message", "stack_trace", "inner_failure", "is_non_retriable", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STACK_TRACE_FIELD_NUMBER: _ClassVar[int]
    INNER_FAILURE_FIELD_NUMBER: _ClassVar[int]
    IS_NON_RETRIABLE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    error_type: str
    error_message: str
    stack_trace: _wrappers_pb2.StringValue
    inner_failure: Failure
    is_non_retriable: bool
    properties: _containers.MessageMap[str, _struct_pb2.Value]
    def __init__(self, error_type: _Optional[str] = ..., error_message: _Optional[str] = ..., stack_trace: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., inner_failure: _Optional[_Union[Failure, _Mapping]] = ..., is_non_retriable: bool = ..., properties: _Optional[_Mapping[str, _struct_pb2.Value]] = ...) -> None: ...

class Parent(_message.Message):
    __slots__ = ("task_scheduled_id", "name", "version", "instance", "app_id", "app_namespace")
    TASK_SCHEDULED_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    APP_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    task_scheduled_id: int
    name: _wrappers_pb2.StringValue
    version: _wrappers_pb2.StringValue
    instance: Instance
    app_id: str
    app_namespace: str
    def __init__(self, task_scheduled_id: _Optional[int] = ..., name: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance: _Optional[_Union[Instance, _Mapping]] = ..., app_id: _Optional[str] = ..., app_namespace: _Optional[str] = ...) -> None: ...

class TraceContext(_message.Message):
    __slots__ = ("trace_parent", "span_id", "trace_state")
    TRACE_PARENT_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_STATE_FIELD_NUMBER: _ClassVar[int]
    trace_parent: str
    span_id: str
    trace_state: _wrappers_pb2.StringValue
    def __init__(self, trace_parent: _Optional[str] = ..., span_id: _Optional[str] = ..., trace_state: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class TaskRouter(_message.Message):
    __slots__ = ("source_app_id", "target_app_id", "target_app_namespace")
    SOURCE_APP_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_APP_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_APP_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    source_app_id: str
    target_app_id: str
    target_app_namespace: str
    def __init__(self, source_app_id: _Optional[str] = ..., target_app_id: _Optional[str] = ..., target_app_namespace: _Optional[str] = ...) -> None: ...

class InstanceBatch(_message.Message):
    __slots__ = ("instance_ids",)
    INSTANCE_IDS_FIELD_NUMBER: _ClassVar[int]
    instance_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instance_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExecutionStartedEvent(_message.Message):
    __slots__ = ("name", "version", "input", "instance", "parent", "scheduled_start", "parent_trace", "span_id", "tags")
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
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_START_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    instance: Instance
    parent: Parent
    scheduled_start: _timestamp_pb2.Timestamp
    parent_trace: TraceContext
    span_id: _wrappers_pb2.StringValue
    tags: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., instance: _Optional[_Union[Instance, _Mapping]] = ..., parent: _Optional[_Union[Parent, _Mapping]] = ..., scheduled_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent_trace: _Optional[_Union[TraceContext, _Mapping]] = ..., span_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ExecutionCompletedEvent(_message.Message):
    __slots__ = ("status", "result", "failure")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    status: Status
    result: _wrappers_pb2.StringValue
    failure: Failure
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class ExecutionTerminatedEvent(_message.Message):
    __slots__ = ("input", "recurse")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RECURSE_FIELD_NUMBER: _ClassVar[int]
    input: _wrappers_pb2.StringValue
    recurse: bool
    def __init__(self, input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., recurse: bool = ...) -> None: ...

class TimerFiredEvent(_message.Message):
    __slots__ = ("fire_at", "timer_id")
    FIRE_AT_FIELD_NUMBER: _ClassVar[int]
    TIMER_ID_FIELD_NUMBER: _ClassVar[int]
    fire_at: _timestamp_pb2.Timestamp
    timer_id: int
    def __init__(self, fire_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., timer_id: _Optional[int] = ...) -> None: ...

class WorkflowCompletedEvent(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EventSentEvent(_message.Message):
    __slots__ = ("instance_id", "name", "input")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    input: _wrappers_pb2.StringValue
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class EventRaisedEvent(_message.Message):
    __slots__ = ("name", "input")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    input: _wrappers_pb2.StringValue
    def __init__(self, name: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ContinueAsNewEvent(_message.Message):
    __slots__ = ("input",)
    INPUT_FIELD_NUMBER: _ClassVar[int]
    input: _wrappers_pb2.StringValue
    def __init__(self, input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ExecutionSuspendedEvent(_message.Message):
    __slots__ = ("input",)
    INPUT_FIELD_NUMBER: _ClassVar[int]
    input: _wrappers_pb2.StringValue
    def __init__(self, input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class ExecutionResumedEvent(_message.Message):
    __slots__ = ("input",)
    INPUT_FIELD_NUMBER: _ClassVar[int]
    input: _wrappers_pb2.StringValue
    def __init__(self, input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class SendEventAction(_message.Message):
    __slots__ = ("instance", "name", "data")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    instance: Instance
    name: str
    data: _wrappers_pb2.StringValue
    def __init__(self, instance: _Optional[_Union[Instance, _Mapping]] = ..., name: _Optional[str] = ..., data: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class TerminateAction(_message.Message):
    __slots__ = ("instance_id", "reason", "recurse")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECURSE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    reason: _wrappers_pb2.StringValue
    recurse: bool
    def __init__(self, instance_id: _Optional[str] = ..., reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., recurse: bool = ...) -> None: ...

class HealthPing(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ActivityResponse(_message.Message):
    __slots__ = ("instance_id", "task_id", "result", "failure", "completion_token")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    task_id: int
    result: _wrappers_pb2.StringValue
    failure: Failure
    completion_token: str
    def __init__(self, instance_id: _Optional[str] = ..., task_id: _Optional[int] = ..., result: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., completion_token: _Optional[str] = ...) -> None: ...

class CompleteTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReusePolicy(_message.Message):
    __slots__ = ("statuses", "action")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ERROR: _ClassVar[ReusePolicy.Action]
        IGNORE: _ClassVar[ReusePolicy.Action]
        TERMINATE: _ClassVar[ReusePolicy.Action]
    ERROR: ReusePolicy.Action
    IGNORE: ReusePolicy.Action
    TERMINATE: ReusePolicy.Action
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[Status]
    action: ReusePolicy.Action
    def __init__(self, statuses: _Optional[_Iterable[_Union[Status, str]]] = ..., action: _Optional[_Union[ReusePolicy.Action, str]] = ...) -> None: ...

class CreateInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "name", "version", "input", "scheduled_start", "reuse_policy", "execution_id", "tags", "parent_trace", "enforce_unique_instance_id", "router")
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
    REUSE_POLICY_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PARENT_TRACE_FIELD_NUMBER: _ClassVar[int]
    ENFORCE_UNIQUE_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    input: _wrappers_pb2.StringValue
    scheduled_start: _timestamp_pb2.Timestamp
    reuse_policy: ReusePolicy
    execution_id: _wrappers_pb2.StringValue
    tags: _containers.ScalarMap[str, str]
    parent_trace: TraceContext
    enforce_unique_instance_id: bool
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., scheduled_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reuse_policy: _Optional[_Union[ReusePolicy, _Mapping]] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., parent_trace: _Optional[_Union[TraceContext, _Mapping]] = ..., enforce_unique_instance_id: bool = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class CreateInstanceResponse(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class GetInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "get_inputs_and_outputs", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    GET_INPUTS_AND_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    get_inputs_and_outputs: bool
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., get_inputs_and_outputs: bool = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class GetInstanceResponse(_message.Message):
    __slots__ = ("exists", "state")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    state: WorkflowState
    def __init__(self, exists: bool = ..., state: _Optional[_Union[WorkflowState, _Mapping]] = ...) -> None: ...

class WorkflowState(_message.Message):
    __slots__ = ("instance_id", "name", "version", "status", "scheduled_start", "created_at", "last_updated_at", "input", "output", "custom_status", "failure", "execution_id", "completed_at", "parent_instance_id", "tags", "parent_app_id", "started_at")
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
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_START_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    PARENT_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PARENT_APP_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    version: _wrappers_pb2.StringValue
    status: Status
    scheduled_start: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    last_updated_at: _timestamp_pb2.Timestamp
    input: _wrappers_pb2.StringValue
    output: _wrappers_pb2.StringValue
    custom_status: _wrappers_pb2.StringValue
    failure: Failure
    execution_id: _wrappers_pb2.StringValue
    completed_at: _timestamp_pb2.Timestamp
    parent_instance_id: _wrappers_pb2.StringValue
    tags: _containers.ScalarMap[str, str]
    parent_app_id: _wrappers_pb2.StringValue
    started_at: _timestamp_pb2.Timestamp
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., status: _Optional[_Union[Status, str]] = ..., scheduled_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_updated_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., output: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., custom_status: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., execution_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., completed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent_instance_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., parent_app_id: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RaiseEventRequest(_message.Message):
    __slots__ = ("instance_id", "name", "input", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    name: str
    input: _wrappers_pb2.StringValue
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., name: _Optional[str] = ..., input: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class RaiseEventResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TerminateRequest(_message.Message):
    __slots__ = ("instance_id", "output", "recursive", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    output: _wrappers_pb2.StringValue
    recursive: bool
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., output: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., recursive: bool = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class TerminateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SuspendRequest(_message.Message):
    __slots__ = ("instance_id", "reason", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    reason: _wrappers_pb2.StringValue
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class SuspendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("instance_id", "reason", "router")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    reason: _wrappers_pb2.StringValue
    router: TaskRouter
    def __init__(self, instance_id: _Optional[str] = ..., reason: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., router: _Optional[_Union[TaskRouter, _Mapping]] = ...) -> None: ...

class ResumeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeInstanceFilter(_message.Message):
    __slots__ = ("created_from", "created_to", "statuses", "timeout")
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_TO_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    created_from: _timestamp_pb2.Timestamp
    created_to: _timestamp_pb2.Timestamp
    statuses: _containers.RepeatedScalarFieldContainer[Status]
    timeout: _duration_pb2.Duration
    def __init__(self, created_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_to: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., statuses: _Optional[_Iterable[_Union[Status, str]]] = ..., timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PurgeInstancesResponse(_message.Message):
    __slots__ = ("deleted_instance_count", "is_complete")
    DELETED_INSTANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    IS_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    deleted_instance_count: int
    is_complete: _wrappers_pb2.BoolValue
    def __init__(self, deleted_instance_count: _Optional[int] = ..., is_complete: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ...) -> None: ...
