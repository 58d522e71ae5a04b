"""Restart: a fresh run of a finished instance, with its name, input, version and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_common.errors import NotTerminalError
from tenure_sidecar.engine import birth

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.turn import Creation


def restart(  # noqa: PLR0913 - what a restart request has
    head: Head,
    input: str | None,  # noqa: A002 - the protocol's word
    *,
    new_id: bool,
    as_id: str | None = None,
    now: int,
    ids: Ids,
) -> Creation:
    """The creation that runs ``head``'s workflow again.

    Args:
        head: the instance; with ``new_id`` it may still run.
        input: its input.
        new_id: run under a new id; otherwise the old run is replaced (the caller's ``Create`` must
            allow that for terminal statuses).
        as_id: the new id, if the engine is not to choose it.

    Raises: NotTerminalError.
    """
    if not new_id and not head.status.terminal:
        message = (
            f"'{head.instance_id}' is {head.status.name} and not in a terminal state; "
            "terminate it first, or restart it with a new id"
        )
        raise NotTerminalError(message)
    return birth.creation(
        head.name,
        instance_id=(as_id or ids.instance_id()) if new_id else head.instance_id,
        input=input,
        version=head.version,
        tags=head.tags,
        now=now,
        ids=ids,
    )
