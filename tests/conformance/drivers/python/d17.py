"""The adapter for ``durabletask-dapr`` 0.17.4 (the Dapr fork of the Durable Task SDK)."""

from __future__ import annotations

from typing import Any

import shapes
from durabletask import client, task, worker


class Flow(shapes.BaseFlow):
    """``interpreter.Flow`` over an ``OrchestrationContext``."""

    task_error = task.TaskFailedError

    def activity(self, what: dict[str, Any]) -> Any:
        """Start an activity."""
        return self.ctx.call_activity(what["name"], input=what["input"], retry_policy=_retry(what))

    def child(self, what: dict[str, Any]) -> Any:
        """Start a child."""
        return self.ctx.call_sub_orchestrator(
            what["name"],
            input=what.get("input"),
            instance_id=what.get("id"),
            retry_policy=_retry(what),
        )

    def timer(self, what: dict[str, Any]) -> Any:
        """Start a timer."""
        return self.ctx.create_timer(shapes.fire_at(self, what))

    def event(self, what: dict[str, Any]) -> Any:
        """Wait for an event."""
        return self.ctx.wait_for_external_event(what["name"])

    def all(self, tasks: list[Any]) -> Any:
        """All tasks."""
        return task.when_all(tasks)

    def any(self, tasks: list[Any]) -> Any:
        """The first task."""
        return task.when_any(tasks)

    def uuid(self) -> str:
        """A deterministic UUID."""
        return str(self.ctx.uuid4())


def _retry(what: dict[str, Any]) -> task.RetryPolicy | None:
    if "retry" not in what:
        return None
    more = {}
    if "final" in what["retry"]:
        more["non_retryable_error_types"] = what["retry"]["final"]
    return task.RetryPolicy(**shapes.retry_arguments(what["retry"]), **more)


class App:
    """A worker and a client of one engine."""

    def __init__(
        self, name: str, host: str, port: int, worker: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.address = f"{host}:{port}"
        self.client = client.TaskHubGrpcClient(host_address=self.address)
        self.worker: Any = None
        if worker is not None:
            self.start_worker(worker)

    def start_worker(self, options: dict[str, Any]) -> None:
        """Start the worker and wait until its stream is up. ``options``: ``workflows`` (with
        ``version`` and ``latest``), ``max_activities``, ``max_workflows``, ``without``."""
        made = worker.TaskHubGrpcWorker(
            host_address=self.address,
            concurrency_options=worker.ConcurrencyOptions(
                maximum_concurrent_activity_work_items=options.get("max_activities"),
                maximum_concurrent_orchestration_work_items=options.get("max_workflows"),
                maximum_thread_pool_workers=options.get("threads"),
            ),
        )
        made.add_orchestrator(shapes.workflow_body(Flow, self.name, None, shapes.RUN))
        for extra in options.get("workflows", []):
            body = shapes.workflow_body(Flow, self.name, extra["program"], extra["name"])
            named = {}
            if "version" in extra:
                named = {"version_name": extra["version"], "is_latest": extra["latest"]}
            made._registry.add_named_orchestrator(extra["name"], body, **named)
        for name, body in shapes.activities(self.name).items():
            if name not in options.get("without", []):
                made.add_activity(body)
        made.start()
        self.worker = made

    def stop_worker(self) -> None:
        """Stop the worker; the client stays."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def close(self) -> None:
        """Stop the worker and close the client."""
        self.stop_worker()
        self.client.close()

    def start(
        self,
        input: Any = None,
        workflow: str = shapes.RUN,
        instance: str | None = None,
        at_ms: int | None = None,
    ) -> str:
        """Start a workflow."""
        return self.client.schedule_new_orchestration(
            workflow, input=input, instance_id=instance, start_at=shapes.moment(at_ms)
        )

    def get(self, instance: str, payloads: bool = True) -> Any:
        """The state, or None."""
        return shapes.state_of(
            self.client.get_orchestration_state(instance, fetch_payloads=payloads)
        )

    def wait_start(self, instance: str, timeout_ms: int = 30_000) -> Any:
        """Wait until it has started."""
        seconds = timeout_ms / 1000
        return shapes.state_of(self.client.wait_for_orchestration_start(instance, timeout=seconds))

    def wait_done(self, instance: str, timeout_ms: int = 30_000) -> Any:
        """Wait until it has ended."""
        seconds = timeout_ms / 1000
        return shapes.state_of(
            self.client.wait_for_orchestration_completion(instance, timeout=seconds)
        )

    def raise_event(self, instance: str, name: str, value: Any = None) -> None:
        """Raise an event."""
        self.client.raise_orchestration_event(instance, name, data=value)

    def suspend(self, instance: str) -> None:
        """Suspend."""
        self.client.suspend_orchestration(instance)

    def resume(self, instance: str) -> None:
        """Resume."""
        self.client.resume_orchestration(instance)

    def terminate(self, instance: str, output: Any = None, recursive: bool = True) -> None:
        """Terminate."""
        self.client.terminate_orchestration(instance, output=output, recursive=recursive)

    def purge(self, instance: str, recursive: bool = True) -> None:
        """Purge one instance; this SDK does not say how many went."""
        self.client.purge_orchestration(instance, recursive)
