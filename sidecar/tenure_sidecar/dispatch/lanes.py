"""Lanes: work that the same workers can take waits in one line.

A worker may name the workflows and activities that it takes, and has a largest message.  Work that
the same set of connected workers can take forms a lane, so that whatever is first in a lane goes to
any worker of the lane that has room, and when none has, nothing behind it could go either: handing
out looks at lanes, never at what waits in them.  Usually there is one lane.

The lane without workers holds what nobody takes.  When a worker comes or goes, the lanes are drawn
anew; that costs a pass over all that waits, unless no worker is choosy and nothing is large.

Beside the caps of each worker there may be limits on what all workers of this process have together.
They come from the app's settings, and can change at any time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenure_sidecar.dispatch.fair import FairQueue
from tenure_sidecar.engine.settings import Concurrency

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Instance
    from tenure_sidecar.dispatch.items import Task
    from tenure_sidecar.dispatch.stream import Caps, WorkerStream
    from tenure_sidecar.engine.events import TaskScheduled
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.wire.codec import Hello

_NAMES_KEPT = 10_000  # answers to "which lane" that are remembered


class Lane:
    """Work that ``streams`` can take."""

    __slots__ = ("streams", "tasks", "turns")

    def __init__(self, streams: list[WorkerStream]) -> None:
        self.streams = streams
        self.turns: OrderedDict[Instance, None] = OrderedDict()  # an instance has at most one
        self.tasks: FairQueue[Instance, Task] = FairQueue()

    def turn_stream(self, sticky: object | None) -> WorkerStream | None:
        """The stream that gets the next turn, ``sticky`` if it can; None when none has room."""
        best: WorkerStream | None = None
        for stream in self.streams:
            if not stream.room_for_turn():
                continue
            if stream is sticky and not stream.late:
                return stream
            if best is None or stream.turn_rank < best.turn_rank:
                best = stream
        return best

    def task_stream(self, *, near: bool) -> WorkerStream | None:
        """The stream that gets the next activity, not one of this process's own unless ``near``;
        None when none has room."""
        best: WorkerStream | None = None
        for stream in self.streams:
            if (
                (near or stream.far)
                and stream.room_for_activity()
                and (best is None or stream.activity_rank < best.activity_rank)
            ):
                best = stream
        return best

    @property
    def limit(self) -> int:
        """The largest message that any of the streams takes, bytes."""
        return max((stream.caps.message_bytes for stream in self.streams), default=0)


class Lanes:
    """All work that waits; see the module docstring."""

    def __init__(self) -> None:
        self._streams: list[WorkerStream] = []
        self._open = Lane([])  # what every worker can take
        self._choosy = 0  # workers with filters
        self._large: dict[Instance, int] = {}  # turns that need a large message, bytes
        self._large_tasks = False  # an activity that does may wait
        self._lanes: dict[tuple[int, ...], Lane] = {}  # the others, by the ids of their streams
        self._named: dict[tuple[bool, str, str | None], Lane] = {}
        self.ring: deque[Lane] = deque((self._open,))  # in the order in which they are served
        self.most = Concurrency()  # of all near workers together

    # --- workers ------------------------------------------------------------------------------

    def connect(self, stream: WorkerStream) -> None:
        """The stream takes work from now on."""
        self._streams.append(stream)
        self._choosy += stream.filtered
        self._redraw()

    def disconnect(self, stream: WorkerStream) -> None:
        """The stream takes no more work."""
        self._streams.remove(stream)
        self._choosy -= stream.filtered
        self._redraw()

    def change(self, stream: WorkerStream, *, hello: Hello, caps: Caps) -> None:
        """What the stream takes is another now."""
        same = hello == stream.hello and caps.message_bytes == stream.caps.message_bytes
        there = not same and stream in self._streams
        if there:
            self.disconnect(stream)
        stream.hello, stream.caps = hello, caps
        if there:
            self.connect(stream)

    def _redraw(self) -> None:
        former = self.ring
        self._named.clear()
        if not self._choosy and not self._large and not self._large_tasks and len(former) == 1:
            self._open.streams = [*self._streams]
            return
        self._lanes.clear()
        self._open = Lane([*self._streams])
        self.ring = deque((self._open,))
        self._large_tasks = False
        for lane in former:
            for instance in lane.turns:
                self.push_turn(instance, self._large.pop(instance, 0))
            for instance, task in lane.tasks.drain():
                self.push_task(instance, task)

    # --- which lane ---------------------------------------------------------------------------

    def of_turn(self, head: Head, least: int = 0) -> Lane:
        """The lane of an instance's turn of at least ``least`` bytes."""
        if not self._choosy and not least:
            return self._open
        key = (True, head.name, head.version)
        return self._lane(key, lambda s: s.takes_workflow(head.name, head.version), least)

    def of_task(self, task: TaskScheduled, least: int = 0) -> Lane:
        """The lane of an activity of at least ``least`` bytes."""
        if not self._choosy and not least:
            return self._open
        key = (False, task.name, task.version)
        return self._lane(key, lambda s: s.takes_activity(task.name, task.version), least)

    def _lane(
        self,
        name: tuple[bool, str, str | None],
        takes: Callable[[WorkerStream], bool],
        least: int,
    ) -> Lane:
        if not least and (known := self._named.get(name)) is not None:
            return known
        streams = [s for s in self._streams if takes(s) and s.caps.message_bytes >= least]
        ids = tuple(stream.id for stream in streams)
        lane = self._open if len(streams) == len(self._streams) else self._lanes.get(ids)
        if lane is None:
            lane = self._lanes[ids] = Lane(streams)
            self.ring.append(lane)
        if not least and len(self._named) < _NAMES_KEPT:
            self._named[name] = lane
        return lane

    # --- how much -----------------------------------------------------------------------------

    @property
    def room_for_turn(self) -> bool:
        """Whether the workers together may have one more turn."""
        most = self.most.workflows
        return most is None or sum(stream.turns for stream in self._streams) < most

    def slots(self, free: int) -> int:
        """How many of ``free`` slots for activities the near workers together may fill."""
        most = self.most.activities
        if most is None:
            return free
        return max(0, min(free, most - sum(stream.activities for stream in self.near)))

    # --- work ---------------------------------------------------------------------------------

    def push_turn(self, instance: Instance, least: int = 0) -> Lane:
        """Queue a turn that needs a message of ``least`` bytes; returns its lane."""
        lane = self.of_turn(instance.state.head, least)
        lane.turns[instance] = None
        if least:
            self._large[instance] = least
        return lane

    def taken(self, instance: Instance) -> int:
        """The turn has left its lane; returns how many bytes it was known to need."""
        return self._large.pop(instance, 0) if self._large else 0

    def push_task(self, instance: Instance, task: Task) -> Lane:
        """Queue an activity; returns its lane."""
        lane = self.of_task(task.scheduled, task.least)
        lane.tasks.push(instance, (task,))
        if task.least:
            self._large_tasks = True
        return lane

    def withdraw_turn(self, instance: Instance) -> None:
        """Forget the turn, wherever it waits."""
        for lane in self.ring:
            lane.turns.pop(instance, None)
        self._large.pop(instance, None)

    def withdraw_tasks(self, instance: Instance) -> None:
        """Forget the instance's activities, wherever they wait."""
        for lane in self.ring:
            lane.tasks.remove(instance)

    # --- facts --------------------------------------------------------------------------------

    @property
    def near(self) -> list[WorkerStream]:
        """Workers of this process's own app."""
        return [stream for stream in self._streams if not stream.far]

    @property
    def turns(self) -> int:
        """Turns that wait."""
        return sum(len(lane.turns) for lane in self.ring)

    @property
    def tasks(self) -> int:
        """Activities that wait."""
        return sum(len(lane.tasks) for lane in self.ring)
