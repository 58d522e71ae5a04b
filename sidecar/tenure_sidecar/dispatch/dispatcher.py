"""The dispatcher: which work goes to which worker, and what becomes of it.

Work waits in lanes (``lanes.py``): turns in one line (an instance has at most one), activities in a
queue that is fair to instances.  Whenever a slot may be free, ``_pump`` hands out work: a turn to
the stream that ran the instance's last one, else to the stream of the lowest rank with room; turns
before activities, because a turn makes work and an activity uses it up.  A batch is computed when
it is sent, not when it is queued, so that completions that arrive meanwhile share one turn.

An item at a worker is known by its completion token.  An answer with an unknown token is late or
foreign: it is acknowledged and ignored.  When the stream ends, the item's lease runs out or the
answer could not be stored, the item goes back to the queue under a new token.  Old SDKs answer
without tokens; where two answers could not be told apart, the second item waits for the first one.

Nothing that goes wrong with one item, in here or beyond, keeps another one waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import TenureError
from tenure_sidecar.actors.instance import Ack, Instance, backoff
from tenure_sidecar.actors.port import LEFT
from tenure_sidecar.dispatch import encode
from tenure_sidecar.dispatch.items import Sent, Task, refusal_pause
from tenure_sidecar.dispatch.lanes import Lane, Lanes
from tenure_sidecar.dispatch.loans import Loans
from tenure_sidecar.dispatch.results import Results
from tenure_sidecar.rpc.transport import Sent as Outcome

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import ActivityKey, Clock
    from tenure_sidecar.dispatch.stream import Caps, WorkerStream
    from tenure_sidecar.engine.actions import Response
    from tenure_sidecar.engine.events import TaskScheduled
    from tenure_sidecar.engine.plan import Batch
    from tenure_sidecar.engine.settings import Concurrency
    from tenure_sidecar.wire.codec import ActivityResult, Hello, TurnResult

_FOREVER = float("inf")
_SWEEP = 1.0  # seconds between looks at leases and idle streams
_PING_AFTER = 30.0  # seconds without an item; some SDKs reconnect after 120
_STALL = 30.0  # seconds a worker may leave a full stream unread

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
        self._nonce = nonce
        self._leases = leases
        self.on_workers = on_workers
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, WorkerStream] = {}
        self._lanes = Lanes()
        self._sent: dict[str, Sent] = {}
        self._turn_of: dict[str, Sent] = {}  # by instance id
        self._withdrawn: dict[str, Sent] = {}  # the same, nobody waits for it any more
        self._after: dict[str, Instance] = {}  # turns that wait for the one in ``_withdrawn``
        self._task_of: dict[tuple[str, int], Sent] = {}
        self._behind: dict[tuple[str, int], list[Task]] = {}  # wait for the one in ``_task_of``
        self.loans = Loans(
            self._lanes,
            own=self._task_of,
            token=self._token,
            lease=lambda: self._leases.activity,
            not_sent=self._not_sent,
            released=self._unblock_task,
        )
        self.results = Results(clock=clock, offer=self.offer_tasks)
        self.on_pumped: Callable[[], None] = lambda: None  # told when room or demand may differ
        self._issued = 0
        self._next_stream = 0
        self._pumping = False
        self._closed = False
        self.redelivered = 0
        self.ignored = 0  # answers with an unknown token

    def now(self) -> float:
        """Loop time, seconds."""
        return self._loop.time()

    # --- facts --------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """Connected work streams of this process's own app."""
        return sum(not stream.far for stream in self._streams.values())

    @property
    def in_flight(self) -> int:
        """Items at workers."""
        return len(self._sent) + len(self.loans)

    @property
    def lent(self) -> int:
        """Activities at other members' workers."""
        return sum(s.activities for s in self._streams.values() if s.far)

    @property
    def queued(self) -> tuple[int, int]:
        """Turns and activities that wait for a worker."""
        behind = sum(map(len, self._behind.values()))
        return self._lanes.turns + len(self._after), self._lanes.tasks + behind

    def sent(self, token: str) -> Sent | None:
        """The item at a worker that ``token`` answers."""
        return self._sent.get(token)

    def turn_of(self, instance_id: str) -> Sent | None:
        """The turn of the instance that is at a worker."""
        return self._turn_of.get(instance_id)

    def flavours(self) -> set[str]:
        """Flavours of the connected streams of the app."""
        return {s.codec.flavour for s in self._streams.values() if not s.far}

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
        if self._closed:
            stream.closed = True
            stream.transport.end()
            return
        self._streams[stream.id] = stream
        self._lanes.connect(stream)
        stream.transport.on_cancel(partial(self.disconnect, stream))
        if not stream.far:
            self.on_workers(self.workers)
        self._pump()

    def disconnect(self, stream: WorkerStream) -> None:
        """The stream ended: what its worker had goes elsewhere."""
        stream.closed = True
        if self._streams.pop(stream.id, None) is None:
            return
        self._lanes.disconnect(stream)
        if not stream.far:
            self.on_workers(self.workers)
            self.loans.lose(stream)
        for sent in [sent for sent in self._sent.values() if sent.stream is stream]:
            self._lose(sent)
        self._pump()

    def change(self, stream: WorkerStream, *, hello: Hello, caps: Caps) -> None:
        """What the stream takes is another now."""
        self._lanes.change(stream, hello=hello, caps=caps)
        self._pump()

    def limit(self, most: Concurrency) -> None:
        """The workers together may have so much from now on; what they have is left to them."""
        self._lanes.most = most
        self._pump()

    def _unblock(self, stream: WorkerStream) -> None:
        stream.blocked = False
        self._pump()

    # --- Work (called by the actors) ------------------------------------------------------------

    def offer_turn(self, instance: Instance) -> None:
        """See ``actors.port.Work``."""
        self._lanes.push_turn(instance)
        self._pump()

    def offer_tasks(
        self, instance: Instance, tasks: Sequence[TaskScheduled], *, execution_id: str
    ) -> None:
        """See ``actors.port.Work``.  One that is at a worker already, sent for a copy of the
        instance that was dropped since, is not sent again; nor is one whose result is kept."""
        for scheduled in tasks:
            sent = self._task_of.get((instance.id, scheduled.task_id))
            runs = sent is not None and sent.runs_for(instance, scheduled, execution_id)
            if not runs and not self.results.holds(instance, scheduled, execution_id):
                self._lanes.push_task(instance, Task(instance, scheduled, execution_id))
        self._pump()

    def unqueue(self, instance: Instance) -> None:
        """See ``actors.port.Work``."""
        self._unqueue_turn(instance)
        self._lanes.withdraw_tasks(instance)

    def _unqueue_turn(self, instance: Instance) -> None:
        self._lanes.withdraw_turn(instance)
        if self._after.get(instance.id) is instance:
            del self._after[instance.id]

    def turn_out(self, instance: Instance) -> bool:
        """See ``actors.port.Work``."""
        return instance.id in self._turn_of

    def leave(self, instance: Instance, ended: Callable[[ActivityKey], None]) -> list[ActivityKey]:
        """See ``actors.port.Work``."""
        found: list[ActivityKey] = []
        for task_id in instance.state.tasks:
            sent = self._task_of.get((instance.id, task_id))
            key = None if sent is None else sent.leave(ended)
            if (key := key or self.results.leave(instance, task_id, ended)) is not None:
                found.append(key)
        return found

    def withdraw_turn(self, instance: Instance) -> None:
        """See ``actors.port.Work``."""
        self._unqueue_turn(instance)
        sent = self._turn_of.get(instance.id)
        if sent is not None and sent.instance is instance:
            del self._turn_of[instance.id]
            sent.withdrawn = True
            self._withdrawn[instance.id] = sent

    def withdraw(self, instance: Instance) -> None:
        """See ``actors.port.Work``.  Activities at a worker are not interrupted; their answers
        find nothing that waits for them, or another copy of the instance."""
        self.withdraw_turn(instance)
        self._lanes.withdraw_tasks(instance)

    # --- handing out ----------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._pumping:
            return
        if self._streams:
            self._pumping = True
            try:
                self._serve(self._hand_out_turn)
                self._serve(self._hand_out_task)
            finally:
                self._pumping = False
        self.on_pumped()

    def _serve(self, hand_out: Callable[[Lane], bool]) -> None:
        """Round-robin over the lanes, one item of each, until none can go on."""
        idle = 0
        while idle < len(self._lanes.ring):
            lane = self._lanes.ring[0]
            self._lanes.ring.rotate(-1)
            idle = 0 if hand_out(lane) else idle + 1

    def _token(self) -> str:
        self._issued += 1
        return f"{self._nonce}{self._issued:x}"

    def _hand_out_turn(self, lane: Lane) -> bool:
        """Send the lane's next turn; False when there is none, or it has to wait for room."""
        if not lane.turns or not self._lanes.room_for_turn:
            return False
        instance = next(iter(lane.turns))
        stream = lane.turn_stream(instance.sticky)
        if stream is None:
            return False
        del lane.turns[instance]
        least = self._lanes.taken(instance)
        if instance.closed or not instance.offered:
            return True
        former = self._withdrawn.get(instance.id)
        if former is not None and not former.stream.echoes_tokens:
            # The answer to that one could not be told from the answer to this one.
            self._after[instance.id] = instance
            return True
        batch = instance.take_batch()
        if batch is not None:
            try:
                self._send_turn(stream, instance, batch, least)
            except Exception:  # noqa: BLE001 - a bug of ours must not hold up other instances
                _log.exception("cannot send a turn, trying again later", instance=instance.id)
                instance.lost_turn(failed=True)
        return True

    def _send_turn(
        self, stream: WorkerStream, instance: Instance, batch: Batch, least: int
    ) -> None:
        token = self._token()
        encoded = encode.turn(stream, instance, batch, token)
        if encoded.item is None:
            self._turn_too_large(instance, max(least, encoded.size, stream.caps.message_bytes + 1))
            return
        now = self._loop.time()
        outcome = stream.send(encoded.item, now)
        if outcome is not Outcome.SENT:
            self._not_sent(stream, outcome)
            instance.lost_turn(failed=False)
            return
        stream.remember(instance.id, instance.state.head.execution_id, encoded.past)
        instance.sticky = stream
        sent = Sent(
            token,
            stream=stream,
            instance=instance,
            task=None,
            deadline=now + self._leases.turn,
            whole=encoded.whole,
        )
        stream.turns += 1
        self._sent[token] = sent
        self._turn_of[instance.id] = sent

    def _turn_too_large(self, instance: Instance, size: int) -> None:
        """The turn waits for a worker that takes it; if there is none, its workflow says so."""
        instance.put_back()
        if self._lanes.push_turn(instance, size).streams:
            return
        instance.stall(size=size, limit=self._lanes.of_turn(instance.state.head).limit)

    def _hand_out_task(self, lane: Lane) -> bool:
        """Send the lane's next activity; False when there is none, or it has to wait for room."""
        if not lane.tasks:
            return False
        stream = lane.task_stream(near=self._lanes.slots(1) > 0)
        if stream is None:
            return False
        instance, task = lane.tasks.pop()
        if not task.runs:
            return True
        try:
            self._send_task(lane, stream, instance, task)
        except Exception:  # noqa: BLE001 - a bug of ours must not hold up other instances
            _log.exception(
                "cannot send an activity, trying again later",
                instance=instance.id,
                activity=task.scheduled.name,
            )
            task.failures += 1
            self._loop.call_later(max(backoff(task.failures), _SWEEP), self._requeue, task)
        return True

    def _send_task(self, lane: Lane, stream: WorkerStream, instance: Instance, task: Task) -> None:
        scheduled = task.scheduled
        key = (instance.id, scheduled.task_id)
        if self.loans.alike(key, stream):
            self._behind.setdefault(key, []).append(task)
            return
        token = self._token()
        item = stream.codec.activity_item(instance.state.head, scheduled, token=token)
        if len(item) > stream.caps.message_bytes:
            self._task_too_large(instance, task, len(item))
            return
        now = self._loop.time()
        outcome = stream.send(item, now)
        if outcome is not Outcome.SENT:
            self._not_sent(stream, outcome)
            lane.tasks.push_front(instance, task)
            return
        if task.least:
            instance.unfit.pop(scheduled.task_id, None)
        stream.activities += 1
        sent = Sent(
            token,
            stream=stream,
            instance=instance,
            task=task,
            deadline=now + self._leases.activity,
        )
        self._sent[token] = sent
        self._task_of[key] = sent

    def _task_too_large(self, instance: Instance, task: Task, size: int) -> None:
        """The same as ``_turn_too_large`` for an activity; the workflow goes on while it can."""
        task.least = max(task.least, size)
        if self._lanes.push_task(instance, task).streams or task.execution_id == LEFT:
            return
        limit = self._lanes.of_task(task.scheduled).limit
        instance.unfit[task.scheduled.task_id] = (size, limit)
        instance.kick()

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
            instance_id = sent.instance.id
            if self._turn_of.get(instance_id) is sent:
                del self._turn_of[instance_id]
            elif self._withdrawn.get(instance_id) is sent:
                del self._withdrawn[instance_id]
                waiting = self._after.pop(instance_id, None)
                if waiting is not None:
                    self._lanes.push_turn(waiting)
        else:
            sent.stream.activities -= 1
            key = (sent.instance.id, sent.task.scheduled.task_id)
            if self._task_of.get(key) is sent:
                del self._task_of[key]
                self._unblock_task(key)

    def _unblock_task(self, key: tuple[str, int]) -> None:
        for task in self._behind.pop(key, ()):
            self._lanes.push_task(task.instance, task)

    def answer_turn(self, result: TurnResult, response: Response, ack: Ack) -> None:
        """A worker answered a turn; ``response`` holds the actions of all chunks."""
        if result.token:
            sent = self._sent.get(result.token)
        else:
            instance_id = result.instance_id
            sent = self._withdrawn.get(instance_id) or self._turn_of.get(instance_id)
        if sent is None or sent.task is not None:
            self.ignored += 1
            ack(None)
            return
        instance, stream = sent.instance, sent.stream
        if result.token:
            stream.echoes_tokens = True
        stream.answered()
        self._release(sent)
        if sent.withdrawn:
            self.ignored += 1
            ack(None)
        elif result.requires_history:
            stream.forget(instance.id)
            # One that had all of it and asks again would go round as fast as it can ask.
            instance.lost_turn(failed=sent.whole)
            ack(None)
        else:
            self._apply(instance, response, stream, ack)
        self._pump()

    def _apply(
        self, instance: Instance, response: Response, stream: WorkerStream, ack: Ack
    ) -> None:
        refused: BaseException | None = None
        try:
            instance.answer(response, ack)
        except TenureError as error:
            _log.warning(
                "turn answer refused, running the turn again",
                instance=instance.id,
                reason=str(error),
            )
        except Exception as error:  # noqa: BLE001 - the turn must run again, whatever it was
            _log.exception("turn answer not applied, running the turn again", instance=instance.id)
            refused = error
        else:
            return
        self.redelivered += 1
        stream.forget(instance.id)
        instance.lost_turn(failed=True)
        ack(refused)

    def answer_activity(self, result: ActivityResult, ack: Ack) -> None:
        """A worker finished an activity."""
        if result.token:
            sent = self._sent.get(result.token)
        else:
            sent = self._task_of.get((result.instance_id, result.task_id))
        if sent is None and (loan := self.loans.find(result)) is not None:
            self.loans.answer(loan, result, ack)
            self._pump()
            return
        if sent is None or sent.task is None:
            self.ignored += 1
            ack(None)
            return
        task = sent.task
        if result.token:
            sent.stream.echoes_tokens = True
        sent.stream.answered()
        self._release(sent)
        self.results.settle(task, result, ack)
        self._pump()

    def abandon(self, token: str) -> None:
        """The worker gives an item back."""
        sent = self._sent.get(token)
        if sent is not None:
            self._lose(sent)
            self._pump()
        elif self.loans.abandon(token):
            self._pump()

    def refused(self, token: str, *, size: int = 0) -> None:
        """Another member gives an activity back that it did not begin: it had no slot any more, or
        no worker of its takes a message of ``size`` bytes."""
        sent = self._sent.get(token)
        if sent is None or (task := sent.task) is None:
            return
        self._release(sent)
        task.tell_ended()
        if size:
            self._task_too_large(task.instance, task, max(size, sent.stream.caps.message_bytes + 1))
        else:
            task.refusals += 1
            self._loop.call_later(refusal_pause(task.refusals), self._requeue, task)
        self._pump()

    # --- losing and finding again ---------------------------------------------------------------

    def _lose(self, sent: Sent) -> None:
        self._release(sent)
        if sent.withdrawn:
            return
        self.redelivered += 1
        task = sent.task
        if task is None:
            sent.instance.lost_turn(failed=True)
            return
        task.tell_ended()
        task.failures += 1
        wait = backoff(task.failures)
        if wait:
            self._loop.call_later(wait, self._requeue, task)
        else:
            self._lanes.push_task(task.instance, task)

    def _requeue(self, task: Task) -> None:
        if task.runs:
            self._lanes.push_task(task.instance, task)
            self._pump()

    def sweep(self, now: float) -> None:
        """Take back what was not answered in time, and show idle workers that we live."""
        for sent in [sent for sent in self._sent.values() if sent.deadline <= now]:
            _log.warning(
                "work item not answered in time, sending it again",
                instance=sent.instance.id,
                task=None if sent.task is None else sent.task.scheduled.name,
                worker=sent.stream.peer,
            )
            sent.stream.late = True
            self._lose(sent)
        self.loans.expire(now)
        for stream in tuple(self._streams.values()):
            try:
                self._look_at(stream, now)
            except Exception:  # noqa: BLE001 - the others must be looked at too
                _log.exception("worker stream failed, closing it", worker=stream.peer)
                self.disconnect(stream)
        self._pump()

    def _look_at(self, stream: WorkerStream, now: float) -> None:
        if stream.blocked:
            if now - stream.blocked_since >= _STALL:
                _log.warning("worker does not read its stream, closing it", worker=stream.peer)
                stream.transport.fail("UNAVAILABLE", "TN0500: the work stream was not read in time")
                self.disconnect(stream)
        elif stream.health_ping and now - stream.last_sent >= _PING_AFTER:
            outcome = stream.send(stream.codec.health_ping(), now)
            if outcome is not Outcome.SENT:
                self._not_sent(stream, outcome)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP)
            self.sweep(self._loop.time())

    def close(self) -> None:
        """End every stream; workers see a clean end and reconnect to whoever serves next.  What
        they have may still be answered."""
        self._closed = True
        for stream in tuple(self._streams.values()):
            stream.closed = True
            self._lanes.disconnect(stream)
            stream.transport.end()
        self._streams.clear()
