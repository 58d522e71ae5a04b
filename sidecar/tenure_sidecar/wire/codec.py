"""The codec port: one implementation per flavour of the protocol (``dapr.py``, ``microsoft.py``).

A codec turns neutral records into the bytes of its flavour and back.  Events are encoded once
(``event``) and kept as bytes; a work item is put together by concatenation (``turn_item``), so
history is never decoded to be sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tenure_sidecar.engine.actions import Response
from tenure_sidecar.engine.events import Event, Failure, TaskScheduled, TraceContext
from tenure_sidecar.engine.head import Head


class TurnResult(msgspec.Struct, frozen=True):
    """A decoded Complete{Orchestrator,Workflow}Task request."""

    instance_id: str
    token: str  # empty from SDKs that do not echo it
    response: Response
    partial: bool = False  # more chunks with the same token follow
    chunk: int | None = None
    requires_history: bool = False  # the worker asks for the turn again, with the whole history


class ActivityResult(msgspec.Struct, frozen=True):
    """A decoded CompleteActivityTask request; ``failure`` None means success."""

    instance_id: str
    task_id: int
    token: str
    result: str | None
    failure: Failure | None


class Filters(msgspec.Struct, frozen=True):
    """Names (lower case) and versions that a worker takes; None = everything."""

    workflows: dict[str, tuple[str, ...]] | None = None
    activities: dict[str, tuple[str, ...]] | None = None
    entities: tuple[str, ...] | None = None


class Hello(msgspec.Struct, frozen=True):
    """A decoded GetWorkItemsRequest."""

    max_turns: int | None = None  # concurrent orchestrations; None = not announced
    max_activities: int | None = None
    health_ping: bool = False
    stateful_history: bool = False
    history_streaming: bool = False
    filters: Filters = Filters()


class Codec(Protocol):
    """One flavour."""

    flavour: str  # 'dapr' or 'microsoft'

    def event(self, event: Event) -> bytes:
        """The event as ``varint length + HistoryEvent``; empty when the flavour's workers must not
        see it (it then does not count as an event sent)."""
        ...

    def turn_item(  # noqa: PLR0913 - what a request is made of
        self,
        head: Head,
        *,
        past: Sequence[bytes],
        new: Sequence[bytes],
        token: str,
        cached: int | None = None,
        stream_history: bool = False,
    ) -> bytes:
        """A WorkItem with an orchestrator request.

        Args:
            past, new: events as ``event`` returns them.
            cached: number of leading past events left out because the worker has them cached.
            stream_history: leave ``past`` out; the worker fetches it (Microsoft flavour only).
        """
        ...

    def activity_item(self, head: Head, task: TaskScheduled, *, token: str) -> bytes:
        """A WorkItem with an activity request."""
        ...

    def health_ping(self) -> bytes:
        """A WorkItem with a health ping; empty when the flavour has none."""
        ...

    def hello(self, request: bytes) -> Hello:
        """Decode a GetWorkItemsRequest.  Raises: BadRequestError."""
        ...

    def turn_result(self, request: bytes) -> TurnResult:
        """Decode a turn's answer.  Raises: BadRequestError."""
        ...

    def activity_result(self, request: bytes) -> ActivityResult:
        """Decode an activity's answer.  Raises: BadRequestError."""
        ...

    def activity_trace(self, task: TaskScheduled, span_id: str) -> TraceContext | None:
        """The trace context that the activity's code continues: same trace, span ``span_id``."""
        ...
