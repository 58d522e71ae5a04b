"""The shapes in which Python drivers answer: states, histories, times and retry arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from activities import ACTIVITIES, MEMORY, Call
from interpreter import details_of, run

RUN = "run"


def millis(when: datetime | None) -> int | None:
    """Milliseconds since the Unix epoch; SDKs use naive datetimes in UTC."""
    return None if when is None else round(when.replace(tzinfo=UTC).timestamp() * 1000)


def moment(ms: int | None) -> datetime | None:
    """The naive UTC datetime that SDKs expect."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def state_of(state: Any) -> dict[str, Any] | None:
    """A workflow's state; payloads stay the JSON text that the server gave."""
    if state is None:
        return None
    failure = state.failure_details
    return {
        "id": state.instance_id,
        "name": state.name,
        "status": state.runtime_status.name,
        "created": millis(state.created_at),
        "updated": millis(state.last_updated_at),
        "input": state.serialized_input,
        "output": state.serialized_output,
        "custom_status": state.serialized_custom_status,
        "failure": details_of(failure) if failure else None,
    }


def retry_arguments(policy: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the SDKs' ``RetryPolicy``."""
    wait = {"max_ms": "max_retry_interval", "timeout_ms": "retry_timeout"}
    more = {
        name: timedelta(milliseconds=policy[key]) for key, name in wait.items() if key in policy
    }
    return {
        "first_retry_interval": timedelta(milliseconds=policy["first_ms"]),
        "max_number_of_attempts": policy["attempts"],
        "backoff_coefficient": policy.get("backoff", 1.0),
        **more,
    }


def fire_at(flow: Any, what: dict[str, Any]) -> datetime | timedelta:
    """When a timer should fire: after a while, or at a date."""
    if "at" in what:
        return flow.ctx.current_utc_datetime + timedelta(milliseconds=what["at"])
    return timedelta(milliseconds=what["ms"])


class BaseFlow:
    """What all Python SDKs do alike behind ``interpreter.Flow``."""

    def __init__(self, ctx: Any, worker: str) -> None:
        self.ctx = ctx
        self.worker = worker

    def status(self, value: Any) -> None:
        """Set the custom status."""
        self.ctx.set_custom_status(value)

    def again(self, value: Any, *, keep_events: bool) -> None:
        """Continue as new."""
        self.ctx.continue_as_new(value, save_events=keep_events)

    def now_ms(self) -> int:
        """The workflow's current time."""
        return millis(self.ctx.current_utc_datetime) or 0

    def trace(self, value: Any) -> None:
        """Note a value and whether the code replays."""
        MEMORY.note(self.ctx.instance_id, [value, self.ctx.is_replaying])

    def patched(self, name: str) -> bool:
        """Whether the path of a patch is taken."""
        return self.ctx.is_patched(name)

    def info(self) -> dict[str, Any]:
        """What the SDK says of the instance."""
        return {"id": self.ctx.instance_id}


def activity_body(function: Any, worker: str) -> Any:
    """An SDK's activity function around one of the suite's activities."""

    def body(ctx: Any, value: Any = None) -> Any:
        inner = ctx.get_inner_context() if hasattr(ctx, "get_inner_context") else ctx
        execution = getattr(inner, "task_execution_id", None)
        return function(Call(inner.orchestration_id, inner.task_id, worker, execution), value)

    body.__name__ = function.__name__
    return body


def activities(worker: str) -> dict[str, Any]:
    """The activities of a worker, by name."""
    return {name: activity_body(function, worker) for name, function in ACTIVITIES.items()}


def workflow_body(flow: Any, worker: str, program: Any, name: str) -> Any:
    """An SDK's workflow function: the interpreter, over its input or over a program of its own."""

    def body(ctx: Any, value: Any = None) -> Any:
        start = value if program is None else {"program": program, "vars": {"input": value}}
        return (yield from run(flow(ctx, worker), start))

    body.__name__ = name
    return body


_DAPR_EVENT_NAMES = {
    "WorkflowStarted": "OrchestratorStarted",
    "WorkflowCompleted": "OrchestratorCompleted",
}


def event_type(name: str) -> str:
    """The Microsoft name of a history event: ``TaskScheduled``, ``OrchestratorStarted``, …

    ``name`` is a Microsoft class (``TaskScheduledEvent``) or a Dapr constant (``TASK_SCHEDULED``).
    """
    if name.isupper():
        name = "".join(word.title() for word in name.split("_"))
    name = name.removesuffix("Event").replace("ChildWorkflowInstance", "SubOrchestrationInstance")
    return _DAPR_EVENT_NAMES.get(name, name)
