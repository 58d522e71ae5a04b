"""The app beside a sidecar: a process that runs turns and activities, well or badly.

It speaks through dispatch's own seam: a work stream on one side, ``answer_turn`` and
``answer_activity`` on the other, with the pod's loopback in between.  What it does outside of Tenure
(``Effect``) is never taken back, and each execution of an activity returns a number of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from support.simulation.programs import WORKFLOWS
from support.toy import TaskItem, ToyCodec, TurnItem, decode_event, decode_item, respond
from tenure_sidecar.dispatch.stream import Caps, WorkerStream
from tenure_sidecar.engine import events as ev
from tenure_sidecar.rpc.transport import Sent
from tenure_sidecar.wire.codec import ActivityResult, Hello, TurnResult

if TYPE_CHECKING:
    from support.simulation.machine import Process
    from support.simulation.network import Wire
    from support.simulation.world import World
    from tenure_sidecar.dispatch.dispatcher import Dispatcher

_LONG = 12  # of a hundred items take long
LARGE, SMALL = Caps(turns=8, activities=8, total=12), Caps(turns=4, activities=2, total=6)


class Effect(NamedTuple):
    """One execution of an activity.  ``seen``: revision of the store when it began."""

    at: float
    app: str
    instance_id: str
    execution_id: str
    task_id: int
    key: str
    serial: str
    seen: int


class Mood:
    """How the app behaves, in percent of the items; all zero = well.

    Attributes:
        silent: takes an item and never answers.
        late: answers after its lease may have run out.
        twice: answers twice.
        nameless: answers without a completion token, as SDKs do that predate them.
    """

    def __init__(self) -> None:
        self.silent = self.late = self.twice = 0
        self.nameless = False


class App:
    """See the module docstring; ``connect`` gives it a sidecar."""

    def __init__(self, world: World, process: Process, rng: random.Random) -> None:
        self.world = world
        self.process = process
        self.mood = Mood()
        self._random = rng
        self._stream: AppStream | None = None

    def connect(self, sidecar: Process, dispatcher: Dispatcher, ended: Callable[[], None]) -> None:
        """Open a work stream; runs in the app, which is told when it has ended."""
        wire = self.world.network.wire(self.process, sidecar)
        wire.on_break(self.process, ended)
        self._stream = AppStream(self, sidecar, wire, dispatcher)
        wire.send(sidecar, self._stream.begin)

    def disconnect(self) -> None:
        """Close it."""
        if self._stream is not None:
            self._stream.wire.reset()

    @property
    def connected(self) -> bool:
        """Whether there is a stream."""
        return self._stream is not None and self._stream.wire.open

    @property
    def swallowed(self) -> int:
        """Items of the stream that it never answers."""
        return 0 if self._stream is None else self._stream.swallowed

    # --- work ---------------------------------------------------------------------------------

    def take(self, stream: AppStream, message: bytes) -> None:
        """An item arrived."""
        item = decode_item(message)
        mood, draw = self.mood, self._random.randrange(100)
        if draw < mood.silent:
            stream.swallowed += 1
            return
        seconds = self._random.uniform(0.001, 0.03)
        if self._random.randrange(100) < _LONG:
            seconds = self._random.uniform(0.05, 2.0)
        if draw < mood.silent + mood.late:
            seconds = self._random.uniform(0.5, 14.0)
        self.process.post(self._work, stream, item, after=seconds)

    def _work(self, stream: AppStream, item: TurnItem | TaskItem) -> None:
        again = self._random.randrange(100) < self.mood.twice
        # Without a token, a second answer could not be told from that to the next turn.
        times = 2 if again and not self.mood.nameless else 1
        token = "" if self.mood.nameless else item.token
        if isinstance(item, TurnItem):
            past = [decode_event(one) for one in item.past]
            new = [decode_event(one) for one in item.new]
            started = next(one for one in past + new if isinstance(one, ev.ExecutionStarted))
            response = respond(WORKFLOWS[started.name], past, new)
            turn = TurnResult(item.instance_id, token, response)
            for _ in range(times):
                stream.answer(lambda d, ack: d.answer_turn(turn, response, ack))
            return
        task = item.task
        serial = self.world.effect(self, item)
        failed = ev.Failure("ActivityError", serial) if task.name == "fail" else None
        result = ActivityResult(
            item.instance_id, task.task_id, token, None if failed else serial, failed
        )
        for time in range(times):  # the second one is nobody's any more, and says nothing
            stream.answer(lambda d, ack: d.answer_activity(result, ack), "" if time else serial)


class AppStream:
    """The work stream, as the sidecar's transport shows it to dispatch."""

    request = b""
    metadata = ()
    peer = "app"
    time_remaining = None

    def __init__(self, app: App, sidecar: Process, wire: Wire, dispatcher: Dispatcher) -> None:
        self.wire = wire
        self.swallowed = 0  # items that are never answered
        self._app = app
        self._sidecar = sidecar
        self._dispatcher = dispatcher
        self._gone: Callable[[], None] = lambda: None
        wire.on_break(sidecar, self._broken)

    def begin(self) -> None:
        """It arrives at the sidecar."""
        dispatcher = self._dispatcher
        dispatcher.connect(
            WorkerStream(
                dispatcher.next_id(),
                self,
                codec=ToyCodec(),
                hello=Hello(),
                caps=self._app.world.caps,
                health_ping=False,
                now=dispatcher.now(),
            )
        )

    def _broken(self) -> None:
        self._gone()

    def answer(
        self,
        give: Callable[[Dispatcher, Callable[[BaseException | None], None]], None],
        serial: str = "",
    ) -> None:
        """Send an answer back; runs in the app.  What becomes of ``serial`` is recorded."""
        world = self._app.world

        def ack(error: BaseException | None) -> None:
            if error is None and serial:
                world.acknowledged(serial)

        self.wire.send(self._sidecar, lambda: give(self._dispatcher, ack))

    # --- the transport's Stream ---------------------------------------------------------------

    def send(self, message: bytes) -> Sent:
        if not self.wire.open:
            return Sent.CLOSED
        self.wire.send(self._app.process, self._app.take, self, message)
        return Sent.SENT

    def on_ready(self, callback: Callable[[], None]) -> None:
        """It is never full."""

    def end(self) -> None:
        self.wire.send(self._app.process, self.wire.reset)

    def fail(self, code: str, message: str) -> None:
        self.wire.reset()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        self._gone = callback
