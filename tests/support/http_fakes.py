"""An engine of a few lines for the HTTP side: what it is told to answer, and what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tenure_common.errors import NoSuchInstanceError, StoreUnavailableError, TenureError
from tenure_common.telemetry import Metrics
from tenure_sidecar.dapr_api.metadata import Attributes
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.head import Head


def head(instance_id: str, status: Status = Status.RUNNING, **more: object) -> Head:
    """A head with plain values."""
    values: dict[str, object] = {
        "name": "Order",
        "execution_id": "e" * 32,
        "created_at": 1_764_072_000_000_000_001,
        "updated_at": 1_764_072_001_500_000_000,
        **more,
    }
    return Head(instance_id=instance_id, status=status, **values)  # type: ignore[arg-type]


@dataclass
class FakeWorkflows:
    """Instances by id; every call is recorded; ``failing`` is raised by each."""

    instances: dict[str, tuple[Head, str | None]] = field(
        default_factory=dict[str, tuple[Head, str | None]]
    )
    calls: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    failing: BaseException | None = None

    def _called(self, *call: object, instance_id: str | None = None) -> None:
        self.calls.append(call)
        if self.failing is not None:
            raise self.failing
        if instance_id is not None and instance_id not in self.instances:
            raise NoSuchInstanceError(f"no such instance exists: '{instance_id}'")

    async def start_new(
        self,
        name: str,
        *,
        instance_id: str | None,
        input: str | None,
        start_at: Instant | None,
    ) -> str:
        self._called("start", name, instance_id, input, start_at)
        return instance_id or "made-up"

    async def state(self, instance_id: str) -> tuple[Head, str | None] | None:
        self._called("state", instance_id)
        return self.instances.get(instance_id)

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        self._called("raise", instance_id, name, data, instance_id=instance_id)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        self._called("suspend", instance_id, reason, instance_id=instance_id)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        self._called("resume", instance_id, reason, instance_id=instance_id)

    async def terminate(self, instance_id: str, output: str | None, *, recurse: bool) -> None:
        self._called("terminate", instance_id, output, recurse, instance_id=instance_id)

    async def purge(self, instance_id: str, *, recursive: bool) -> int:
        self._called("purge", instance_id, recursive)
        return int(instance_id in self.instances)


@dataclass
class FakeEngine:
    """See the module docstring."""

    app_id: str = "orders"
    reasons: Sequence[str] = ()
    workers: int = 0
    actors: Mapping[str, int] = field(default_factory=dict[str, int])
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    attributes: Attributes = field(default_factory=Attributes)
    metrics: Metrics = field(default_factory=Metrics)

    def not_ready(self) -> Sequence[str]:
        return self.reasons

    def connected_workers(self) -> int:
        return self.workers

    def active_actors(self) -> Mapping[str, int]:
        return self.actors


def broken(message: str = "the disk is gone") -> TenureError:
    """An error of the store."""
    return StoreUnavailableError(message)
