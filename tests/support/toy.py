"""A worker in a few lines: a deterministic workflow interpreter, a codec, and a work stream.

It takes the place of an SDK where the subject is the engine's own behaviour in time (dispatch,
actors, store): the whole path from work item to commit is the real one.  Workflows are generators
that yield what they wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from tenure_sidecar.dispatch.dispatcher import Dispatcher
from tenure_sidecar.dispatch.stream import Caps, WorkerStream
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.head import Head
from tenure_sidecar.rpc.transport import Sent
from tenure_sidecar.wire.codec import ActivityResult, Hello, TurnResult

_encode = msgspec.msgpack.Encoder().encode
decode_event = msgspec.msgpack.Decoder(ev.Event).decode


class TurnItem(msgspec.Struct, array_like=True, tag="turn"):
    """A turn on the toy wire."""

    token: str
    instance_id: str
    execution_id: str
    past: list[bytes]
    new: list[bytes]
    cached: int | None = None  # leading past events that are left out
    streamed: bool = False  # the past is left out


class TaskItem(msgspec.Struct, array_like=True, tag="task"):
    """An activity on the toy wire."""

    token: str
    instance_id: str
    execution_id: str
    task: ev.TaskScheduled


decode_item = msgspec.msgpack.Decoder(TurnItem | TaskItem).decode


class ToyCodec:
    """Implements ``wire.codec.Codec`` with the engine's own records."""

    flavour = "toy"

    def event(self, event: ev.Event) -> bytes:
        return _encode(event)

    def turn_item(
        self,
        head: Head,
        *,
        past: Sequence[bytes],
        new: Sequence[bytes],
        token: str,
        cached: int | None = None,
        stream_history: bool = False,
    ) -> bytes:
        return _encode(
            TurnItem(
                token,
                head.instance_id,
                head.execution_id,
                [] if stream_history else [*past],
                [*new],
                cached,
                stream_history,
            )
        )

    def activity_item(self, head: Head, task: ev.TaskScheduled, *, token: str) -> bytes:
        return _encode(TaskItem(token, head.instance_id, head.execution_id, task))

    def health_ping(self) -> bytes:
        return b""

    def hello(self, request: bytes) -> Hello:
        return Hello()

    def turn_result(self, request: bytes) -> TurnResult:
        raise NotImplementedError

    def activity_result(self, request: bytes) -> ActivityResult:
        raise NotImplementedError

    def activity_trace(self, task: ev.TaskScheduled, span_id: str) -> ev.TraceContext | None:
        return task.trace


# --- workflow code --------------------------------------------------------------------------------


class Call(msgspec.Struct, frozen=True):
    """Yield it to run an activity; comes back as its result, raises ActivityError."""

    name: str
    input: str | None = None


class Sleep(msgspec.Struct, frozen=True):
    """Yield it to sleep ``seconds``."""

    seconds: float


class Event(msgspec.Struct, frozen=True):
    """Yield it to wait for an external event; comes back as its data."""

    name: str


class Child(msgspec.Struct, frozen=True):
    """Yield it to run a child workflow."""

    name: str
    input: str | None = None
    instance_id: str = ""


class Send(msgspec.Struct, frozen=True):
    """Yield it to send an event to another instance; goes on at once."""

    instance_id: str
    name: str
    input: str | None = None


class All(msgspec.Struct, frozen=True):
    """Yield it to wait for all parts; comes back as the list of results."""

    parts: Sequence[Call | Sleep | Child]


class Again(msgspec.Struct, frozen=True):
    """Return it to continue as new."""

    input: str | None
    keep_events: bool = True
    leave: tuple[Call, ...] = ()  # activities that are started and not waited for


class ActivityError(Exception):
    """An activity or child failed."""


Wait = Call | Sleep | Event | Child | Send | All
Workflow = Callable[[str | None], Generator[Wait, Any, Any]]
_NANOS = 1_000_000_000


class _Replay:
    """One pass of a workflow's code over its history."""

    def __init__(self, workflow: Workflow, history: Sequence[ev.Event]) -> None:
        started = next(e for e in history if isinstance(e, ev.ExecutionStarted))
        self._code = workflow(started.input)
        self._now = started.at
        self._next = 0
        self._results: dict[int, Any] = {}
        self._failed: set[int] = set()
        self._events: list[ev.EventRaised] = []
        self._created: dict[int, ev.Event] = {}
        self.actions: list[act.Action] = []
        for event in history:
            if isinstance(event, ev.TaskCompleted | ev.ChildCompleted):
                self._results[event.task_id] = event.result
            elif isinstance(event, ev.TaskFailed | ev.ChildFailed):
                self._results[event.task_id] = event.failure.message
                self._failed.add(event.task_id)
            elif isinstance(event, ev.TimerFired):
                self._results[event.timer_id] = None
            elif isinstance(event, ev.EventRaised):
                self._events.append(event)
            elif isinstance(event, ev.WorkflowStarted):
                self._now = event.at
            elif event.event_id >= 0:
                self._created[event.event_id] = event

    def run(self) -> list[act.Action]:
        """The actions of this turn that the history does not have yet."""
        value: Any = None
        error: Exception | None = None
        try:
            while True:
                wait = self._code.send(value) if error is None else self._code.throw(error)
                value, error = None, None
                parts = wait.parts if isinstance(wait, All) else [wait]
                ids = [self._ask(part) for part in parts]
                if isinstance(wait, Event):
                    found = [e for e in self._events if e.name.lower() == wait.name.lower()]
                    if not found:
                        return self.actions
                    self._events.remove(found[0])
                    value = found[0].input
                    continue
                if isinstance(wait, Send):
                    continue
                if any(i not in self._results for i in ids):
                    return self.actions
                if any(i in self._failed for i in ids):
                    error = ActivityError([self._results[i] for i in ids if i in self._failed])
                    continue
                results = [self._results[i] for i in ids]
                value = results if isinstance(wait, All) else results[0]
        except StopIteration as stop:
            self._finish(stop.value)
        except ActivityError as uncaught:
            failure = ev.Failure("ActivityError", str(uncaught))
            self.actions.append(act.Complete(self._next, status=ev.Status.FAILED, failure=failure))
        return self.actions

    def _finish(self, value: Any) -> None:
        if isinstance(value, Again):
            for part in value.leave:
                self._ask(part)
            self.actions.append(
                act.Complete(
                    self._next,
                    status=ev.Status.CONTINUED_AS_NEW,
                    result=value.input,
                    carryover=tuple(self._events) if value.keep_events else (),
                )
            )
            return
        self.actions.append(act.Complete(self._next, status=ev.Status.COMPLETED, result=value))

    def _ask(self, part: Wait) -> int:
        task_id = self._next
        if isinstance(part, Event):
            return task_id
        self._next += 1
        if task_id in self._created:
            return task_id
        if isinstance(part, Call):
            self.actions.append(act.ScheduleTask(task_id, name=part.name, input=part.input))
        elif isinstance(part, Sleep):
            due = self._now + round(part.seconds * _NANOS)
            self.actions.append(act.CreateTimer(task_id, fire_at=ev.Instant.of(due)))
        elif isinstance(part, Send):
            self.actions.append(
                act.SendEvent(
                    task_id, instance_id=part.instance_id, name=part.name, input=part.input
                )
            )
        elif isinstance(part, Child):
            self.actions.append(
                act.CreateChild(
                    task_id, name=part.name, input=part.input, instance_id=part.instance_id
                )
            )
        return task_id


def respond(workflow: Workflow, past: Sequence[ev.Event], new: Sequence[ev.Event]) -> act.Response:
    """What a worker with ``workflow`` answers to a turn."""
    return act.Response(actions=tuple(_Replay(workflow, [*past, *new]).run()))


# --- the worker -----------------------------------------------------------------------------------


class ToyWorker:
    """A worker on one stream.  ``later(callback)`` decides when each item is answered; activities
    are functions of their input; ``effects`` is the log of what they did."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        workflows: dict[str, Workflow],
        activities: dict[str, Callable[[str | None], str | None]],
        later: Callable[[Callable[[], None]], None],
        caps: Caps = Caps(),
        hello: Hello = Hello(),
        echoes: bool = True,
    ) -> None:
        self._dispatcher = dispatcher
        self._hello = hello
        self._workflows = workflows
        self._activities = activities
        self._later = later
        self._caps = caps
        self._echoes = echoes  # False = as SDKs that predate completion tokens
        self._gone: Callable[[], None] | None = None
        self._ready: Callable[[], None] | None = None
        self.full = False
        self.dead = False
        self.effects: list[tuple[str, str]] = []  # (idempotency key, activity)
        self.turns = 0
        self.errors: list[BaseException] = []
        self.connect()

    def connect(self) -> None:
        """Open a (new) stream."""
        self.dead = False
        self.stream = WorkerStream(
            self._dispatcher.next_id(),
            self,
            codec=ToyCodec(),
            hello=self._hello,
            caps=self._caps,
            health_ping=False,
            now=self._dispatcher.now(),
        )
        self._dispatcher.connect(self.stream)

    def die(self) -> None:
        """The connection breaks; answers that were on the way are lost."""
        self.dead = True
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    # the transport's Stream

    request = b""
    metadata = ()
    peer = "toy"
    time_remaining = None

    def send(self, message: bytes) -> Sent:
        if self.dead:
            return Sent.CLOSED
        if self.full:
            return Sent.FULL
        item = decode_item(message)
        stream = self.stream

        def answer() -> None:
            if not self.dead and stream is self.stream:
                self._answer(item)

        self._later(answer)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        self._ready = callback

    def unblock(self) -> None:
        """Read again."""
        self.full = False
        if self._ready is not None:
            self._ready()

    def end(self) -> None:
        self.dead = True

    def fail(self, code: str, message: str) -> None:
        self.dead = True

    def on_cancel(self, callback: Callable[[], None]) -> None:
        self._gone = callback

    def _ack(self, error: BaseException | None) -> None:
        if error is not None:
            self.errors.append(error)

    def _answer(self, item: TurnItem | TaskItem) -> None:
        if isinstance(item, TurnItem):
            self.turns += 1
            past = [decode_event(e) for e in item.past]
            new = [decode_event(e) for e in item.new]
            started = next(e for e in past + new if isinstance(e, ev.ExecutionStarted))
            response = respond(self._workflows[started.name], past, new)
            result = TurnResult(item.instance_id, self._token(item), response)
            self._dispatcher.answer_turn(result, response, self._ack)
            return
        task = item.task
        self.effects.append((task.task_execution_id, task.name))
        value: str | None = None
        failure: ev.Failure | None = None
        try:
            value = self._activities[task.name](task.input)
        except ActivityError as error:
            failure = ev.Failure("ActivityError", str(error))
        self._dispatcher.answer_activity(
            ActivityResult(item.instance_id, task.task_id, self._token(item), value, failure),
            self._ack,
        )

    def _token(self, item: TurnItem | TaskItem) -> str:
        return item.token if self._echoes else ""
