"""The task hub service: every RPC of both flavours, by path.

Registered by path with raw bytes, because no generated service could speak two protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tenure_sidecar.rpc.adapt import handler
from tenure_sidecar.rpc.clients import ClientService, unsupported
from tenure_sidecar.rpc.history import HistoryStreams
from tenure_sidecar.rpc.worker import WorkerService

if TYPE_CHECKING:
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.rpc.transport import StreamHandler, UnaryHandler
    from tenure_sidecar.wire.codec import Codec

SERVICE = "/TaskHubSidecarService/"

ENTITY_RPCS = (
    "CompleteEntityTask",
    "SignalEntity",
    "GetEntity",
    "QueryEntities",
    "CleanEntityStorage",
)


def task_hub(  # noqa: PLR0913 - the composition root passes each part once
    operations: Operations,
    dispatcher: Dispatcher,
    codecs: Mapping[str, Codec],
    *,
    default_flavour: str,
    forced_flavour: str | None,
    message_bytes: int,
    app_id: str,
) -> tuple[dict[str, UnaryHandler], dict[str, StreamHandler]]:
    """Handlers by path, unary and streaming, for one listener."""
    worker = WorkerService(
        dispatcher,
        codecs,
        default_flavour=default_flavour,
        forced_flavour=forced_flavour,
        message_bytes=message_bytes,
    )
    clients = ClientService(
        operations,
        dapr=codecs["dapr"],
        ids=operations.ids,
        clock=operations.clock,
        app_id=app_id,
        knows_stalled=default_flavour == "dapr",
    )
    unary: dict[str, UnaryHandler] = {
        "Hello": worker.hello,
        "CompleteActivityTask": worker.complete_activity,
        "CompleteOrchestratorTask": worker.complete_turn,
        "CompleteWorkflowTask": worker.complete_turn,
        "AbandonTaskActivityWorkItem": worker.abandon,
        "AbandonTaskOrchestratorWorkItem": worker.abandon,
        "AbandonTaskEntityWorkItem": worker.abandon,
    }
    for name, answer in {
        "StartInstance": clients.start,
        "GetInstance": clients.get,
        "WaitForInstanceStart": clients.wait_start,
        "WaitForInstanceCompletion": clients.wait_end,
        "RaiseEvent": clients.raise_event,
        "TerminateInstance": clients.terminate,
        "SuspendInstance": clients.suspend,
        "ResumeInstance": clients.resume,
        "PurgeInstances": clients.purge,
        "RerunWorkflowFromEvent": clients.rerun,
        "ListInstanceIDs": clients.list_dapr,
        "GetInstanceHistory": clients.history,
        "ListInstanceIds": clients.list_microsoft,
        "QueryInstances": clients.query,
        "RestartInstance": clients.restart,
        "RewindInstance": clients.rewind,
        "CreateTaskHub": clients.create_task_hub,
        "DeleteTaskHub": clients.delete_task_hub,
        "SkipGracefulOrchestrationTerminations": clients.skip_terminations,
    }.items():
        unary[name] = handler(answer)
    for name in ENTITY_RPCS:
        unary[name] = handler(unsupported(f"{name}: entities"))
    history = HistoryStreams(operations, dispatcher, codecs["microsoft"])
    streams: dict[str, StreamHandler] = {
        "GetWorkItems": worker.get_work_items,
        "StreamInstanceHistory": history.stream,
    }
    return (
        {SERVICE + name: one for name, one in unary.items()},
        {SERVICE + name: one for name, one in streams.items()},
    )
