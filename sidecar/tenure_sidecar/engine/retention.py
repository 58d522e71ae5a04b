"""How long an instance is kept after its end.

The time to live is fixed when the instance ends, in the turn that ends it: from the instance's own
tag if it has one, else from the settings.  So a change of the settings never reaches back to what has
ended already.  The end's turn sets a reminder, whose due time is in the head (``expires_at``): who
looks at an instance sees when it goes, and a rewind that brings it back to life knows which reminder
to clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tenure_common.errors import BadRequestError
from tenure_common.times import parse_duration
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import RETENTION, Timer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Turn

RETENTION_TAG: Final = "tenure.dev/retention"
FOREVER: Final = "forever"
NEVER: Final = 2**63 - 1  # ns; the store's largest due time


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Times to live in nanoseconds, None = for ever.  ``by_status`` goes before ``any``."""

    any: int | None = None
    by_status: dict[Status, int | None] = {}

    def of(self, status: Status, tags: Mapping[str, str]) -> int | None:
        """The time to live of an instance that ends so.

        A tag that cannot be read counts as none: it is the app's, and no reason to fail its end.
        """
        own = tags.get(RETENTION_TAG)
        if own is not None:
            try:
                return parse_retention(own)
            except BadRequestError:
                pass
        return self.by_status.get(status, self.any)


def parse_retention(text: str) -> int | None:
    """Nanoseconds of a duration such as ``7d``; None for ``forever``.  Raises: BadRequestError."""
    return None if text == FOREVER else parse_duration(text)


def expiry(head: Head, status: Status, *, at: int, retention: Retention) -> int:
    """When the instance that ends at ``at`` in ``status`` is to be deleted; 0 = never."""
    kept = retention.of(status, head.tags)
    if kept is None or at + kept > NEVER:
        return 0
    return at + kept


def reminder(head: Head) -> Timer | None:
    """The reminder of an ended instance, None when it is kept."""
    if not head.expires_at:
        return None
    return Timer(
        due=head.expires_at,
        instance_id=head.instance_id,
        timer_id=0,
        kind=RETENTION,
        generation=head.generation,
    )


def settled(turn: Turn, *, before: Head, retention: Retention) -> Turn:
    """``turn`` with the reminder that its end needs, or without the one that a rewind ends.

    Args:
        turn: computed on top of ``before``.
        retention: the app's.
    """
    head = turn.head
    if head.status.terminal:
        if before.status.terminal:  # only dropped what came too late
            return turn
        at = head.completed_at
        head = msgspec.structs.replace(
            head, expires_at=expiry(head, head.status, at=at, retention=retention)
        )
        armed = reminder(head)
        if armed is None:
            return turn
        return msgspec.structs.replace(turn, head=head, timers_set=(*turn.timers_set, armed))
    cleared = reminder(before)
    if cleared is None:
        return turn
    return msgspec.structs.replace(
        turn,
        head=msgspec.structs.replace(head, expires_at=0),
        timers_cleared=(*turn.timers_cleared, cleared),
    )
