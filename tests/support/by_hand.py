"""A worker that a test plays by hand: it keeps what it is sent and answers when told to.

It is the network and the app in one; everything behind the stream is the real thing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from support.toy import TaskItem, ToyCodec, TurnItem, decode_event, decode_item
from tenure_sidecar.dispatch.dispatcher import Dispatcher
from tenure_sidecar.dispatch.stream import Caps, WorkerStream
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.rpc.transport import Sent
from tenure_sidecar.wire.codec import ActivityResult, Codec, Filters, Hello, TurnResult


class Answer:
    """What the engine said to an answer."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    def __call__(self, error: BaseException | None) -> None:
        self.errors.append(error)

    @property
    def acknowledged(self) -> bool:
        """Whether it was acknowledged, once."""
        return self.errors == [None]


class HandWorker:
    """One work stream; items that arrived and were not taken yet are in ``turns`` and ``tasks``."""

    request = b""
    metadata = ()
    time_remaining = None

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        caps: Caps = Caps(),
        hello: Hello = Hello(),
        health_ping: bool = False,
        codec: Codec | None = None,
        peer: str = "by hand",
    ) -> None:
        self.dispatcher = dispatcher
        self.peer = peer
        self.turns: deque[TurnItem] = deque()
        self.tasks: deque[TaskItem] = deque()
        self.pings = 0
        self.full = False
        self.broken = False  # the connection is gone, and nobody has noticed yet
        self.ended: str | None = None  # how the engine closed the stream
        self._gone: Callable[[], None] | None = None
        self._ready: Callable[[], None] | None = None
        self.stream = WorkerStream(
            dispatcher.next_id(),
            self,
            codec=codec or ToyCodec(),
            hello=hello,
            caps=caps,
            health_ping=health_ping,
            now=dispatcher.now(),
        )
        dispatcher.connect(self.stream)

    # --- the transport's Stream -----------------------------------------------------------------

    def send(self, message: bytes) -> Sent:
        if self.broken or self.ended is not None:
            return Sent.CLOSED
        if self.full:
            return Sent.FULL
        if not message:
            self.pings += 1
            return Sent.SENT
        item = decode_item(message)
        if isinstance(item, TurnItem):
            self.turns.append(item)
        else:
            self.tasks.append(item)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        self._ready = callback

    def on_cancel(self, callback: Callable[[], None]) -> None:
        self._gone = callback

    def end(self) -> None:
        self.ended = "OK"

    def fail(self, code: str, message: str) -> None:
        self.ended = f"{code}: {message}"

    # --- what a test does -----------------------------------------------------------------------

    def read_on(self) -> None:
        """Read the stream again after ``full``."""
        self.full = False
        ready, self._ready = self._ready, None
        assert ready is not None
        ready()

    def die(self) -> None:
        """The stream breaks."""
        self.broken = True
        assert self._gone is not None
        self._gone()

    @property
    def took(self) -> list[str]:
        """Ids of the instances whose turns are here."""
        return [turn.instance_id for turn in self.turns]

    @property
    def inputs(self) -> list[str | None]:
        """Inputs of the activities that are here."""
        return [task.task.input for task in self.tasks]

    def answer(
        self,
        turn: TurnItem,
        *actions: act.Action,
        token: str | None = None,
        requires_history: bool = False,
    ) -> Answer:
        """Answer a turn; ``token`` in place of the item's own."""
        response = act.Response(actions=actions)
        result = TurnResult(
            turn.instance_id,
            turn.token if token is None else token,
            response,
            requires_history=requires_history,
        )
        answer = Answer()
        self.dispatcher.answer_turn(result, response, answer)
        return answer

    def complete(
        self,
        task: TaskItem,
        value: str | None = None,
        *,
        failure: ev.Failure | None = None,
        token: str | None = None,
    ) -> Answer:
        """Answer an activity."""
        answer = Answer()
        self.dispatcher.answer_activity(
            ActivityResult(
                task.instance_id,
                task.task.task_id,
                task.token if token is None else token,
                value,
                failure,
            ),
            answer,
        )
        return answer


def events(encoded: Sequence[bytes]) -> list[ev.Event]:
    """Events of a turn."""
    return [decode_event(one) for one in encoded]


def kinds(encoded: Sequence[bytes]) -> list[str]:
    """Names of the events of a turn."""
    return [type(event).__name__ for event in events(encoded)]


def call(task_id: int, name: str = "work", given: str | None = None) -> act.ScheduleTask:
    """Schedule an activity."""
    return act.ScheduleTask(task_id, name=name, input=given)


def done(task_id: int = 99, result: str | None = None) -> act.Complete:
    """End the workflow."""
    return act.Complete(task_id, status=ev.Status.COMPLETED, result=result)


def takes(
    *, workflows: Sequence[str] | None = None, activities: Sequence[str] | None = None
) -> Hello:
    """A worker that takes only what is named; None = everything."""
    return Hello(
        filters=Filters(
            workflows=None if workflows is None else dict.fromkeys(workflows, ()),
            activities=None if activities is None else dict.fromkeys(activities, ()),
        ),
    )


def again(task_id: int = 99, given: str | None = None) -> act.Complete:
    """Continue as new."""
    return act.Complete(task_id, status=ev.Status.CONTINUED_AS_NEW, result=given)
