"""The dispatcher: which work goes to which worker, and what becomes of it.

Turns wait in one line (an instance has at most one), activities in a queue that is fair to
instances.  Whenever a slot may be free, ``_pump`` hands out work: a turn to the stream that ran the
instance's last one, else to the least loaded stream with room; turns before activities, because a
turn makes work and an activity uses it up.  A batch is computed when it is sent, not when it is
queued, so that completions that arrive meanwhile share one turn.

An item at a worker is known by its completion token.  An answer with an unknown token is late or
foreign: it is acknowledged and ignored.  When the stream ends, the item's lease runs out or the
answer could not be stored, the item goes back to the queue under a new token.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import TenureError
from tenure_sidecar.actors.instance import Ack, Instance, backoff
from tenure_sidecar.dispatch.fair import FairQueue
from tenure_sidecar.dispatch.items import Sent, Task
from tenure_sidecar.engine.events import TaskCompleted, TaskFailed
from tenure_sidecar.engine.turn import InboxItem
from tenure_sidecar.rpc.transport import Sent as Outcome

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.dispatch.stream import WorkerStream
    from tenure_sidecar.engine.actions import Response
    from tenure_sidecar.engine.events import TaskScheduled
    from tenure_sidecar.wire.codec import ActivityResult, TurnResult

_FOREVER = float("inf")
_SWEEP = 1.0  # seconds between looks at leases and idle streams
_PING_AFTER = 30.0  # seconds without an item; some SDKs reconnect after 120
_STALL = 30.0  # seconds a worker may leave a full stream unread
_ENVELOPE = 64  # bytes that a work item may add to its request

_log = structlog.get_logger(__name__)


class Leases:
    """How long an item may stay unanswered at a live stream, seconds; infinite = no limit."""

    def __init__(self, *, turn: float = 120.0, activity: float = _FOREVER) -> None:
        self.turn = turn
        self.activity = activity


class Dispatcher:
    """See the module docstring.  Runs on the event loop; nothing in it blocks."""

    def __init__(
        self,
        *,
        clock: Clock,
        nonce: str,
        leases: Leases,
        on_workers: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._clock = clock
        self._nonce = nonce
        self._leases = leases
        self._on_workers = on_workers
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, WorkerStream] = {}
        self._turns: deque[Instance] = deque()
        self._tasks: FairQueue[Instance, Task] = FairQueue()
        self._unclaimed_turns: list[Instance] = []  # no connected worker takes them
        self._unclaimed_tasks: list[Task] = []
        self._sent: dict[str, Sent] = {}
        self._turn_of: dict[str, Sent] = {}  # by instance id
        self._task_of: dict[tuple[str, int], Sent] = {}
        self._behind: dict[tuple[str, int], list[Task]] = {}  # wait for the one in ``_task_of``
        self._issued = 0
        self._next_stream = 0
        self._pumping = False
        self.redelivered = 0
        self.ignored = 0  # answers with an unknown token

    def now(self) -> float:
        """Loop time, seconds."""
        return self._loop.time()

    # --- facts --------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """Connected work streams."""
        return len(self._streams)

    @property
    def in_flight(self) -> int:
        """Items at workers."""
        return len(self._sent)

    @property
    def queued(self) -> tuple[int, int]:
        """Turns and activities that wait for a worker."""
        return (
            len(self._turns) + len(self._unclaimed_turns),
            len(self._tasks) + len(self._unclaimed_tasks),
        )

    def sent(self, token: str) -> Sent | None:
        """The item at a worker that ``token`` answers."""
        return self._sent.get(token)

    def turn_of(self, instance_id: str) -> Sent | None:
        """The turn of the instance that is at a worker."""
        return self._turn_of.get(instance_id)

    def flavours(self) -> set[str]:
        """Flavours of the connected streams."""
        return {stream.codec.flavour for stream in self._streams.values()}

    def only_flavour(self) -> str | None:
        """The flavour of all connected streams, if they agree."""
        flavours = self.flavours()
        return flavours.pop() if len(flavours) == 1 else None

    # --- streams ------------------------------------------------------------------------------

    def next_id(self) -> int:
        """A number for a new stream."""
        self._next_stream += 1
        return self._next_stream

    def connect(self, stream: WorkerStream) -> None:
        """A worker opened its stream."""
        self._streams[stream.id] = stream
        stream.transport.on_cancel(partial(self.disconnect, stream))
        self._on_workers(len(self._streams))
        self._reconsider()
        self._pump()

    def disconnect(self, stream: WorkerStream) -> None:
        """The stream ended: what its worker had goes elsewhere."""
        stream.closed = True
        if self._streams.pop(stream.id, None) is None:
            return
        self._on_workers(len(self._streams))
        lost = [sent for sent in self._sent.values() if sent.stream is stream]
        for sent in lost:
            self._lose(sent)
        self._pump()

    def _unblock(self, stream: WorkerStream) -> None:
        stream.blocked = False
        self._pump()

    def _reconsider(self) -> None:
        """A worker came that may take what none of the others did."""
        turns, self._unclaimed_turns = self._unclaimed_turns, []
        self._turns.extend(turns)
        tasks, self._unclaimed_tasks = self._unclaimed_tasks, []
        for task in tasks:
            self._tasks.push(task.instance, (task,))

    # --- Work (called by the actors) ------------------------------------------------------------

    def offer_turn(self, instance: Instance) -> None:
        """See ``actors.port.Work``."""
        self._turns.append(instance)
        self._pump()

    def offer_tasks(
        self, instance: Instance, tasks: Sequence[TaskScheduled], *, execution_id: str
    ) -> None:
        """See ``actors.port.Work``."""
        self._tasks.push(instance, [Task(instance, task, execution_id) for task in tasks])
        self._pump()

    def withdraw_turn(self, instance: Instance) -> None:
        """See ``actors.port.Work``.  A queued turn is skipped when its place in line comes."""
        sent = self._turn_of.pop(instance.id, None)
        if sent is not None:
            self._release(sent)

    def withdraw(self, instance: Instance) -> None:
        """See ``actors.port.Work``.  Activities at a worker are not interrupted; their answers
        find nothing that waits for them."""
        sent = self._turn_of.get(instance.id)
        if sent is not None and sent.instance is instance:
            self.withdraw_turn(instance)
        self._tasks.remove(instance)

    # --- handing out ----------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._pumping or not self._streams:
            return
        self._pumping = True
        try:
            while self._turns and self._hand_out_turn():
                pass
            while self._tasks and self._room_for_activity() and self._hand_out_task():
                pass
        finally:
            self._pumping = False

    def _room_for_activity(self) -> bool:
        return any(stream.room_for_activity() for stream in self._streams.values())

    def _token(self) -> str:
        self._issued += 1
        return f"{self._nonce}{self._issued:x}"

    def _hand_out_turn(self) -> bool:
        """Send the next turn; False when it has to wait for room."""
        instance = self._turns[0]
        if instance.closed or not instance.offered:
            self._turns.popleft()
            return True
        head = instance.state.head
        stream = self._turn_stream(instance)
        if stream is None:
            if any(s.takes_workflow(head.name, head.version) for s in self._streams.values()):
                # Others behind it may have a worker of their own: let each have a look.
                return self._rotate_turns()
            self._turns.popleft()
            self._unclaimed_turns.append(instance)
            return True
        self._turns.popleft()
        batch = instance.take_batch()
        if batch is not None:
            self._send_turn(stream, instance)
        return True

    def _rotate_turns(self) -> bool:
        """Bring a turn to the front that has a stream with room; False when there is none."""
        if not any(s.filtered for s in self._streams.values()):
            return False
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            instance = self._turns[0]
            if not instance.closed and self._turn_stream(instance) is not None:
                return True
        return False

    def _turn_stream(self, instance: Instance) -> WorkerStream | None:
        sticky = instance.sticky
        head = instance.state.head
        best: WorkerStream | None = None
        for stream in self._streams.values():
            if not stream.room_for_turn():
                continue
            if stream.filtered and not stream.takes_workflow(head.name, head.version):
                continue
            if stream is sticky:
                return stream
            if best is None or stream.load < best.load:
                best = stream
        return best

    def _send_turn(self, stream: WorkerStream, instance: Instance) -> None:
        batch = instance.batch
        if batch is None:
            return
        codec = stream.codec
        head = instance.state.head
        past = instance.encoded(codec)
        total = len(past)
        cached = stream.cached(instance.id, head.execution_id, total)
        new = [e for e in map(codec.event, batch.events) if e]
        size = sum(map(len, new)) + _ENVELOPE
        stream_history = False
        if cached:
            past = past[cached:]
        size += sum(map(len, past)) + 4 * (len(past) + len(new))
        limit = stream.caps.message_bytes
        if size > limit and stream.hello.history_streaming:
            stream_history = True
        elif size > limit:
            instance.oversize(size=size, limit=limit)
            return
        token = self._token()
        item = codec.turn_item(
            head,
            past=past,
            new=new,
            token=token,
            cached=cached or None,
            stream_history=stream_history,
        )
        outcome = stream.send(item, self._loop.time())
        if outcome is not Outcome.SENT:
            self._not_sent(stream, outcome)
            instance.lost_turn(failed=False)
            return
        stream.remember(instance.id, head.execution_id, total)
        instance.sticky = stream
        sent = Sent(
            token,
            stream=stream,
            instance=instance,
            task=None,
            deadline=self._loop.time() + self._leases.turn,
        )
        stream.turns += 1
        self._sent[token] = sent
        self._turn_of[instance.id] = sent

    def _hand_out_task(self) -> bool:  # noqa: PLR0911 - each way out is told apart
        """Send the next activity; False when it has to wait for room."""
        instance, task = self._tasks.pop()
        if not task.runs:
            return True
        scheduled = task.scheduled
        best: WorkerStream | None = None
        claimed = False
        for stream in self._streams.values():
            if stream.filtered and not stream.takes_activity(scheduled.name, scheduled.version):
                continue
            claimed = True
            if stream.room_for_activity() and (best is None or stream.activities < best.activities):
                best = stream
        if best is None:
            if claimed:
                self._tasks.push_front(instance, task)
                return False
            self._unclaimed_tasks.append(task)
            return True
        key = (instance.id, scheduled.task_id)
        if not best.echoes_tokens and key in self._task_of:
            # An earlier generation's activity of that number is still out, and the worker's answer
            # could not be told from this one's.
            self._behind.setdefault(key, []).append(task)
            return True
        token = self._token()
        item = best.codec.activity_item(instance.state.head, scheduled, token=token)
        if len(item) > best.caps.message_bytes:
            self._too_large(task, len(item), best.caps.message_bytes)
            return True
        outcome = best.send(item, self._loop.time())
        if outcome is not Outcome.SENT:
            self._not_sent(best, outcome)
            self._tasks.push_front(instance, task)
            return True
        best.activities += 1
        sent = Sent(
            token,
            stream=best,
            instance=instance,
            task=task,
            deadline=self._loop.time() + self._leases.activity,
        )
        self._sent[token] = sent
        self._task_of[key] = sent
        return True

    def _too_large(self, task: Task, size: int, limit: int) -> None:
        """The activity fits no message: stall its workflow, with the figures."""
        instance = task.instance
        self._unclaimed_tasks.append(task)
        instance.oversize(size=size, limit=limit)

    def _not_sent(self, stream: WorkerStream, outcome: Outcome) -> None:
        if outcome is Outcome.FULL:
            stream.transport.on_ready(partial(self._unblock, stream))
        else:
            self._loop.call_soon(self.disconnect, stream)

    # --- answers --------------------------------------------------------------------------------

    def _release(self, sent: Sent) -> None:
        """The item is no longer at its worker: free the slot."""
        if self._sent.pop(sent.token, None) is None:
            return
        if sent.task is None:
            sent.stream.turns -= 1
            if self._turn_of.get(sent.instance.id) is sent:
                del self._turn_of[sent.instance.id]
        else:
            sent.stream.activities -= 1
            key = (sent.instance.id, sent.task.scheduled.task_id)
            if self._task_of.get(key) is sent:
                del self._task_of[key]
                for task in self._behind.pop(key, ()):
                    self._tasks.push(task.instance, (task,))

    def answer_turn(self, result: TurnResult, response: Response, ack: Ack) -> None:
        """A worker answered a turn; ``response`` holds the actions of all chunks."""
        sent = self._sent.get(result.token) if result.token else None
        if sent is None and not result.token:
            sent = self._turn_of.get(result.instance_id)
        if sent is None or sent.task is not None:
            self.ignored += 1
            ack(None)
            return
        instance = sent.instance
        self._release(sent)
        if result.requires_history:
            sent.stream.forget(instance.id)
            instance.lost_turn(failed=False)
            ack(None)
        else:
            self._apply(instance, response, sent, ack)
        self._pump()

    def _apply(self, instance: Instance, response: Response, sent: Sent, ack: Ack) -> None:
        try:
            instance.answer(response, ack)
        except TenureError as error:
            _log.warning(
                "turn answer refused, running the turn again",
                instance=instance.id,
                reason=str(error),
            )
            self.redelivered += 1
            sent.stream.forget(instance.id)
            instance.lost_turn(failed=True)
            ack(None)

    def answer_activity(self, result: ActivityResult, ack: Ack) -> None:
        """A worker finished an activity."""
        if result.token:
            sent = self._sent.get(result.token)
            if sent is not None:
                sent.stream.echoes_tokens = True
        else:
            sent = self._task_of.get((result.instance_id, result.task_id))
        if sent is None or sent.task is None:
            self.ignored += 1
            ack(None)
            return
        task = sent.task
        self._release(sent)
        scheduled = task.scheduled
        if not task.wanted:
            ack(None)
            self._pump()
            return
        event: TaskCompleted | TaskFailed
        if result.failure is None:
            event = TaskCompleted(
                at=self._clock(),
                task_id=scheduled.task_id,
                result=result.result,
                task_execution_id=scheduled.task_execution_id,
            )
        else:
            event = TaskFailed(
                at=self._clock(),
                task_id=scheduled.task_id,
                failure=result.failure,
                task_execution_id=scheduled.task_execution_id,
            )
        item = InboxItem(f"task-{scheduled.task_id}", event, task.execution_id)
        task.instance.receive(item, ack=ack)
        self._pump()

    def abandon(self, token: str) -> None:
        """The worker gives an item back."""
        sent = self._sent.get(token)
        if sent is not None:
            self._lose(sent)
            self._pump()

    # --- losing and finding again ---------------------------------------------------------------

    def _lose(self, sent: Sent) -> None:
        self._release(sent)
        self.redelivered += 1
        task = sent.task
        if task is None:
            sent.instance.lost_turn(failed=True)
            return
        task.failures += 1
        wait = backoff(task.failures)
        if wait:
            self._loop.call_later(wait, self._requeue, task)
        else:
            self._tasks.push(task.instance, (task,))

    def _requeue(self, task: Task) -> None:
        if task.wanted:
            self._tasks.push(task.instance, (task,))
            self._pump()

    def sweep(self, now: float) -> None:
        """Take back what was not answered in time, and show idle workers that we live."""
        for sent in self._expired(now):
            _log.warning(
                "work item not answered in time, sending it again",
                instance=sent.instance.id,
                task=None if sent.task is None else sent.task.scheduled.name,
                worker=sent.stream.peer,
            )
            self._lose(sent)
        for stream in tuple(self._streams.values()):
            if stream.blocked and now - stream.blocked_since >= _STALL:
                _log.warning("worker does not read its stream, closing it", worker=stream.peer)
                stream.transport.fail("UNAVAILABLE", "TN0500: the work stream was not read in time")
                self.disconnect(stream)
                continue
            if stream.health_ping and now - stream.last_sent >= _PING_AFTER and not stream.blocked:
                outcome = stream.send(stream.codec.health_ping(), now)
                if outcome is not Outcome.SENT:
                    self._not_sent(stream, outcome)
        self._pump()

    def _expired(self, now: float) -> Iterable[Sent]:
        return [sent for sent in self._sent.values() if sent.deadline <= now]

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP)
            self.sweep(self._loop.time())

    def close(self) -> None:
        """End every stream; workers see a clean end and reconnect to whoever serves next."""
        for stream in tuple(self._streams.values()):
            stream.closed = True
            stream.transport.end()
        self._streams.clear()
