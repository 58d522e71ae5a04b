"""Group commit: many ops share a write.

While one write is under way, ops queue; the next write takes them all.  That is what makes the cost
of a durable write (a thread's wake-up, an fsync, a round trip) fall with the load, and it needs no
tuning: an idle store writes at once.

Order is kept per instance, and one write never holds two ops of one instance (but any number of
deliveries in a row): an instance is either *idle*, *ready* (its oldest op waits in the line) or
*writing* (its later ops wait behind it).

Three things delay a write, all of them bounded:

* ``pace()`` seconds between the beginnings of two writes, while there is company to wait for: it
  is over when nothing has come for ``quiet`` seconds, because then whoever could send more waits
  for this very write;
* an op's own ``linger``: so many seconds it waits for company, or to be withdrawn, unless an urgent op
  takes it along;
* the present turn of the event loop: ops submitted together are written together.

An op can be withdrawn as long as it has not been handed to the store.

An error of ``Store.write`` goes to every op of that write: it is the caller who knows whether an op
may be repeated (``OutcomeUnknownError``: read the commit id).  The exception is an op submitted
with ``hold=True`` when the store says that nothing changed (full, not reachable), or that nobody
knows and it may be repeated (``repeatable``): it keeps its place and is written when the store takes
it, with growing pauses in between.  So work that is done
waits for room instead of being done again.  ``drain`` ends the waiting: held ops are tried once
more, and then fail.

Time comes in as ``now`` and ``call_later``; everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from tenure_common.errors import (
    OutcomeUnknownError,
    StoreFullError,
    StoreUnavailableError,
    TenureError,
)
from tenure_sidecar.engine.events import TaskCompleted, TaskFailed
from tenure_sidecar.store.port import Commit, Conflict, Create, Deliver

if TYPE_CHECKING:
    from tenure_sidecar.engine.events import Event
    from tenure_sidecar.store.port import Op, Result, Store

MAX_OPS = 512
MAX_BYTES = 4 << 20
LINGER = 0.001  # seconds: what company is worth to an op that nobody waits for
QUIET = 0.001  # seconds
_PAUSE_MIN = 0.05  # seconds between tries while the store takes nothing
_PAUSE_MAX = 1.0

_OVERHEAD = 300  # bytes of a head, keys and ids; payloads are counted, the rest is not worth it

_log = structlog.get_logger(__name__)

Done = Callable[["Result | BaseException"], None]


class Handle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Do not call."""


class CallLater(Protocol):
    """``loop.call_later``, or a manual clock in tests."""

    def __call__(self, delay: float, callback: Callable[[], None], /) -> Handle:
        """Call ``callback`` in ``delay`` seconds."""
        ...


class Ticket:
    """One submitted op."""

    __slots__ = (
        "_writer",
        "done",
        "doubtful",
        "hold",
        "instance_id",
        "op",
        "state",
        "until",
        "urgent",
    )

    def __init__(  # noqa: PLR0913 - made in one place
        self,
        writer: GroupWriter,
        op: Op,
        done: Done,
        *,
        instance_id: str,
        urgent: bool,
        hold: bool,
    ) -> None:
        self._writer = writer
        self.op = op
        self.done = done
        self.instance_id = instance_id
        self.urgent = urgent
        self.hold = hold
        self.until = 0.0  # it may linger so long
        self.state = _QUEUED
        self.doubtful = False  # it was sent, and may have happened

    def cancel(self) -> bool:
        """Withdraw the op: True when it has certainly not happened (``done`` is not called), False
        when it is too late."""
        return self._writer.withdraw(self)


_QUEUED, _WRITING, _OVER = range(3)


class GroupWriter:
    """Group commit above any store; see the module docstring.

    Args:
        store: where to write.
        call_later: schedules a call, as ``loop.call_later`` does.
        now: the clock of ``call_later``, seconds.
        pace: seconds to leave between the beginnings of two writes, asked before each.
        max_ops: ops in one write, at most.
        max_bytes: payload bytes in one write; an op that alone is larger goes alone.
        quiet: seconds without an op that end a pace.
        size: bytes of an op, roughly.
    """

    def __init__(  # noqa: PLR0913 - one call site, all by name
        self,
        store: Store,
        *,
        call_later: CallLater,
        now: Callable[[], float],
        pace: Callable[[], float] = lambda: 0.0,
        max_ops: int = MAX_OPS,
        max_bytes: int = MAX_BYTES,
        quiet: float = QUIET,
        size: Callable[[Op], int] | None = None,
    ) -> None:
        self._store = store
        self._call_later = call_later
        self._now = now
        self._pace = pace
        self._max_ops = max_ops
        self._max_bytes = max_bytes
        self._quiet = quiet
        self._size = size or rough_size
        self._ready: deque[Ticket] = deque()  # the oldest op of each instance that is not writing
        self._behind: dict[str, deque[Ticket]] = {}  # its later ops; present while ready or writing
        self._urgent = 0  # urgent ops that are ready
        self._timer: Handle | None = None
        self._timer_at = 0.0
        self._begun = float("-inf")  # when the last write began
        self._last = float("-inf")  # when the last op came
        self._pause_until = float("-inf")  # while the store takes nothing
        self._refusals = 0  # in a row
        self._task: asyncio.Task[None] | None = None
        self._draining = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.depth = 0  # ops queued or being written
        self.writes = 0  # calls of ``Store.write``
        self.written = 0  # ops handed to the store
        self.withdrawn = 0  # ops withdrawn in time
        self.failed = 0  # calls of ``Store.write`` that raised

    def submit(
        self,
        op: Op,
        done: Done,
        *,
        instance_id: str,
        linger: float = 0.0,
        hold: bool = False,
    ) -> Ticket:
        """Queue an op; ``done`` is called once, on the loop, with its result or the write's error.

        Args:
            op: what to write.
            done: must not raise.
            instance_id: the instance that the op is ordered by.
            linger: seconds that the op may wait for company, or to be withdrawn; 0 = it is urgent.
            hold: True lets the op wait for as long as the store takes nothing.
        """
        urgent = not linger
        ticket = Ticket(self, op, done, instance_id=instance_id, urgent=urgent, hold=hold)
        self._last = self._now()
        ticket.until = self._last + linger
        self.depth += 1
        self._empty.clear()
        behind = self._behind.get(instance_id)
        if behind is None:
            self._behind[instance_id] = deque()
            self._line_up(ticket)
            self._arm()
        else:
            behind.append(ticket)
            if urgent and not self._draining:
                self._hurry(instance_id)
        return ticket

    def withdraw(self, ticket: Ticket) -> bool:
        """See ``Ticket.cancel``."""
        if ticket.state != _QUEUED or ticket.doubtful:
            return False
        ticket.state = _OVER
        self.withdrawn += 1
        behind = self._behind[ticket.instance_id]
        try:
            behind.remove(ticket)
        except ValueError:  # it was the oldest: the next one takes its place in the line
            self._ready.remove(ticket)
            self._urgent -= ticket.urgent
            self._promote(ticket.instance_id)
        self._leave(1)
        return True

    async def drain(self) -> None:
        """Wait until every op is written or has failed, without lingering, pacing or holding."""
        self._draining += 1
        try:
            self._arm()
            await self._empty.wait()
        finally:
            self._draining -= 1

    # --- the line -----------------------------------------------------------------------------

    def _line_up(self, ticket: Ticket) -> None:
        self._ready.append(ticket)
        self._urgent += ticket.urgent

    def _promote(self, instance_id: str) -> None:
        """The instance's oldest op is gone: line up the next one."""
        behind = self._behind[instance_id]
        if behind:
            self._line_up(behind.popleft())
        else:
            del self._behind[instance_id]

    def _hurry(self, instance_id: str) -> None:
        """An urgent op waits behind one that lingers: the latter must not hold it up."""
        for ticket in self._ready:
            if ticket.instance_id == instance_id:
                if not ticket.urgent:
                    ticket.urgent = True
                    self._urgent += 1
                    self._arm()
                return

    def _leave(self, count: int) -> None:
        self.depth -= count
        if not self.depth:
            self._empty.set()

    # --- when to write ------------------------------------------------------------------------

    def _arm(self) -> None:
        """Set the timer for the next write, or bring it forward."""
        if self._task is not None or not self._ready:
            return
        now = self._now()
        at = max(now, self._due())
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._call_later(at - now, self._begin)

    def _due(self) -> float:
        """When the next write may begin, as things are."""
        if self._draining:
            return float("-inf")
        paced = min(self._begun + self._pace(), self._last + self._quiet)
        lingering = float("-inf")
        if not self._urgent:
            lingering = min(ticket.until for ticket in self._ready)
        return max(paced, lingering, self._pause_until)

    def _begin(self) -> None:
        self._timer = None
        if self._task is not None or not self._ready:
            return
        if self._due() > self._now():  # something came since
            self._arm()
            return
        batch = self._take()
        self._begun = self._now()
        self.writes += 1
        self.written += len(batch)
        self._task = asyncio.get_running_loop().create_task(self._write(batch), name="store write")

    def _take(self) -> list[Ticket]:
        batch: list[Ticket] = []
        room = self._max_bytes
        while self._ready and len(batch) < self._max_ops:
            ticket = self._ready[0]
            room -= self._size(ticket.op)
            if room < 0 and batch:
                break
            self._ready.popleft()
            self._urgent -= ticket.urgent
            ticket.state = _WRITING
            batch.append(ticket)
            if isinstance(ticket.op, Deliver):
                room = self._take_along(ticket, batch, room)
        return batch

    def _take_along(self, first: Ticket, batch: list[Ticket], room: int) -> int:
        """Take the deliveries that wait right behind ``first``; returns the bytes left."""
        behind = self._behind[first.instance_id]
        while behind and isinstance(behind[0].op, Deliver) and len(batch) < self._max_ops:
            size = self._size(behind[0].op)
            if size > room:
                break
            room -= size
            ticket = behind.popleft()
            ticket.state = _WRITING
            batch.append(ticket)
        return room

    async def _write(self, batch: list[Ticket]) -> None:
        outcomes: Sequence[Result | BaseException]
        held: set[str] = set()
        try:
            outcomes = await self._store.write([ticket.op for ticket in batch])
            self._refusals = 0
        except (StoreFullError, StoreUnavailableError, OutcomeUnknownError) as error:
            self.failed += 1
            batch, held = self._hold(batch, error)
            outcomes = [error] * len(batch)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - goes to each op
            self.failed += 1
            if not isinstance(error, TenureError):
                _log.error("store write failed unexpectedly", exc_info=error, ops=len(batch))
            outcomes = [error] * len(batch)
        self._task = None
        for ticket in batch:
            ticket.state = _OVER
        for instance_id in dict.fromkeys(ticket.instance_id for ticket in batch):
            if instance_id not in held:  # else one of its ops is in the line again
                self._promote(instance_id)
        self._arm()
        for ticket, outcome in zip(batch, outcomes, strict=True):
            try:
                ticket.done(_settled(ticket, outcome))
            except Exception:  # noqa: BLE001 - a bug of the caller's
                # The op is written all the same, and the others must hear of theirs.
                _log.exception("callback of a store write failed", instance=ticket.instance_id)
        self._leave(len(batch))

    def _hold(self, batch: list[Ticket], error: TenureError) -> tuple[list[Ticket], set[str]]:
        """Put the ops that can wait back to where they were; the others, and the instances of
        those that wait."""
        if self._draining:
            return batch, set()
        self._refusals += 1
        pause = min(_PAUSE_MIN * 2.0 ** min(self._refusals - 1, 10), _PAUSE_MAX)
        self._pause_until = self._now() + pause
        if self._refusals == 1:
            _log.warning("the store takes no writes, holding them", error=str(error))
        unknown = isinstance(error, OutcomeUnknownError)
        held = [t for t in batch if t.hold and (not unknown or repeatable(t.op))]
        first = {ticket.instance_id: ticket for ticket in reversed(held)}
        for ticket in reversed(held):
            ticket.state = _QUEUED
            ticket.doubtful |= unknown
            if first[ticket.instance_id] is ticket:
                self._ready.appendleft(ticket)
                self._urgent += ticket.urgent
            else:
                self._behind[ticket.instance_id].appendleft(ticket)
        return [ticket for ticket in batch if ticket.state != _QUEUED], set(first)


def repeatable(op: Op) -> bool:
    """Whether the op may be written again when nobody knows whether it was.

    A delivery is then the same row, unless the row was taken meanwhile.  By whoever holds the fence
    it was not: nothing of its instance is written in between.  A result that comes twice finds that
    nothing waits for it any more.
    """
    if not isinstance(op, Deliver):
        return False
    return op.fence is not None or isinstance(op.item.event, TaskCompleted | TaskFailed)


def _settled(ticket: Ticket, outcome: Result | BaseException) -> Result | BaseException:
    """What may be said of an op: one that was refused now may have happened the time before."""
    if ticket.doubtful and isinstance(outcome, Conflict):
        message = (
            f"a message to '{ticket.instance_id}' may be in the store, and its owner is another"
        )
        return OutcomeUnknownError(message)
    return outcome


def rough_size(op: Op) -> int:
    """Bytes that an op adds to a write, roughly: its payloads and a flat rate for the rest."""
    if isinstance(op, Commit):
        turn = op.turn
        total = _OVERHEAD + sum(map(_event_size, turn.append))
        for creation in turn.creations:
            total += _OVERHEAD + _event_size(creation.start)
        for message in turn.messages:
            total += _event_size(message.item.event)
        for item in turn.carryover:
            total += _event_size(item.event)
        return total
    if isinstance(op, Deliver):
        return _event_size(op.item.event)
    if isinstance(op, Create):
        return _OVERHEAD + _event_size(op.creation.start)
    return _OVERHEAD


def _event_size(event: Event) -> int:
    payload = getattr(event, "input", None) or getattr(event, "result", None)
    return 100 + (len(payload) if isinstance(payload, str) else 0)
