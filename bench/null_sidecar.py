"""NULL: the worker protocol with no engine behind it and no disk under it.

What a stock SDK can do when the other side costs next to nothing, on the usual transport
(``grpc.aio``): the denominator of every figure.  It is as fast as such a server can fairly be:

* work is pushed the moment it exists, completions are acknowledged at once,
* completions that arrive while a turn is out are taken together by the next turn,
* an event is encoded once; a work item is a concatenation of ready pieces,
* each turn carries the full history, as the protocol asks, or only what is new where the worker
  announced that it keeps history itself.

Activities, timers, events, children and failures work, so that results can be checked; anything
else ends the process: a benchmark must not measure something that did not happen.

Usage: ``python bench/null_sidecar.py PORT [PORT]``; prints ``ready`` when it listens.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from messages import COMPLETED, SERVICE, STATEFUL_HISTORY, Proto, framed, new, parse

_PAST = b"\x1a"
_NEW = b"\x22"
_TURN = b"\x0a"
_ACTIVITY = b"\x12"
_CACHED = b"\x4a"
_TOKEN = b"\x52"
_FOREVER_SECONDS = 10 * 365 * 86_400  # a wait without an end is a timer in the year 9999
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Else the library refuses calls at random once 1,000 are not accepted yet.
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
)


def _time(seconds: float) -> Proto:
    whole = int(seconds)
    return new("Time", seconds=whole, nanos=int((seconds - whole) * 1e9))


def _die(message: str) -> NoReturn:
    """End the process now: an exception would only fail the call that it happens in."""
    sys.stderr.write(f"null sidecar: {message}\n")
    sys.stderr.flush()
    os._exit(70)


@dataclass(slots=True)
class _Instance:
    id: str
    execution: str
    name: str
    parent: tuple[str, int] | None
    past: list[bytes] = field(default_factory=list[bytes])  # framed as pastEvents
    sent: int = 0  # events that the worker keeps
    out: list[bytes] | None = None  # events of the turn that is out
    inbox: list[bytes] = field(default_factory=list[bytes])
    state: Proto = None
    done: asyncio.Future[None] | None = None


class _Worker:
    """One work stream: a queue and a wake-up."""

    def __init__(self, *, stateful: bool) -> None:
        self.stateful = stateful
        self.queue: deque[bytes] = deque()
        self.wake = asyncio.Event()

    def push(self, item: bytes) -> None:
        self.queue.append(item)
        self.wake.set()


class NullSidecar:
    """All state; handlers take and return bytes."""

    def __init__(self) -> None:
        self._instances: dict[str, _Instance] = {}
        self._worker: _Worker | None = None
        self._waiting: list[bytes] = []  # items from before the worker came
        self._tokens = 0
        self._turns: dict[str, _Instance] = {}
        self._activities: dict[str, tuple[_Instance, int, bytes]] = {}
        self._loop = asyncio.get_running_loop()

    # Client side.

    async def start_instance(self, request: bytes, _: object) -> bytes:
        """StartInstance."""
        create = parse("CreateInstance", request)
        instance_id = create.instanceId or uuid.uuid4().hex
        self._create(instance_id, create, parent=None)
        return bytes(new("CreateInstanceResponse", instanceId=instance_id).SerializeToString())

    def _create(self, instance_id: str, spec: Proto, *, parent: tuple[str, int] | None) -> None:
        instance = _Instance(instance_id, uuid.uuid4().hex, spec.name, parent)
        self._instances[instance_id] = instance
        started = new(
            "ExecutionStarted",
            name=spec.name,
            instance=new(
                "Instance",
                instanceId=instance_id,
                executionId=new("Text", value=instance.execution),
            ),
        )
        if spec.HasField("input"):
            started.input.value = spec.input.value
        self._deliver(instance, executionStarted=started)

    async def get_instance(self, request: bytes, _: object) -> bytes:
        """GetInstance."""
        return self._describe(parse("GetInstance", request).instanceId)

    async def wait_for_completion(self, request: bytes, _: object) -> bytes:
        """WaitForInstanceCompletion: answers when it has ended."""
        instance_id = parse("GetInstance", request).instanceId
        instance = self._instances[instance_id]
        if instance.state is None:
            if instance.done is None:
                instance.done = self._loop.create_future()
            await asyncio.shield(instance.done)
        return self._describe(instance_id)

    def _describe(self, instance_id: str) -> bytes:
        instance = self._instances.get(instance_id)
        if instance is None:
            return b""
        state = instance.state or new(
            "InstanceState", instanceId=instance_id, name=instance.name, status=0
        )
        return bytes(new("GetInstanceResponse", exists=True, state=state).SerializeToString())

    async def raise_event(self, request: bytes, _: object) -> bytes:
        """RaiseEvent."""
        raised = parse("RaiseEvent", request)
        event = new("EventRaised", name=raised.name)
        if raised.HasField("input"):
            event.input.value = raised.input.value
        self._deliver(self._instances[raised.instanceId], eventRaised=event)
        return b""

    async def get_history(self, request: bytes, _: object) -> bytes:
        """What a worker asks for when it lost the history that it kept."""
        instance = self._instances[parse("GetHistory", request).instanceId]
        return b"".join(b"\x0a" + frame[1:] for frame in instance.past)

    # Worker side.

    async def hello(self, _request: bytes, _: object) -> bytes:
        """Hello: a ping."""
        return b""

    async def get_work_items(
        self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> None:
        """GetWorkItems: the worker's stream, until it goes away."""
        hello = parse("GetWorkItems", request)
        worker = _Worker(stateful=STATEFUL_HISTORY in hello.capabilities)
        self._worker = worker
        for item in self._waiting:
            worker.push(item)
        self._waiting.clear()
        queue, wake, write = worker.queue, worker.wake, context.write
        while True:
            while queue:
                await write(queue.popleft())
            wake.clear()
            await wake.wait()

    async def complete_turn(self, request: bytes, _: object) -> bytes:
        """CompleteOrchestratorTask: take the actions, send the next turn."""
        response = parse("TurnResponse", request)
        instance = self._turns.pop(response.completionToken)
        out, instance.out = instance.out, None
        if out is None:
            _die("an answer to no turn")
        past = instance.past
        past.extend(framed(_PAST, event) for event in out)
        for action in response.actions:
            self._act(instance, action)
        if instance.inbox and instance.state is None:
            self._turn(instance)
        return b""

    async def complete_activity(self, request: bytes, _: object) -> bytes:
        """CompleteActivityTask: the result becomes an event."""
        response = parse("ActivityResponse", request)
        instance, task, key = self._activities.pop(response.completionToken)
        if response.HasField("failureDetails"):
            failed = new("TaskFailed", taskScheduledId=task, executionKey=key)
            failed.failureDetails.CopyFrom(response.failureDetails)
            self._deliver(instance, taskFailed=failed)
            return b""
        completed = new("TaskCompleted", taskScheduledId=task, executionKey=key)
        if response.HasField("result"):
            completed.result.value = response.result.value
        self._deliver(instance, taskCompleted=completed)
        return b""

    def _act(self, instance: _Instance, action: Proto) -> None:
        if action.HasField("scheduleTask"):
            self._schedule(instance, action.id, action.scheduleTask)
        elif action.HasField("complete"):
            self._complete(instance, action.complete)
        elif action.HasField("createTimer"):
            self._arm(instance, action.id, action.createTimer)
        elif action.HasField("createChild"):
            spec = action.createChild
            created = new("ChildCreated", instanceId=spec.instanceId, name=spec.name)
            if spec.HasField("input"):
                created.input.value = spec.input.value
            self._record(instance, action.id, childCreated=created)
            self._create(spec.instanceId, spec, parent=(instance.id, action.id))
        else:
            _die(f"no such action: {action}")

    def _schedule(self, instance: _Instance, task: int, spec: Proto) -> None:
        # Under this number the Microsoft flavour has a trace context; it goes no further.
        key = spec.executionKey if len(spec.executionKey) == 36 else b""  # noqa: PLR2004 (a UUID)
        scheduled = new("TaskScheduled", name=spec.name, executionKey=key)
        request = new(
            "ActivityRequest",
            name=spec.name,
            taskId=task,
            executionKey=key,
            instance=new("Instance", instanceId=instance.id),
        )
        if spec.HasField("input"):
            scheduled.input.value = request.input.value = spec.input.value
        self._record(instance, task, taskScheduled=scheduled)
        token = self._token()
        self._activities[token] = (instance, task, key)
        self._push(framed(_ACTIVITY, request.SerializeToString()) + framed(_TOKEN, token.encode()))

    def _arm(self, instance: _Instance, timer: int, spec: Proto) -> None:
        created = new(
            "TimerCreated",
            fireAt=spec.fireAt,
            origin4=spec.origin3,
            origin5=spec.origin4,
            origin6=spec.origin5,
        )
        for name in ("origin4", "origin5", "origin6"):
            if not getattr(created, name):
                created.ClearField(name)
        self._record(instance, timer, timerCreated=created)
        delay = spec.fireAt.seconds + spec.fireAt.nanos / 1e9 - time.time()
        if delay < _FOREVER_SECONDS:
            fired = new("TimerFired", fireAt=spec.fireAt, timerId=timer)
            self._loop.call_later(max(0.0, delay), self._fire, instance, fired)

    def _fire(self, instance: _Instance, fired: Proto) -> None:
        due = fired.fireAt.seconds + fired.fireAt.nanos / 1e9
        if (early := due - time.time()) > 0:
            # The loop's clock and the wall clock are not the same.
            self._loop.call_later(early, self._fire, instance, fired)
            return
        self._deliver(instance, timerFired=fired)

    def _complete(self, instance: _Instance, spec: Proto) -> None:
        state = new("InstanceState", instanceId=instance.id, name=instance.name, status=spec.status)
        if spec.HasField("result"):
            state.output.value = spec.result.value
        if spec.HasField("failureDetails"):
            state.failureDetails.CopyFrom(spec.failureDetails)
        instance.state = state
        instance.past = []
        if instance.done is not None:
            instance.done.set_result(None)
        if instance.parent is not None:
            parent, task = instance.parent
            if spec.status != COMPLETED:
                _die(f"a child failed: {spec}")
            result = new("ChildCompleted", taskScheduledId=task)
            if spec.HasField("result"):
                result.result.value = spec.result.value
            self._deliver(self._instances[parent], childCompleted=result)

    # Events and turns.

    def _record(self, instance: _Instance, event_id: int, **kind: Proto) -> None:
        event = new("HistoryEvent", eventId=event_id, timestamp=_time(time.time()), **kind)
        instance.past.append(framed(_PAST, event.SerializeToString()))

    def _deliver(self, instance: _Instance, **kind: Proto) -> None:
        event = new("HistoryEvent", eventId=-1, timestamp=_time(time.time()), **kind)
        instance.inbox.append(event.SerializeToString())
        if instance.out is None and instance.state is None:
            self._turn(instance)

    def _turn(self, instance: _Instance) -> None:
        started = new(
            "HistoryEvent", eventId=-1, timestamp=_time(time.time()), turnStarted=new("Empty")
        )
        events = [started.SerializeToString(), *instance.inbox]
        instance.inbox.clear()
        instance.out = events
        token = self._token()
        self._turns[token] = instance
        past, cached = instance.past, b""
        worker = self._worker
        if worker is not None and worker.stateful:
            if kept := instance.sent:
                past = past[kept:]
                cached = framed(_CACHED, new("CachedHistory", eventCount=kept).SerializeToString())
            instance.sent = len(instance.past)
        head = new(
            "TurnRequest",
            instanceId=instance.id,
            executionId=new("Text", value=instance.execution),
        )
        parts = [head.SerializeToString(), *past, *(framed(_NEW, e) for e in events), cached]
        self._push(framed(_TURN, b"".join(parts)) + framed(_TOKEN, token.encode()))

    def _push(self, item: bytes) -> None:
        if self._worker is None:
            self._waiting.append(item)
        else:
            self._worker.push(item)

    def _token(self) -> str:
        self._tokens += 1
        return str(self._tokens)


def _handlers(null: NullSidecar) -> dict[str, Any]:
    unary = {
        "Hello": null.hello,
        "StartInstance": null.start_instance,
        "GetInstance": null.get_instance,
        "WaitForInstanceStart": null.get_instance,
        "WaitForInstanceCompletion": null.wait_for_completion,
        "RaiseEvent": null.raise_event,
        "GetInstanceHistory": null.get_history,
        "CompleteOrchestratorTask": null.complete_turn,
        "CompleteActivityTask": null.complete_activity,
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(call) for name, call in unary.items()}
    handlers["GetWorkItems"] = grpc.unary_stream_rpc_method_handler(null.get_work_items)
    return handlers


async def serve(ports: list[int]) -> None:
    """Listen on 127.0.0.1:``ports`` until SIGTERM or SIGINT."""
    null = NullSidecar()
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, _handlers(null)),)
    )
    for port in ports:
        if server.add_insecure_port(f"127.0.0.1:{port}") != port:
            _die(f"port {port} is taken")
    await server.start()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    print("ready", flush=True)  # the parent waits for this line
    await stop.wait()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve([int(port) for port in sys.argv[1:]]))
