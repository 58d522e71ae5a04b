"""The adapter for ``durabletask`` 1.12 (Microsoft's Durable Task SDK)."""

from __future__ import annotations

import logging
from typing import Any

import shapes
from activities import MEMORY
from durabletask import client, entities, task, worker
from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.internal import orchestrator_service_pb2 as pb

# The worker looks for an engine that is gone at least this often; its default is 30 seconds.
RECONNECT = GrpcWorkerResiliencyOptions(
    reconnect_backoff_base_seconds=0.1, reconnect_backoff_cap_seconds=1.0
)


class Flow(shapes.BaseFlow):
    """``interpreter.Flow`` over an ``OrchestrationContext``."""

    task_error = task.TaskFailedError

    def activity(self, what: dict[str, Any]) -> Any:
        """Start an activity."""
        return self.ctx.call_activity(
            what["name"], input=what["input"], retry_policy=_retry(what), tags=what.get("tags")
        )

    def child(self, what: dict[str, Any]) -> Any:
        """Start a child."""
        return self.ctx.call_sub_orchestrator(
            what["name"],
            input=what.get("input"),
            instance_id=what.get("id"),
            retry_policy=_retry(what),
            version=what.get("version"),
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

    def send(self, target: str, name: str, value: Any) -> None:
        """Send an event."""
        self.ctx.send_event(target, name, data=value)

    def uuid(self) -> str:
        """A deterministic UUID."""
        return self.ctx.new_uuid()

    def info(self) -> dict[str, Any]:
        """What the SDK knows of the instance."""
        ctx = self.ctx
        return {"id": ctx.instance_id, "parent": ctx.parent_instance_id, "version": ctx.version}

    def log(self, value: Any) -> None:
        """Log through the replay-safe logger; a handler of ours notes what comes out."""
        logger = logging.getLogger(f"scenario.{self.ctx.instance_id}")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [_Noting(f"log:{self.ctx.instance_id}")]
        self.ctx.create_replay_safe_logger(logger).info(value)


class _Noting(logging.Handler):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def emit(self, record: logging.LogRecord) -> None:
        MEMORY.note(self.key, record.getMessage())


def _retry(what: dict[str, Any]) -> task.RetryPolicy | None:
    return task.RetryPolicy(**shapes.retry_arguments(what["retry"])) if "retry" in what else None


def _statuses(names: list[str] | None) -> list[client.OrchestrationStatus] | None:
    return [client.OrchestrationStatus[name] for name in names] if names else None


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
        """Start the worker. ``options``: ``workflows``, ``version``, ``match``, ``on_mismatch``,
        ``filters``, ``max_activities``, ``max_workflows``, ``without`` (activities)."""
        made = worker.TaskHubGrpcWorker(
            host_address=self.address,
            resiliency_options=RECONNECT,
            concurrency_options=worker.ConcurrencyOptions(
                maximum_concurrent_activity_work_items=options.get("max_activities"),
                maximum_concurrent_orchestration_work_items=options.get("max_workflows"),
                maximum_thread_pool_workers=options.get("threads"),
            ),
        )
        made.add_orchestrator(shapes.workflow_body(Flow, self.name, None, shapes.RUN))
        for extra in options.get("workflows", []):
            body = shapes.workflow_body(Flow, self.name, extra["program"], extra["name"])
            made.add_orchestrator(body)
        for name, body in shapes.activities(self.name).items():
            if name not in options.get("without", []):
                made.add_activity(body)
        if "version" in options:
            versioning = worker.VersioningOptions(
                version=options["version"],
                default_version=options.get("default_version"),
                match_strategy=worker.VersionMatchStrategy[options["match"]],
                failure_strategy=worker.VersionFailureStrategy[options["on_mismatch"]],
            )
            made.use_versioning(versioning)
        if options.get("filters"):
            made.use_work_item_filters()
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
        tags: dict[str, str] | None = None,
        version: str | None = None,
        reuse: list[str] | None = None,
    ) -> str:
        """Start a workflow; ``reuse`` lists the statuses of an instance that may be replaced."""
        policy = None
        if reuse is not None:
            statuses = [client.OrchestrationStatus[name].value for name in reuse]
            policy = pb.OrchestrationIdReusePolicy(replaceableStatus=statuses)
        return self.client.schedule_new_orchestration(
            workflow,
            input=input,
            instance_id=instance,
            start_at=shapes.moment(at_ms),
            tags=tags,
            version=version,
            reuse_id_policy=policy,
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

    def purge(self, instance: str, recursive: bool = True) -> Any:
        """Purge one instance; the number of deleted ones."""
        return self.client.purge_orchestration(instance, recursive).deleted_instance_count

    def purge_where(
        self,
        statuses: list[str] | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        recursive: bool = False,
    ) -> int:
        """Purge by filter; the number of deleted ones."""
        return self.client.purge_orchestrations_by(
            shapes.moment(from_ms), shapes.moment(to_ms), _statuses(statuses), recursive
        ).deleted_instance_count

    def query(
        self,
        statuses: list[str] | None = None,
        prefix: str | None = None,
        page_size: int | None = None,
        payloads: bool = False,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> Any:
        """All instances that match; the SDK walks over the pages."""
        wanted = client.OrchestrationQuery(
            created_time_from=shapes.moment(from_ms),
            created_time_to=shapes.moment(to_ms),
            runtime_status=_statuses(statuses),
            fetch_inputs_and_outputs=payloads,
            instance_id_prefix=prefix,
            **({} if page_size is None else {"max_instance_count": page_size}),
        )
        return [shapes.state_of(one) for one in self.client.get_all_orchestration_states(wanted)]

    def list_ids(self, page_size: int, statuses: list[str] | None = None) -> list[list[str]]:
        """The ids of ended instances, page by page."""
        pages, token = [], None
        while True:
            page = self.client.list_instance_ids(
                _statuses(statuses), page_size=page_size, continuation_token=token
            )
            pages.append(page.items)
            token = page.continuation_token
            if not token:
                return pages

    def history(self, instance: str) -> list[dict[str, Any]]:
        """The history: type, id and name of each event."""
        return [
            {
                "type": shapes.event_type(type(one).__name__),
                "id": one.event_id,
                "name": getattr(one, "name", None),
                "at": shapes.millis(one.timestamp),
            }
            for one in self.client.get_orchestration_history(instance)
        ]

    def restart(self, instance: str, new_id: bool = False) -> str:
        """Restart; the id."""
        return self.client.restart_orchestration(instance, restart_with_new_instance_id=new_id)

    def rewind(self, instance: str) -> None:
        """Rewind."""
        self.client.rewind_orchestration(instance, reason="try again")

    def signal_entity(self, entity: str, key: str, operation: str) -> None:
        """Signal an entity."""
        self.client.signal_entity(entities.EntityInstanceId(entity, key), operation)

    def get_entity(self, entity: str, key: str) -> Any:
        """Whether there is such an entity."""
        return self.client.get_entity(entities.EntityInstanceId(entity, key)) is not None
