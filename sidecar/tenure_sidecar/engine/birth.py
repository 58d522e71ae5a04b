"""The first record of an instance that has no parent: head, start event and, for a delayed start,
its reminder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.draft import NEVER
from tenure_sidecar.engine.events import (
    Event,
    ExecutionStarted,
    Instant,
    Status,
    TraceContext,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.turn import START, Creation, Timer

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids


def creation(  # noqa: PLR0913 - what a start request has
    name: str,
    *,
    instance_id: str,
    input: str | None = None,  # noqa: A002 - the protocol's word
    version: str | None = None,
    scheduled_start: Instant | None = None,
    tags: dict[str, str] | None = None,
    trace: TraceContext | None = None,
    execution_id: str | None = None,
    rerun_of: str | None = None,
    seed: tuple[Event, ...] = (),
    now: int,
    ids: Ids,
) -> Creation:
    """A PENDING instance.

    A ``scheduled_start`` that is not in the future is none (some SDKs send the epoch for "now"),
    and one beyond 64-bit nanoseconds waits for ever.
    """
    if scheduled_start is not None and scheduled_start.nanoseconds <= now:
        scheduled_start = None
    execution_id = execution_id or ids.execution_id()
    span_id = ids.span_id()
    version = version or None
    tags = dict(tags or {})
    head = Head(
        instance_id=instance_id,
        name=name,
        status=Status.PENDING,
        execution_id=execution_id,
        created_at=now,
        updated_at=now,
        version=version,
        scheduled_start=scheduled_start,
        tags=tags,
        trace=trace,
        span_id=span_id,
        rerun_of=rerun_of,
        commit_id=ids.commit_id(),
    )
    start = ExecutionStarted(
        now,
        instance_id=instance_id,
        execution_id=execution_id,
        name=name,
        version=version,
        input=input,
        scheduled_start=scheduled_start,
        trace=trace,
        span_id=span_id,
        tags=tags,
    )
    timer = None
    if scheduled_start is not None:
        due = min(scheduled_start.nanoseconds, NEVER)
        timer = Timer(due=due, instance_id=instance_id, timer_id=0, kind=START)
    return Creation(head=head, start=start, timer=timer, seed=seed)
