"""One worker's work stream: what it can take, and what it has.

Another member of the app that borrows activities looks the same to the dispatcher (``far``): it takes
no turns, and its cap on activities is what it says it has room for.

The stream counts the items that were sent and not answered against its caps, and remembers how much
of each instance's history the worker has cached (Dapr's stateful history).  It sends and never
decides; ``Dispatcher`` does.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.rpc.transport import Sent

if TYPE_CHECKING:
    from tenure_sidecar.rpc.transport import Stream
    from tenure_sidecar.wire.codec import Codec, Hello

_CACHED_INSTANCES = 100_000  # the SDKs' own default bound of their history cache


class Caps(msgspec.Struct, frozen=True):
    """Most items that a stream may have at a time; ``message_bytes`` is the largest message that
    its client accepts."""

    turns: int = 100
    activities: int = 100
    total: int = 200
    message_bytes: int = 4 * 1024 * 1024


class WorkerStream:
    """State of one GetWorkItems stream."""

    __slots__ = (
        "_cached",
        "activities",
        "blocked",
        "blocked_since",
        "caps",
        "closed",
        "codec",
        "echoes_tokens",
        "far",
        "guessed",
        "health_ping",
        "hello",
        "id",
        "last_sent",
        "late",
        "peer",
        "proven",
        "transport",
        "turns",
    )

    def __init__(  # noqa: PLR0913 - the handshake's outcome, one call site
        self,
        stream_id: int,
        transport: Stream,
        *,
        codec: Codec,
        hello: Hello,
        caps: Caps,
        health_ping: bool,
        now: float,
        guessed: bool = False,
        far: bool = False,
    ) -> None:
        self.id = stream_id
        self.transport = transport
        self.peer = transport.peer
        self.codec = codec
        self.hello = hello
        self.caps = caps
        self.health_ping = health_ping
        self.far = far  # another member's workers, for activities that this one's have no room for
        self.echoes_tokens = far  # until its first answer shows it; old SDKs do not
        self.guessed = guessed  # the flavour is what the port stands for, no more
        self.turns = 0  # sent and not answered
        self.activities = 0
        self.blocked = False  # the client reads too slowly
        self.blocked_since = 0.0
        self.closed = False
        self.late = False  # an item was not answered in time, and none has been since
        self.proven = False  # it has answered something
        self.last_sent = now
        self._cached: OrderedDict[str, tuple[str, int]] = OrderedDict()

    @property
    def load(self) -> int:
        """Items at the worker."""
        return self.turns + self.activities

    @property
    def turn_rank(self) -> tuple[bool, bool, int]:
        """Of several streams with room, the one with the lowest rank gets a turn.

        One that is late gets what no other has room for.  One that has answered nothing yet gets a
        first turn and then the same: code that dies as it starts must not draw in all the work.
        """
        return (self.late, not self.proven and self.turns > 0, self.turns + self.activities)

    @property
    def activity_rank(self) -> tuple[bool, bool, int]:
        """The same for an activity, which goes far only when no worker near has room."""
        return (self.far, self.late, self.activities)

    def answered(self) -> None:
        """The worker answered an item that it was to answer."""
        self.late = False
        self.proven = True

    def room_for_turn(self) -> bool:
        """Whether a turn may be sent now."""
        return (
            not self.blocked
            and not self.closed
            and self.turns < self.caps.turns
            and self.turns + self.activities < self.caps.total
        )

    def room_for_activity(self) -> bool:
        """Whether an activity may be sent now."""
        return (
            not self.blocked
            and not self.closed
            and self.activities < self.caps.activities
            and self.turns + self.activities < self.caps.total
        )

    @property
    def spare(self) -> int:
        """Slots that may be lent: a part of ``caps.total`` stays free for the app's own turns."""
        if self.blocked or self.closed or self.far:
            return 0
        caps = self.caps
        kept = min(caps.turns, max(caps.total // 4, 1))
        return max(0, min(caps.activities - self.activities, caps.total - kept - self.load))

    def send(self, item: bytes, now: float) -> Sent:
        """Send one work item."""
        sent = self.transport.send(item)
        if sent is Sent.SENT:
            self.last_sent = now
        elif sent is Sent.FULL:
            self.blocked = True
            self.blocked_since = now
        else:
            self.closed = True
        return sent

    def takes_workflow(self, name: str, version: str | None) -> bool:
        """Whether the worker's filters let the workflow through."""
        return _passes(self.hello.filters.workflows, name, version)

    def takes_activity(self, name: str, version: str | None) -> bool:
        """Whether the worker's filters let the activity through."""
        return _passes(self.hello.filters.activities, name, version)

    @property
    def filtered(self) -> bool:
        """Whether the worker named what it takes."""
        filters = self.hello.filters
        return filters.workflows is not None or filters.activities is not None

    # --- stateful history ---------------------------------------------------------------------

    def cached(self, instance_id: str, execution_id: str, length: int) -> int:
        """How many leading past events the worker has; 0 = none, send all."""
        if not self.hello.stateful_history:
            return 0
        known = self._cached.get(instance_id)
        if known is None or known[0] != execution_id or known[1] > length:
            return 0
        return known[1]

    def remember(self, instance_id: str, execution_id: str, length: int) -> None:
        """The worker was sent (or has) ``length`` past events."""
        if self.hello.stateful_history:
            self._cached[instance_id] = (execution_id, length)
            self._cached.move_to_end(instance_id)
            if len(self._cached) > _CACHED_INSTANCES:
                self._cached.popitem(last=False)

    def forget(self, instance_id: str) -> None:
        """The instance ended or started over."""
        self._cached.pop(instance_id, None)


def _passes(names: dict[str, tuple[str, ...]] | None, name: str, version: str | None) -> bool:
    if names is None:
        return True
    versions = names.get(name.lower())
    if versions is None:
        return False
    return not versions or (version or "") in versions
