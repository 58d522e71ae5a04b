"""The head of an instance: everything about it that is not its history, inbox or input.

One head per instance is stored and overwritten with every commit, so it is small and its size does
not grow with the history.  It is what GetInstance and list queries answer from.  ``input`` is kept
apart by the store (it is written once per generation and can be large).

The head is also the stored form (``codec.py``): new fields go to the end, with a default.
"""

from __future__ import annotations

import msgspec

from tenure_sidecar.engine.events import (
    Failure,
    Instant,
    Parent,
    StallReason,
    Status,
    TraceContext,
    VersionInfo,
)


class Stall(msgspec.Struct, frozen=True, array_like=True):
    """Why the instance is stalled, in words for the person who has to mend it."""

    reason: StallReason
    description: str | None = None


class Head(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """State of one instance.  All times are nanoseconds since the Unix epoch; 0 = not yet."""

    instance_id: str
    name: str
    status: Status
    execution_id: str  # 32 hex digits, new for each generation
    created_at: int
    updated_at: int  # time of the last committed change
    version: str | None = None
    generation: int = 0  # +1 on continue-as-new, restart, rewind and re-use of the id
    started_at: int = 0  # first turn of the first generation
    completed_at: int = 0
    scheduled_start: Instant | None = None
    parent: Parent | None = None
    tags: dict[str, str] = {}
    trace: TraceContext | None = None
    span_id: str | None = None  # of this generation's orchestration span, 16 hex digits
    custom_status: str | None = None
    output: str | None = None
    failure: Failure | None = None
    stall: Stall | None = None
    history_length: int = 0  # events in this generation
    history_bytes: int = 0  # their encoded size, for the limits
    pending: int = 0  # activities scheduled and not resolved
    clock: int = 0  # largest ``at`` in the history; later events never go below it
    code: VersionInfo | None = None  # version and patches recorded by the last turn
    rerun_of: str | None = None  # source instance of a rerun
    commit_id: str = ""  # of the last commit: tells an unknown outcome from a lost one
    suspended: bool = False  # a stalled instance remembers whether it was suspended
    expires_at: int = 0  # when retention deletes it; 0 = never, or not ended
    raised: tuple[str, ...] = ()  # keys of the last events that earlier generations got

    @property
    def active(self) -> bool:
        """Whether a new owner has activities of this instance to dispatch again."""
        return self.pending > 0 and not self.status.terminal
