"""What the building block needs from the engine, as protocols: facts, and verbs for workflows.

The engine implements both; tests implement them in a few lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tenure_common.telemetry import Metrics
    from tenure_sidecar.dapr_api.metadata import Attributes
    from tenure_sidecar.engine.events import Instant
    from tenure_sidecar.engine.head import Head


class Engine(Protocol):
    """Facts about the running engine.  Plain reads, none blocks."""

    @property
    def app_id(self) -> str:
        """Name of the app whose workflows these are."""
        ...

    @property
    def workflows(self) -> Workflows:
        """The verbs."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What /metrics shows."""
        ...

    @property
    def attributes(self) -> Attributes:
        """What the app added to the metadata."""
        ...

    def not_ready(self) -> Sequence[str]:
        """Why the engine cannot serve, in words; empty when it can.

        A missing worker is no reason: apps ask before they connect one.
        """
        ...

    def connected_workers(self) -> int:
        """Open work streams."""
        ...

    def active_actors(self) -> Mapping[str, int]:
        """Actor type to how many of it are in memory."""
        ...


class Workflows(Protocol):
    """The verbs of Dapr's workflow API.  Each returns when its effect is durable."""

    async def start_new(
        self,
        name: str,
        *,
        instance_id: str | None,
        input: str | None,  # noqa: A002 - the protocol's word
        start_at: Instant | None,
    ) -> str:
        """Create an instance and return its id; None as the id lets the engine choose.

        Raises: InstanceExistsError, BadRequestError.
        """
        ...

    async def state(self, instance_id: str) -> tuple[Head, str | None] | None:
        """Head and input; None when there is no such instance."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Put an external event into the inbox.  Raises: NoSuchInstanceError, StalledError."""
        ...

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Suspend.  Raises: NoSuchInstanceError."""
        ...

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Resume.  Raises: NoSuchInstanceError."""
        ...

    async def terminate(self, instance_id: str, output: str | None, *, recurse: bool) -> None:
        """Terminate; the children too when ``recurse``.  Raises: NoSuchInstanceError."""
        ...

    async def purge(self, instance_id: str, *, recursive: bool) -> int:
        """Delete a terminal instance, with its children when ``recursive``.

        Returns how many were deleted, 0 when there was none.  Raises: NotTerminalError.
        """
        ...
