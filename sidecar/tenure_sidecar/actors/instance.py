"""One resident instance: the only place that changes a workflow's state.

Everything that reaches the instance is an inbox entry; everything it does is a turn.  A turn is
either computed by the engine alone (suspend, terminate, ...) or answered by a worker.  The order of
things is the promise:

1. An entry is usable at once (a turn may be sent to a worker that reads it), while its row is on the
   way to the store.  Whoever sent it is acknowledged when the row is durable.
2. A turn's answer is applied to the copy in memory and submitted.  Entries that the turn consumed
   and whose rows were not written yet are withdrawn: the commit covers both, and acknowledges both.
3. When the commit is durable, and not before, its effects leave: activities are dispatched, other
   instances are told, waiters are woken, ``durable`` (what queries see) moves on.

Commits of one instance are written in order.  If one is refused (another owner, another version),
the copy is dropped: nothing in it was promised to anybody.

The instance does no I/O: it calls its ``Host``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tenure_sidecar.actors.port import LEFT
from tenure_sidecar.actors.writes import TURN_SOON
from tenure_sidecar.engine.advance import advance
from tenure_sidecar.engine.events import (
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
)
from tenure_sidecar.engine.plan import Batch, Idle, plan
from tenure_sidecar.engine.retention import settled
from tenure_sidecar.engine.stall import stall_oversize
from tenure_sidecar.engine.turn import InboxItem, Turn
from tenure_sidecar.store.port import Commit

if TYPE_CHECKING:
    from tenure_sidecar.actors.host import Host
    from tenure_sidecar.engine.actions import Response
    from tenure_sidecar.engine.events import TaskScheduled
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.state import State
    from tenure_sidecar.store.group import Done, Ticket
    from tenure_sidecar.store.port import Committed, Fence
    from tenure_sidecar.wire.codec import Codec

Ack = Callable[[BaseException | None], None]

# How many commits of one instance may be under way before its next turn waits for the store: a
# workflow that never waits for anything (a tight continue-as-new loop) must not outrun the disk.
_MAX_COMMITS_AHEAD = 4

# The first two redeliveries of a turn or activity are immediate; then it backs off, so that code
# that kills its worker does not do so in a tight loop (seconds).
_FREE_RETRIES = 2
_BACKOFF_BASE = 0.1
_BACKOFF_MAX = 30.0

# Pauses between the turns of a fan-out, see ``Instance._pace`` (seconds; the factor is of the time
# that the last turn took).
_PACE_FLOOR = 0.02
_PACE_FACTOR = 4.0
_PACE_MAX = 2.0
_PACE_CROWD = 32  # open activities from which every turn is paced, short ones and the first too

_RESULT = (TaskCompleted, TaskFailed)
_CONTROL = (ExecutionStarted, ExecutionSuspended, ExecutionResumed, ExecutionTerminated)


def backoff(failures: int) -> float:
    """Seconds to wait before redelivery number ``failures`` (1 = the first)."""
    if failures <= _FREE_RETRIES:
        return 0.0
    return min(_BACKOFF_BASE * 2.0 ** (failures - _FREE_RETRIES - 1), _BACKOFF_MAX)


class Entry:
    """An inbox item in memory, with the row that is on its way to the store (if any)."""

    __slots__ = ("acks", "consumed", "durable", "folded", "item", "ticket")

    def __init__(self, item: InboxItem, *, durable: bool) -> None:
        self.item = item
        self.ticket: Ticket | None = None  # its row is queued or being written
        self.durable = durable  # its row, or what caused it, is in the store
        self.folded = False  # its row was withdrawn: the commit that consumed it covers it
        self.acks: list[Ack] = []  # told when the item is durable, or covered by a durable turn
        self.consumed: list[Ack] = []  # told when a turn that consumed it is durable

    def tell(self, error: BaseException | None) -> None:
        """The commit that consumed the entry is durable, or failed."""
        callbacks = self.consumed
        if self.folded:
            callbacks = self.acks + callbacks
            self.acks = []
        self.consumed = []
        tell(callbacks, error)


def tell(callbacks: Sequence[Ack], error: BaseException | None) -> None:
    """Call all of them."""
    for callback in callbacks:
        callback(error)


class Instance:
    """The owner's copy of one instance; see the module docstring."""

    __slots__ = (
        "_wire",
        "ahead",
        "batch",
        "closed",
        "commits",
        "control",
        "durable",
        "failures",
        "fence",
        "host",
        "id",
        "inbox",
        "input",
        "keys",
        "late",
        "offered",
        "pace_until",
        "pause_until",
        "paused",
        "redo",
        "room",
        "seen",
        "state",
        "sticky",
        "turn_sent",
        "turn_took",
        "unfit",
        "version",
        "writes",
    )

    def __init__(  # noqa: PLR0913 - one call site; each is a part of what was loaded
        self,
        host: Host,
        state: State,
        *,
        version: int,
        fence: Fence,
        inbox: tuple[InboxItem, ...],
        input: str | None,  # noqa: A002 - the protocol's word
        seen: int,
    ) -> None:
        self.host = host
        self.id = state.head.instance_id
        self.state = state
        self.durable: Head = state.head
        self.version = version
        self.fence = fence
        self.input = input
        self.seen = seen  # place in the store's order up to which foreign messages are known
        self.inbox: list[Entry] = []
        self.keys: dict[str, Entry] = {}
        self.batch: Batch | None = None  # at a worker
        self.redo: Batch | None = None  # was lost at a worker, and is sent again as it was
        self.unfit: dict[int, tuple[int, int]] = {}  # activities no worker takes: size and limit
        self.offered = False  # waiting for a worker
        self.control = False  # the inbox holds something the engine decides alone
        self.writes = 0  # commits and deliveries under way
        self.ahead = 0  # commits under way
        self.room = _MAX_COMMITS_AHEAD  # for those; 0 = no turn is taken any more
        self.late: list[Ack] = []  # of items that came after an end that is not durable yet
        self.commits: deque[tuple[Ticket, Done]] = deque()  # the same, in order, to take them back
        self.failures = 0  # redeliveries of the present turn
        self.closed = False
        self.sticky: object | None = None  # the stream that ran the last turn
        self.pause_until = 0.0  # loop time before which no turn is offered
        self.pace_until = 0.0  # the same, unless there is nothing left to wait for
        self.paused = False  # offered, but only when the pause is over
        self.turn_sent = 0.0
        self.turn_took = 0.0
        self._wire: dict[str, list[bytes]] = {}
        for item in inbox:
            self._append(Entry(item, durable=True))

    # --- inbox --------------------------------------------------------------------------------

    def receive(
        self,
        item: InboxItem,
        *,
        ack: Ack | None = None,
        consumed: Ack | None = None,
        durable: bool = False,
        volatile: bool = False,
    ) -> None:
        """Take an item in.

        Args:
            item: the item; a key that is known already is a repeat and only adds the callbacks.
            ack: called with None when the item is durable, with an error when it will not be.
            consumed: called with None when a turn that consumed the item is durable.
            durable: the row is in the store already (another instance's commit put it there).
            volatile: no row is needed, because what caused the item is durable (a timer).
        """
        entry = self.keys.get(item.key)
        if entry is None:
            if self.state.head.status.terminal and not isinstance(item.event, ExecutionRewound):
                # Too late, and nothing is lost: the sender may go on, once the end is durable.
                callbacks = [one for one in (ack, consumed) if one is not None]
                if self.durable.status.terminal:
                    tell(callbacks, None)
                else:
                    self.late += callbacks
                return
            entry = Entry(item, durable=durable or volatile)
            self._append(entry)
            if not entry.durable:
                self.writes += 1
                entry.ticket = self.host.writes.deliver(
                    self, entry, turn_soon=self._turn_soon(item)
                )
        if consumed is not None:
            entry.consumed.append(consumed)
        if ack is not None:
            if entry.durable:
                ack(None)
            else:
                entry.acks.append(ack)
        self.kick()

    def _turn_soon(self, item: InboxItem) -> bool:
        """Whether a turn that consumes ``item`` is likely to be answered at once: it is the last
        result that the workflow waits for, and the last turn was short.  Where the app is busy turns
        take long, and its threads must not wait for them besides.
        """
        last = isinstance(item.event, _RESULT) and len(self.inbox) >= len(self.state.tasks)
        return last and self.turn_took < TURN_SOON

    def _append(self, entry: Entry) -> None:
        self.inbox.append(entry)
        self.keys[entry.item.key] = entry
        if isinstance(entry.item.event, _CONTROL):
            self.control = True

    def delivered(self, entry: Entry, error: BaseException | None) -> None:
        """The entry's row is durable, or could not be written."""
        self.writes -= 1
        entry.ticket = None
        entry.durable = error is None
        acks, entry.acks = entry.acks, []
        tell(acks, error)
        if error is not None:
            self.host.drop(self, error)
        else:
            self.host.settle(self)

    # --- turns --------------------------------------------------------------------------------

    def kick(self) -> None:
        """Go on if there is something to do: the only entry to turns."""
        if self.ahead >= self.room:
            return
        if not self.inbox:
            if self.unfit:
                self._stall_quiet()
            return
        head = self.state.head
        if self.control and (self.batch is not None or self.offered) and self._must_interrupt():
            self.host.work.withdraw_turn(self)
            self.batch = None
            self.offered = self.paused = False
        if self.batch is not None:
            return
        if self.offered:
            if self.paused and self._wait() <= 0:
                self.resume_offer()
            return
        if self.control or head.suspended or head.status.terminal:
            # The engine decides; a turn that needs a worker comes back as a Batch and is offered.
            self._plan_here()
            return
        self._offer()

    def _must_interrupt(self) -> bool:
        """Whether a control item other than the start waits behind a turn under way."""
        return any(isinstance(entry.item.event, _CONTROL[1:]) for entry in self.inbox)

    def _plan_here(self) -> None:
        while True:
            step = self._plan()
            if isinstance(step, Idle):
                return
            if isinstance(step, Batch):
                self._offer()
                return
            self._commit(step)
            if self.closed:
                return

    def _plan(self) -> Idle | Turn | Batch:
        host = self.host
        step = plan(
            self.state,
            [entry.item for entry in self.inbox],
            now=host.clock(),
            ids=host.ids,
            limits=host.limits,
        )
        if isinstance(step, Idle) and step.until is None:
            self.control = False
        return step

    def _offer(self) -> None:
        if self.offered or self.batch is not None:
            return
        wait = self._wait()
        self.offered = True
        if wait > 0:
            self.paused = True
            self.host.later(wait, self)
        else:
            self.host.work.offer_turn(self)

    def _wait(self) -> float:
        """Seconds until a turn may be offered; see ``_pace``."""
        until = self.pause_until
        if len(self.inbox) < len(self.state.tasks):
            until = max(until, self.pace_until)
        return until - self.host.monotonic()

    def resume_offer(self) -> None:
        """The pause is over."""
        if self.paused and not self.closed:
            self.paused = False
            self.host.work.offer_turn(self)

    def take_batch(self) -> Batch | None:
        """A worker has room: the events of the turn to run, or None when there is none (any more).

        Engine-only turns that come first are committed on the way.
        """
        if self.closed or not self.offered:
            return None
        redo, self.redo = self.redo, None
        while True:
            if redo is not None and redo.base == self.state.head.commit_id:
                step: Idle | Turn | Batch = redo
            else:
                step = self._plan() if self.inbox else Idle(until=None)
            if isinstance(step, Batch):
                self.offered = False
                self.batch = step
                self.turn_sent = self.host.monotonic()
                return step
            if isinstance(step, Idle):
                self.offered = False
                self.host.settle(self)
                return None
            self._commit(step)
            if self.closed:
                return None

    def lost_turn(self, *, failed: bool) -> None:
        """The batch will not be answered: its stream ended or its lease ran out.  ``failed`` counts
        it against the code; a stream that was full or closing before the send does not.

        The turn is sent again as it was, so that a late answer to it is an answer to the next copy
        of it too: what has come in since is for the turn after it.
        """
        self.redo, self.batch = self.batch, None
        if failed:
            self.failures += 1
            self.pause_until = self.host.monotonic() + backoff(self.failures)
        self.kick()

    def answer(self, response: Response, ack: Ack) -> None:
        """A worker answered the batch under way.

        Raises: TenureError when the answer cannot be applied (a turn that was committed already,
            actions that contradict the history); the batch stays as it was.
        """
        batch = self.batch
        if batch is None:
            ack(None)
            return
        host = self.host
        turn = advance(
            self.state,
            batch,
            response,
            now=host.clock(),
            ids=host.ids,
            limits=host.limits,
            app_id=host.app_id,
        )
        self.batch = None
        self.failures = 0
        self.turn_took = host.monotonic() - self.turn_sent
        self._commit(turn, ack)
        if self.inbox or len(self.state.tasks) >= _PACE_CROWD:
            self._pace()
        if self.inbox:
            self.kick()

    def _pace(self) -> None:
        """Leave room between long turns while activities are still coming in.

        A stock SDK replays the whole history in each turn, so a turn per completion makes a
        fan-out quadratic.  So the next turn waits for all that is open, but no longer than a
        multiple of the time that the last turn took: that bounds replay to a share of the time,
        and costs nothing where turns are short and few activities open, nor once the last result
        is in.
        """
        open_tasks = len(self.state.tasks)
        if open_tasks and (self.turn_took > _PACE_FLOOR or open_tasks >= _PACE_CROWD):
            pause = min(self.turn_took * _PACE_FACTOR, _PACE_MAX)
            self.pace_until = self.host.monotonic() + pause

    def put_back(self) -> None:
        """The batch was not sent: the turn waits on, for another worker."""
        self.batch = None
        self.offered = True

    def stall(self, *, size: int, limit: int) -> None:
        """The next work item fits no message to any worker at hand: say so, with the figures."""
        turn = stall_oversize(
            self.state,
            size=size,
            limit=limit,
            now=self.host.clock(),
            ids=self.host.ids,
        )
        if turn is not None:
            self._commit(turn)

    def _stall_quiet(self) -> None:
        """Nothing is left to do but activities that no worker takes."""
        head = self.state.head
        waits = any(task_id not in self.unfit for task_id in self.state.tasks)
        if not waits and not head.suspended and head.stall is None:
            size, limit = next(iter(self.unfit.values()))
            self.stall(size=size, limit=limit)

    # --- commits ------------------------------------------------------------------------------

    def _commit(self, turn: Turn, ack: Ack | None = None) -> None:
        """Apply a turn and put its commit on the way."""
        if turn.head.status.terminal or self.state.head.expires_at:
            turn = settled(turn, before=self.state.head, retention=self.host.retention)
        consumed: list[Entry] = []
        if turn.consumed:
            gone = set(turn.consumed)
            self.inbox = [entry for entry in self.inbox if entry.item.key not in gone]
            self.control = self.control and any(
                isinstance(entry.item.event, _CONTROL) for entry in self.inbox
            )
            consumed = [self.keys[key] for key in turn.consumed if key in self.keys]
            for entry in consumed:
                if entry.ticket is not None and entry.ticket.cancel():
                    self.writes -= 1
                    entry.ticket = None
                    entry.folded = True
        if turn.restart:
            self.input = turn.input
            self._wire.clear()
            self.unfit.clear()
        else:
            for flavour, encoded in self._wire.items():
                codec = self.host.codecs[flavour]
                encoded += [e for e in map(codec.event, turn.append) if e]
        self.state.apply(turn)
        if turn.carryover:
            carried = [Entry(item, durable=True) for item in turn.carryover]
            for entry in carried:
                self.keys[entry.item.key] = entry
            self.inbox[:0] = carried
            self.control = True
        if turn.head.status.terminal:
            self.host.work.withdraw(self)
        commit = Commit(fence=self.fence, version=self.version, turn=turn)
        self.version += 1
        self.writes += 1
        self.ahead += 1
        self.host.writes.commit(self, commit, ack, consumed)

    def committed(
        self, turn: Turn, result: Committed, ack: Ack | None, consumed: Sequence[Entry]
    ) -> None:
        """The commit is durable: let its effects leave."""
        self.writes -= 1
        self.ahead -= 1
        for entry in consumed:
            if self.keys.get(entry.item.key) is entry:
                del self.keys[entry.item.key]
        self.durable = turn.head
        if ack is not None:
            ack(None)
        for entry in consumed:
            entry.tell(None)
        if turn.head.status.terminal and self.late:
            late, self.late = self.late, []
            tell(late, None)
        if turn.activities and self.room:
            # Not the state's execution: later turns may have been applied already.  A generation
            # that ends with the turn waits for none of them: they run, and their results go nowhere.
            ended = turn.restart and not turn.head.pending
            execution_id = LEFT if ended else turn.head.execution_id
            self.host.work.offer_tasks(self, turn.activities, execution_id=execution_id)
        self.host.writes.after_commit(turn, result)
        if not self.closed:
            self.kick()
            self.host.settle(self)

    # --- the end ------------------------------------------------------------------------------

    def halt(self) -> None:
        """Take no more turns and hand nothing more out; what is at workers may still be answered,
        and commits under way end."""
        self.room = 0
        self.offered = self.paused = False
        self.host.work.unqueue(self)

    def close(self) -> None:
        """This copy is over: whatever still comes is not for it."""
        self.closed = True
        self.room = 0

    # --- what dispatch needs ------------------------------------------------------------------

    def encoded(self, codec: Codec) -> list[bytes]:
        """The history as the codec's flavour sends it, one entry per event."""
        cached = self._wire.get(codec.flavour)
        if cached is None:
            cached = [e for e in map(codec.event, self.state.history) if e]
            self._wire[codec.flavour] = cached
        return cached

    def task_pending(self, task_id: int, execution_id: str) -> TaskScheduled | None:
        """The activity if it still waits for a result in that execution."""
        if self.closed or execution_id != self.state.head.execution_id:
            return None
        return self.state.tasks.get(task_id)

    @property
    def idle(self) -> bool:
        """Nothing under way and nothing to do: the copy may be dropped and loaded again later."""
        return not (
            self.inbox
            or self.keys
            or self.writes
            or self.batch is not None
            or self.offered
            or self.state.tasks
        )
