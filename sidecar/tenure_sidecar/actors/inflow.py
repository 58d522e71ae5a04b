"""What reaches an instance from elsewhere: rows in its inbox that its copy did not put there.

Three ways lead here.  A commit of this process tells of the messages that it sent (``inform``).  The
store's watch tells of what other processes sent, and of everything that is of a kind that clients
send (``arrived``).  And where nobody can say what was sent, because an outcome is unknown or a watch
has a hole, the store is asked (``refresh``).

What clients send is taken in by one way only, so that it comes in the store's order: whoever was
told that an event is safe may tell the next one elsewhere, and it must come behind.  Where the store
is being asked, what the watch tells waits for the answer, which has both.

A message must reach a copy once: a row that was consumed already is gone, and its key is not
remembered.  So a copy knows up to which place in the store's order of changes it has seen
everything (``Instance.seen``): what is not newer was in its inbox when it was read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenure_common.errors import NotOwnerError, TenureError
from tenure_sidecar.engine.events import ExecutionStarted
from tenure_sidecar.engine.turn import START, Timer
from tenure_sidecar.store.port import by_watch

if TYPE_CHECKING:
    from tenure_sidecar.actors.host import Host
    from tenure_sidecar.actors.instance import Instance
    from tenure_sidecar.engine.turn import InboxItem, Turn
    from tenure_sidecar.store.port import Change

_REFRESH = 0.05  # seconds until an instance looks again for what it may have missed
_RETRY = 1.0  # seconds after a failed load


class Inflow:
    """See the module docstring."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._refreshing: dict[str, bool] = {}  # by id; True = and once more

    def inform(self, instance_id: str, item: InboxItem) -> None:
        """A commit of this process added a row; who else owns the instance hears it by his watch, and
        so does this process of what comes by it alone."""
        host = self._host
        if not host.holds(instance_id) or (host.sharing is not None and by_watch(item)):
            return

        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if instance is not None:
                instance.receive(item, durable=True)
            elif error is not None:
                # The row is in the store; the next load finds it.
                self._loop.call_later(_RETRY, host.wake, instance_id)

        host.reach(instance_id, reached)

    def arrived(self, change: Change) -> None:
        """The watch tells of a row."""
        host, item, instance_id = self._host, change.item, change.instance_id
        if not host.holds(instance_id):
            return
        if item is None:
            self.refresh(instance_id)
            return
        anew = isinstance(item.event, ExecutionStarted)
        later = self._delayed(instance_id, item)
        if host.resident(instance_id) is None and not host.loading(instance_id):
            if not later:
                host.wake(instance_id)  # what it loads is newer than the change
            return

        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if error is not None:
                self._loop.call_later(_RETRY, host.wake, instance_id)
            elif instance is None:
                host.wake(instance_id)  # it was read before the change
            elif change.at > instance.seen and anew:
                host.drop(instance, NotOwnerError(f"'{instance_id}' was started anew"))
                host.wake(instance_id)
            elif change.at > instance.seen:
                self._take(instance, item)

        host.reach(instance_id, reached)

    def _take(self, instance: Instance, item: InboxItem) -> None:
        if instance.id in self._refreshing and by_watch(item):
            self.refresh(instance.id)
        else:
            instance.receive(item, durable=True)

    def _delayed(self, instance_id: str, item: InboxItem) -> bool:
        """Whether the row is a start whose time is still to come; its reminder is set then."""
        if not isinstance(item.event, ExecutionStarted):
            return False
        at = item.event.scheduled_start
        if at is None or at.nanoseconds <= self._host.clock():
            return False
        self._host.reminders.set((Timer(at.nanoseconds, instance_id, 0, START),))
        return True

    def knows(self, instance_id: str, key: str) -> bool:
        """Whether a row is known here, or will be without anybody's help."""
        return self._host.knows(instance_id, key)

    def now(self) -> int:
        """The wall clock, nanoseconds since the Unix epoch."""
        return self._host.clock()

    # --- looking for oneself ------------------------------------------------------------------

    def refresh_targets(self, turn: Turn) -> None:
        """The turn may be durable: whoever it was to wake must look for himself."""
        targets = [creation.head.instance_id for creation in turn.creations]
        targets += [message.target for message in turn.messages]
        for target in dict.fromkeys(targets):
            self.refresh_soon(target)

    def refresh_soon(self, instance_id: str) -> None:
        """``refresh`` after a moment."""
        self._loop.call_later(_REFRESH, self.refresh, instance_id)

    def refresh(self, instance_id: str) -> None:
        """Look whether the store has inbox rows that the copy does not know."""
        host = self._host
        if host.stopping or not host.holds(instance_id):
            return
        instance = host.resident(instance_id)
        if instance is None and host.loading(instance_id):  # of what it was, maybe
            host.reach(instance_id, self._reread)
        elif instance is None:
            host.wake(instance_id)
        elif instance_id in self._refreshing:
            self._refreshing[instance_id] = True
        else:
            self._refreshing[instance_id] = False
            host.loops.spawn("refresh", self._refresh(instance))

    def _reread(self, instance: Instance | None, _error: BaseException | None) -> None:
        """It was loaded; a load that failed is repeated by whoever wanted it."""
        if instance is not None:
            self.refresh(instance.id)

    async def _refresh(self, instance: Instance) -> None:
        try:
            while not instance.closed:
                if await self._merge(instance) and not self._refreshing[instance.id]:
                    return
                self._refreshing[instance.id] = False
                await asyncio.sleep(_REFRESH)
        finally:
            again = self._refreshing.pop(instance.id)
        if again:  # this copy is closed, there may be another
            self.refresh(instance.id)

    async def _merge(self, instance: Instance) -> bool:
        """Take in what is new in the store; False when it has to be tried again."""
        version = instance.version
        if instance.ahead:
            return False
        try:
            loaded = await self._host.store.load(instance.id)
        except TenureError:
            return False
        # Only a snapshot of just the copy's own state may be merged: in an older one there are
        # rows that the copy has consumed since.
        if (instance.ahead, instance.version) != (0, version):
            return False
        if loaded is None or loaded.version != version:
            # Nothing of ours is under way: somebody purged it or used its id again.
            self._host.drop(instance, NotOwnerError(f"'{instance.id}' was changed by others"))
            return True
        instance.seen = max(instance.seen, loaded.at)
        for item in loaded.inbox:
            if item.key not in instance.keys:
                instance.receive(item, durable=True)
        return True
