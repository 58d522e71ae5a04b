"""Workflow programs as data, and a worker that replays them the way the SDKs do.

A program is JSON-able: ``{"steps": [...], "loops": n, "trace": [...]}`` and travels as the
workflow's input, so one workflow ("interp") runs any program, and children get theirs from their
parent.  Steps:

    ["call", name]            an activity; its failure fails the workflow
    ["try", name]             an activity; its failure is caught
    ["fan", n]                n activities at once
    ["sleep", seconds]        a durable timer
    ["wait", event]           an external event, for as long as it takes
    ["timed", event, seconds] an external event or a time-out
    ["child", program, id]    a child workflow ("" = the engine's id)
    ["detach", program, id]   a workflow that nobody waits for
    ["send", id, event]       an event to another instance
    ["status", text]          custom status

With ``loops`` left, the workflow continues as new at its end.  ``trace`` collects what the code
saw, over all generations, and is the output.

The worker feeds the history to the code event by event, in order.  It insists, as SDKs do, that
what the history says was created is what the code creates, and fails on a resume without a
suspension.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev

Program = dict[str, Any]


class NonDeterminismError(AssertionError):
    """The history does not fit the code."""


class StepError(Exception):
    """An activity or child failed, as the code sees it."""


class Task:
    """Something that the code waits for."""

    __slots__ = ("done", "failed", "value")

    def __init__(self) -> None:
        self.done = False
        self.failed = False
        self.value: Any = None

    def resolve(self, value: Any, *, failed: bool = False) -> bool:
        if self.done:
            return False
        self.done, self.failed, self.value = True, failed, value
        return True


Ready = Callable[[], bool]
Code = Generator[Ready, None, None]


class Replay:
    """One pass of a program over a history; ``actions`` is what the worker answers."""

    def __init__(self, events: Sequence[ev.Event]) -> None:
        self._now = 0
        self._id = ""
        self._next = 0
        self._pending: dict[int, act.Action] = {}
        self._tasks: dict[int, Task] = {}
        self._waiting: dict[str, list[Task]] = {}
        self._buffer: dict[str, list[str | None]] = {}
        self._held: list[ev.Event] | None = None
        self._code: Code | None = None
        self._ready: Ready | None = None
        self.end: act.Complete | None = None
        self.status: str | None = None
        self.received: list[str | None] = []
        for event in events:
            self._take(event)

    @property
    def response(self) -> act.Response:
        """The answer to the turn."""
        actions = list(self._pending.values())
        if self.end is not None:
            # Events that came in the same turn, after the code's end, are carried over too.
            kept = tuple(
                ev.EventRaised(0, name=name, input=data)
                for name, many in self._buffer.items()
                for data in many
            )
            again = self.end.status is ev.Status.CONTINUED_AS_NEW
            actions.append(msgspec.structs.replace(self.end, carryover=kept if again else ()))
        return act.Response(actions=tuple(actions), custom_status=self.status)

    @property
    def leftovers(self) -> int:
        """Actions that the history does not have."""
        return len(self._pending)

    # --- events -------------------------------------------------------------------------------

    def _take(self, event: ev.Event) -> None:
        if isinstance(event, ev.ExecutionSuspended):
            if self._held is not None:
                raise NonDeterminismError("suspended twice")
            self._held = []
        elif isinstance(event, ev.ExecutionResumed):
            if self._held is None:
                raise NonDeterminismError("resumed without a suspension")
            held, self._held = self._held, None
            for one in held:
                self._process(one)
        elif self._held is not None and not isinstance(event, ev.WorkflowStarted):
            self._held.append(event)
        else:
            self._process(event)

    def _process(self, event: ev.Event) -> None:
        if isinstance(event, ev.WorkflowStarted):
            if event.at < self._now:
                raise NonDeterminismError("time went backwards")
            self._now = event.at
        elif isinstance(event, ev.ExecutionStarted):
            if self._code is not None:
                raise NonDeterminismError("started twice")
            self._id = event.execution_id
            self._code = self._run(json.loads(event.input or "{}"))
            self._advance()
        elif isinstance(event, ev.TaskCompleted | ev.ChildCompleted):
            self._resolve(event.task_id, event.result)
        elif isinstance(event, ev.TaskFailed | ev.ChildFailed):
            self._resolve(event.task_id, event.failure.error_type, failed=True)
        elif isinstance(event, ev.TimerFired):
            if self._now < event.fire_at.nanoseconds:
                raise NonDeterminismError("fired early")
            self._resolve(event.timer_id, None)
        elif isinstance(event, ev.EventRaised):
            self._raise(event)
        elif event.event_id >= 0 and not isinstance(event, ev.ExecutionCompleted):
            self._confirm(event)

    def _confirm(self, event: ev.Event) -> None:
        action = self._pending.pop(event.event_id, None)
        kinds = {
            ev.TaskScheduled: act.ScheduleTask,
            ev.TimerCreated: act.CreateTimer,
            ev.ChildCreated: act.CreateChild,
            ev.DetachedCreated: act.CreateDetached,
            ev.EventSent: act.SendEvent,
        }
        if action is None or type(action) is not kinds[type(event)]:
            raise NonDeterminismError(f"{event} was created, the code has {action}")
        if isinstance(event, ev.DetachedCreated):
            return  # it has none of the fields
        # What a send carries depends on the execution, which a rerun has of its own.
        fields = ("name",) if isinstance(event, ev.EventSent) else ("name", "input", "fire_at")
        for field in fields:
            if getattr(event, field, None) != getattr(action, field, None):
                raise NonDeterminismError(f"{event} differs from {action}")

    def _resolve(self, task_id: int, value: Any, *, failed: bool = False) -> None:
        task = self._tasks.get(task_id)
        if task is None:
            raise NonDeterminismError(f"a result for task {task_id}, which the code does not have")
        if not task.resolve(value, failed=failed):
            raise NonDeterminismError(f"a second result for task {task_id}")
        self._advance()

    def _raise(self, event: ev.EventRaised) -> None:
        key = event.name.casefold()
        waiting = self._waiting.get(key)
        if waiting:
            waiting.pop(0).resolve(event.input)
            self._advance()
        else:
            self._buffer.setdefault(key, []).append(event.input)

    def _advance(self) -> None:
        if self._code is None or self.end is not None:
            return
        try:
            while self._ready is None or self._ready():
                self._ready = next(self._code)
        except StopIteration:
            assert self.end is not None

    # --- code ---------------------------------------------------------------------------------

    def _run(self, program: Program) -> Code:
        trace: list[Any] = list(program.get("trace", ()))
        try:
            for step in program.get("steps", ()):
                yield from _STEPS[step[0]](self, trace, *step[1:])
        except StepError as error:
            failure = ev.Failure("StepError", str(error))
            self._finish(ev.Status.FAILED, failure=failure)
            return
        loops = program.get("loops", 0)
        if loops:
            left = {**program, "loops": loops - 1, "trace": trace}
            self._finish(ev.Status.CONTINUED_AS_NEW, result=json.dumps(left))
            return
        self._finish(ev.Status.COMPLETED, result=json.dumps(trace))

    def _finish(self, status: ev.Status, **fields: Any) -> None:
        self.end = act.Complete(self._number(), status=status, **fields)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _ask(self, action: act.Action) -> Task:
        self._pending[action.task_id] = action
        self._tasks[action.task_id] = task = Task()
        return task

    def _activity(self, name: str) -> Task:
        return self._ask(act.ScheduleTask(self._number(), name=name))

    def _wait_for(self, name: str) -> Task:
        key = name.casefold()
        task = Task()
        buffered = self._buffer.get(key)
        if buffered:
            task.resolve(buffered.pop(0))
        else:
            self._waiting.setdefault(key, []).append(task)
        return task

    def _give_up(self, name: str, task: Task) -> None:
        self._waiting[name.casefold()].remove(task)

    def _timer(self, seconds: float, event: str | None = None) -> Task:
        origin = None
        if event is not None:
            origin = ev.TimerOrigin(ev.ORIGIN_EXTERNAL_EVENT, event)
        due = ev.Instant.of(self._now + round(seconds * ev.NANOS))
        return self._ask(act.CreateTimer(self._number(), fire_at=due, origin=origin))

    # --- steps --------------------------------------------------------------------------------

    def _call(self, trace: list[Any], name: str) -> Code:
        task = self._activity(name)
        yield lambda: task.done
        if task.failed:
            raise StepError(name)
        trace.append(["call", name, task.value])

    def _try(self, trace: list[Any], name: str) -> Code:
        task = self._activity(name)
        yield lambda: task.done
        trace.append(["try", name, task.failed])

    def _fan(self, trace: list[Any], count: int) -> Code:
        tasks = [self._activity(f"fan{i}") for i in range(count)]
        yield lambda: all(t.done for t in tasks) or any(t.failed for t in tasks)
        if any(task.failed for task in tasks):
            raise StepError("fan")
        trace.append(["fan", [task.value for task in tasks]])

    def _sleep(self, trace: list[Any], seconds: float) -> Code:
        task = self._timer(seconds)
        yield lambda: task.done
        trace.append(["sleep", seconds])

    def _wait(self, trace: list[Any], name: str) -> Code:
        task = self._wait_for(name)
        yield lambda: task.done
        trace.append(["event", task.value])

    def _timed(self, trace: list[Any], name: str, seconds: float) -> Code:
        task = self._wait_for(name)
        if not task.done:
            timer = self._timer(seconds, name)
            yield lambda: task.done or timer.done
        if task.done:
            trace.append(["event", task.value])
        else:
            self._give_up(name, task)
            trace.append(["timeout", name])

    def _child(self, trace: list[Any], program: Program, instance_id: str) -> Code:
        task = self._ask(
            act.CreateChild(
                self._number(), name="interp", input=json.dumps(program), instance_id=instance_id
            )
        )
        yield lambda: task.done
        if task.failed:
            raise StepError(f"child: {task.value}")
        trace.append(["child", json.loads(task.value)])

    def _detach(self, trace: list[Any], program: Program, instance_id: str) -> Code:
        number = self._number()
        self._pending[number] = act.CreateDetached(
            number, name="interp", instance_id=instance_id, input=json.dumps(program)
        )
        yield lambda: True

    def _send(self, trace: list[Any], instance_id: str, name: str) -> Code:
        number = self._number()
        self._pending[number] = act.SendEvent(
            number,
            instance_id=instance_id,
            name=name,
            input=f"{name.casefold()}#sent-{self._id}-{number}",
        )
        yield lambda: True

    def _status(self, trace: list[Any], text: str) -> Code:
        self.status = text
        yield lambda: True


_STEPS: dict[str, Callable[..., Code]] = {
    "call": Replay._call,
    "try": Replay._try,
    "fan": Replay._fan,
    "sleep": Replay._sleep,
    "wait": Replay._wait,
    "timed": Replay._timed,
    "child": Replay._child,
    "detach": Replay._detach,
    "send": Replay._send,
    "status": Replay._status,
}
