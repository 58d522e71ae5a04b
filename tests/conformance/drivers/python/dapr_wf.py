"""The adapter for Dapr Workflow: ``dapr[workflow]`` 1.19, ``dapr`` with ``dapr-ext-workflow`` 1.18."""

from __future__ import annotations

from typing import Any

import shapes
from dapr.ext import workflow as wf


class Flow(shapes.BaseFlow):
    """``interpreter.Flow`` over a ``DaprWorkflowContext``."""

    task_error = wf.TaskFailedError

    def activity(self, what: dict[str, Any]) -> Any:
        """Start an activity."""
        return self.ctx.call_activity(what["name"], input=what["input"], retry_policy=_retry(what))

    def child(self, what: dict[str, Any]) -> Any:
        """Start a child."""
        return self.ctx.call_child_workflow(
            what["name"],
            input=what.get("input"),
            instance_id=what.get("id"),
            retry_policy=_retry(what),
        )

    def timer(self, what: dict[str, Any]) -> Any:
        """Start a timer."""
        return self.ctx.create_timer(shapes.fire_at(self, what))

    def event(self, what: dict[str, Any]) -> Any:
        """Wait for an event, for a while where one is given."""
        if what.get("timeout_ms") is None:
            return self.ctx.wait_for_external_event(what["name"])
        limit = shapes.fire_at(self, {"ms": what["timeout_ms"]})
        return self.ctx.wait_for_external_event(what["name"], timeout=limit)

    def all(self, tasks: list[Any]) -> Any:
        """All tasks."""
        return wf.when_all(tasks)

    def any(self, tasks: list[Any]) -> Any:
        """The first task."""
        return wf.when_any(tasks)

    def uuid(self) -> str:
        """A deterministic UUID."""
        return str(self.ctx.uuid4())


def _retry(what: dict[str, Any]) -> wf.RetryPolicy | None:
    return wf.RetryPolicy(**shapes.retry_arguments(what["retry"])) if "retry" in what else None


class App:
    """A worker and a client of one engine."""

    def __init__(
        self, name: str, host: str, port: int, worker: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.at = {"host": host, "port": str(port)}
        self.client = wf.DaprWorkflowClient(**self.at)
        self.worker: Any = None
        if worker is not None:
            self.start_worker(worker)

    def start_worker(self, options: dict[str, Any]) -> None:
        """Start the runtime and wait until its stream is up. ``options``: ``workflows`` (with
        ``version`` and ``latest``), ``max_activities``, ``max_workflows``, ``without``."""
        made = wf.WorkflowRuntime(
            **self.at,
            maximum_concurrent_activity_work_items=options.get("max_activities"),
            maximum_concurrent_orchestration_work_items=options.get("max_workflows"),
            maximum_thread_pool_workers=options.get("threads"),
        )
        made.register_workflow(shapes.workflow_body(Flow, self.name, None, shapes.RUN))
        for extra in options.get("workflows", []):
            body = shapes.workflow_body(Flow, self.name, extra["program"], extra["name"])
            if "version" in extra:
                made.register_versioned_workflow(
                    body,
                    name=extra["name"],
                    version_name=extra["version"],
                    is_latest=extra["latest"],
                )
            else:
                made.register_workflow(body)
        for name, body in shapes.activities(self.name).items():
            if name not in options.get("without", []):
                made.register_activity(body)
        made.start()
        self.worker = made

    def stop_worker(self) -> None:
        """Stop the runtime; the client stays."""
        if self.worker is not None:
            self.worker.shutdown()
            self.worker = None

    def close(self) -> None:
        """Stop the runtime and close the client (1.18 has no ``close``)."""
        self.stop_worker()
        if hasattr(self.client, "close"):
            self.client.close()

    def start(
        self,
        input: Any = None,
        workflow: str = shapes.RUN,
        instance: str | None = None,
        at_ms: int | None = None,
    ) -> str:
        """Start a workflow."""
        return self.client.schedule_new_workflow(
            workflow, input=input, instance_id=instance, start_at=shapes.moment(at_ms)
        )

    def get(self, instance: str, payloads: bool = True) -> Any:
        """The state, or None."""
        return shapes.state_of(self.client.get_workflow_state(instance, fetch_payloads=payloads))

    def wait_start(self, instance: str, timeout_ms: int = 30_000) -> Any:
        """Wait until it has started."""
        seconds = timeout_ms / 1000
        return shapes.state_of(
            self.client.wait_for_workflow_start(instance, timeout_in_seconds=seconds)
        )

    def wait_done(self, instance: str, timeout_ms: int = 30_000) -> Any:
        """Wait until it has ended."""
        seconds = timeout_ms / 1000
        return shapes.state_of(
            self.client.wait_for_workflow_completion(instance, timeout_in_seconds=seconds)
        )

    def raise_event(self, instance: str, name: str, value: Any = None) -> None:
        """Raise an event."""
        self.client.raise_workflow_event(instance, name, data=value)

    def suspend(self, instance: str) -> None:
        """Pause."""
        self.client.pause_workflow(instance)

    def resume(self, instance: str) -> None:
        """Resume."""
        self.client.resume_workflow(instance)

    def terminate(self, instance: str, output: Any = None, recursive: bool = True) -> None:
        """Terminate."""
        self.client.terminate_workflow(instance, output=output, recursive=recursive)

    def purge(self, instance: str, recursive: bool = True) -> None:
        """Purge one instance; this SDK does not say how many went."""
        self.client.purge_workflow(instance, recursive)

    def list_ids(self, page_size: int) -> list[list[str]]:
        """The ids of all instances, page by page."""
        pages, token = [], None
        while True:
            page = self.client.list_workflow_instance_ids(
                page_size=page_size, continuation_token=token
            )
            pages.append(page.instance_ids)
            token = page.continuation_token
            if not token:
                return pages

    def history(self, instance: str) -> list[dict[str, Any]]:
        """The history: type, id and name of each event."""
        return [
            {
                "type": shapes.event_type(one.event_type.name),
                "id": one.event_id,
                "name": one.name,
                "at": shapes.millis(one.timestamp),
            }
            for one in self.client.get_workflow_history(instance)
        ]

    def rerun(self, instance: str, event: int, new_id: str | None = None, **more: Any) -> str:
        """Run again from an event; ``more`` may have a new ``input``."""
        return self.client.rerun_workflow_from_event(
            instance, event, new_instance_id=new_id, **more
        )
