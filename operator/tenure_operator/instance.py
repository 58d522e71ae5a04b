"""A run as the gateway describes it: the part of the management API's answer that matters here.

The answer to a start has no payloads (output, custom status, failure); what a get and a watch tell of
a run has them, and ``payloads`` says so: a run that returned nothing has no output either.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

ENDED: Final = frozenset({"COMPLETED", "FAILED", "TERMINATED", "CANCELED"})
TAG_KEY: Final = "tenure.dev/request-key"  # the request that started it


class Stall(msgspec.Struct, frozen=True):
    """Why a run waits for another worker or a larger limit."""

    reason: str
    description: str = ""


class InstanceFailure(msgspec.Struct, frozen=True, rename="camel"):
    """The error that ended a run."""

    error_type: str
    message: str
    stack_trace: str | None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run."""

    instance_id: str
    workflow: str
    status: str
    revision: str = ""
    started_at: str | None = None
    completed_at: str | None = None
    start_at: str | None = None
    tags: dict[str, str] = {}
    stall: Stall | None = None
    generation: int = 0
    history_length: int = 0
    pending_activities: int = 0
    output: Any = msgspec.UNSET
    custom_status: Any = msgspec.UNSET
    failure: InstanceFailure | None = None
    payloads: bool = False  # set by the client; the API has no such field

    @property
    def ended(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.status in ENDED
