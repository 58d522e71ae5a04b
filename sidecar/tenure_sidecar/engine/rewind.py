"""The request to rewind a failed instance (``revive.py`` carries it out)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import NotFailedError
from tenure_sidecar.engine.events import ExecutionRewound, Status
from tenure_sidecar.engine.turn import InboxItem

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids


def rewind(head: Head, reason: str | None, *, now: int, ids: Ids) -> InboxItem:
    """The inbox item that rewinds ``head``'s instance.

    Raises: NotFailedError when the instance has not failed.
    """
    if head.status is not Status.FAILED:
        message = (
            f"'{head.instance_id}' is {head.status.name} and not in a failed state; "
            "only a FAILED instance can be rewound"
        )
        raise NotFailedError(message)
    return InboxItem(f"rewind-{ids.commit_id()}", ExecutionRewound(now, reason=reason))
