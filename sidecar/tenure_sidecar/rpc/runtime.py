"""Dapr's runtime service on the Dapr port: the workflow methods, and the metadata.

``dapr.proto.runtime.v1.Dapr`` has a hundred methods; Tenure does the job of its workflow engine.
The methods of its other building blocks are here to say so; calls of the engine's own actor types
are refused by name, as daprd does.

The workflow methods exist as Alpha1 and Beta1; both are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tenure_common.errors import UnsupportedError
from tenure_common.version import VERSION
from tenure_sidecar.dapr_api.workflows import (
    START_TIME,
    WorkflowBlock,
    properties,
    refuse_reserved,
    status_name,
)
from tenure_sidecar.rpc.adapt import handler
from tenure_sidecar.wire import runtime
from tenure_sidecar.wire.peek import peek_string

if TYPE_CHECKING:
    from tenure_sidecar.dapr_api.port import Engine
    from tenure_sidecar.rpc.transport import UnaryHandler

SERVICE = "/dapr.proto.runtime.v1.Dapr/"
STAGES = ("Alpha1", "Beta1")

# They name an actor type in field 1.
ACTOR_METHODS = (
    "ExecuteActorStateTransaction",
    "GetActorState",
    "InvokeActor",
    "RegisterActorReminder",
    "RegisterActorTimer",
    "UnregisterActorReminder",
    "UnregisterActorTimer",
)
_ACTOR_TYPE = 1

# Unary methods of building blocks that are not here.
OTHER_METHODS = (
    "BulkPublishEventAlpha1",
    "ConverseAlpha1",
    "DeleteBulkState",
    "DeleteJobAlpha1",
    "DeleteState",
    "ExecuteStateTransaction",
    "GetBulkSecret",
    "GetBulkState",
    "GetConfiguration",
    "GetConfigurationAlpha1",
    "GetJobAlpha1",
    "GetSecret",
    "GetState",
    "InvokeBinding",
    "InvokeService",
    "PublishEvent",
    "QueryStateAlpha1",
    "SaveState",
    "ScheduleJobAlpha1",
    "Shutdown",
    "TryLockAlpha1",
    "UnlockAlpha1",
)

_Answer = Callable[[bytes], Awaitable[bytes]]


def runtime_service(engine: Engine) -> dict[str, UnaryHandler]:
    """Handlers by path."""
    service = RuntimeService(engine)
    methods: dict[str, _Answer] = {
        "GetMetadata": service.get_metadata,
        "SetMetadata": service.set_metadata,
    }
    workflows: dict[str, _Answer] = {
        "StartWorkflow": service.start,
        "GetWorkflow": service.get,
        "RaiseEventWorkflow": service.raise_event,
        "PauseWorkflow": service.on_one("PauseWorkflow", service.block.pause),
        "ResumeWorkflow": service.on_one("ResumeWorkflow", service.block.resume),
        "TerminateWorkflow": service.on_one("TerminateWorkflow", service.block.terminate),
        "PurgeWorkflow": service.on_one("PurgeWorkflow", service.block.purge),
    }
    for stage in STAGES:
        methods |= {f"{name}{stage}": answer for name, answer in workflows.items()}
    methods |= {name: _actors(name) for name in ACTOR_METHODS}
    methods |= {name: _other(name) for name in OTHER_METHODS}
    return {SERVICE + name: handler(answer) for name, answer in methods.items()}


class RuntimeService:
    """The methods' answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.block = WorkflowBlock(engine.workflows, app_id=engine.app_id)

    async def start(self, request: bytes) -> bytes:
        """StartWorkflow."""
        asked = runtime.start(request)
        self.block.own(asked.app_id)
        return runtime.started(
            await self.block.start(
                asked.name,
                instance_id=asked.instance_id,
                given=asked.given,
                start_time=asked.options.get(START_TIME),
            )
        )

    async def get(self, request: bytes) -> bytes:
        """GetWorkflow; as in daprd, an empty answer when there is no such instance."""
        asked = runtime.one(request, method="GetWorkflow")
        self.block.own(asked.app_id)
        found = await self.block.get(asked.instance_id)
        if found is None:
            return runtime.EMPTY
        head, given = found
        return runtime.state(
            runtime.State(
                head.instance_id,
                head.name,
                head.created_at,
                head.updated_at,
                status_name(head.status),
                properties(head, given),
            )
        )

    async def raise_event(self, request: bytes) -> bytes:
        """RaiseEventWorkflow."""
        asked = runtime.raise_event(request)
        self.block.own(asked.app_id)
        await self.block.raise_event(asked.instance_id, asked.event, asked.data)
        return runtime.EMPTY

    def on_one(self, method: str, verb: Callable[[str], Awaitable[None]]) -> _Answer:
        """A method that does something to one instance."""

        async def answer(request: bytes) -> bytes:
            asked = runtime.one(request, method=method)
            self.block.own(asked.app_id)
            await verb(asked.instance_id)
            return runtime.EMPTY

        return answer

    async def get_metadata(self, _request: bytes) -> bytes:
        """GetMetadata: the same facts as ``GET /v1.0/metadata``."""
        engine = self._engine
        return runtime.metadata(
            runtime.Metadata(
                app_id=engine.app_id,
                version=VERSION,
                actors=engine.active_actors(),
                running=not engine.not_ready(),
                workers=engine.connected_workers(),
                extended=engine.attributes.extended(),
            )
        )

    async def set_metadata(self, request: bytes) -> bytes:
        """SetMetadata."""
        self._engine.attributes.set(*runtime.attribute(request))
        return runtime.EMPTY


def _actors(method: str) -> _Answer:
    async def refuse(request: bytes) -> bytes:
        refuse_reserved(peek_string(request, _ACTOR_TYPE))
        raise _not_here(method)

    return refuse


def _other(method: str) -> _Answer:
    async def refuse(_request: bytes) -> bytes:
        raise _not_here(method)

    return refuse


def _not_here(method: str) -> UnsupportedError:
    return UnsupportedError(f"{method}: of Dapr's runtime, Tenure serves workflows alone")
