"""Why a timer was set, as the Dapr flavour writes it into actions and events."""

from __future__ import annotations

from tenure_sidecar.engine.events import (
    ORIGIN_ACTIVITY_RETRY,
    ORIGIN_CHILD_RETRY,
    ORIGIN_EXTERNAL_EVENT,
    ORIGIN_TIMER,
    TimerOrigin,
)
from tenure_sidecar.wire._generated import dapr_pb2


def timer_origin(
    message: dapr_pb2.CreateTimerAction | dapr_pb2.TimerCreatedEvent,
) -> TimerOrigin | None:
    """The origin of the timer that ``message`` sets or records; older SDKs send none."""
    name = message.WhichOneof("origin")
    if name is None:
        return None
    if name == "origin_timer":
        return TimerOrigin(ORIGIN_TIMER)
    if name == "origin_external_event":
        return TimerOrigin(ORIGIN_EXTERNAL_EVENT, message.origin_external_event.name)
    if name == "origin_activity_retry":
        return TimerOrigin(ORIGIN_ACTIVITY_RETRY, message.origin_activity_retry.task_execution_id)
    return TimerOrigin(ORIGIN_CHILD_RETRY, message.origin_child_retry.instance_id)
