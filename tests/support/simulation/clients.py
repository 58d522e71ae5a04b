"""Clients: what they ask of the cluster, and what they were told.

Each call goes to some sidecar over the network and is recorded with the time at which it was sent,
the time at which it was answered, and the answer: a value, an error, or nothing (the connection was
lost, or it took too long), in which case nobody knows what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from support.simulation.programs import ENOUGH, WORD
from tenure_common.errors import (
    InstanceExistsError,
    NoSuchInstanceError,
    NotTerminalError,
    TenureError,
)
from tenure_sidecar.actors.operations import TERMINAL
from tenure_sidecar.actors.sharing.inboxes import SWEEP
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.retention import RETENTION_TAG
from tenure_sidecar.engine.starting import start

if TYPE_CHECKING:
    from support.simulation.world import World
    from tenure_sidecar.appengine import AppEngine

PATIENCE, WAIT = 6.0, 12.0  # seconds for a call, and for one that waits for an end
_PAUSE = 0.3  # seconds until one that failed is made again

FORCE = "force"  # argument of a purge of what may not have ended
OK, REFUSED, UNKNOWN, NOT_SENT = "ok", "refused", "unknown", "not sent"
# Errors that say what is true; any other may hide that the call was carried out.
_TRUE = (InstanceExistsError, NoSuchInstanceError, NotTerminalError)

Verb = Callable[["AppEngine"], Coroutine[Any, Any, Any]]


class Call(msgspec.Struct):
    """One call.  Times in seconds; ``returned`` is infinite when no answer came."""

    verb: str
    instance_id: str
    argument: str
    sent: float
    returned: float = float("inf")
    outcome: str = UNKNOWN
    left: float = 0.0  # when the client gave up; 0 = it did not
    value: Any = None  # what it returned, or the name of the error


class Clients:
    """See the module docstring."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[Call] = []
        self.started: dict[str, str] = {}  # acknowledged: instance -> workflow
        self.told: dict[str, list[tuple[str, str]]] = {}  # instance -> payload and outcome
        self.outputs: dict[str, str | None] = {}  # of those that were waited for
        self.process = world.loop.process("client")
        self._random = world.fork()
        self._open: list[asyncio.Task[Any]] = []
        self._number = 0
        self.over = False  # no more faults: stop asking, see that everything ends

    # --- one call -----------------------------------------------------------------------------

    async def ask(self, verb: str, instance_id: str, do: Verb, argument: str = "") -> Call:
        """Make a call, at whatever sidecar, and record it."""
        loop = self.world.loop
        call = Call(verb, instance_id, argument, loop.time())
        self.calls.append(call)
        pod = self._random.choice(self.world.pods)
        try:
            async with asyncio.timeout(WAIT if verb == "wait" else PATIENCE):
                call.value = await pod.call(self.process, do)
            call.outcome = OK
        except ConnectionRefusedError:
            call.outcome = NOT_SENT
        except TimeoutError:
            call.left = loop.time()
            return call
        except ConnectionResetError:
            return call
        except TenureError as error:
            call.value = type(error).__name__
            if not isinstance(error, _TRUE):
                self.world.trace.add("failed", verb, instance_id, call.value)
                return call
            call.outcome = REFUSED
        call.returned = loop.time()
        self.world.trace.add(
            "client", pod.name, verb, instance_id, argument, call.outcome, call.value
        )
        return call

    async def start(
        self,
        name: str,
        instance_id: str,
        given: str | None,
        *,
        replace: frozenset[Status] = TERMINAL,
        after: float = 0.0,
        kept: str = "",
    ) -> Call:
        """Start an instance, ``after`` seconds from now, to be ``kept`` so long after its end."""

        async def do(engine: AppEngine) -> str:
            at = Instant.of(engine.clock() + round(after * 1e9)) if after else None
            creation = start(
                name,
                instance_id=instance_id,
                input=given,
                scheduled_start=at,
                tags={RETENTION_TAG: kept} if kept else None,
                now=engine.clock(),
                ids=engine.ids,
                limits=Limits(),
            )
            await engine.operations.start(creation, replace=replace)
            return "started"

        return await self.ask("start", instance_id, do, name)

    async def tell(self, instance_id: str, payload: str) -> Call:
        """Raise an event."""

        async def do(engine: AppEngine) -> None:
            await engine.operations.raise_event(instance_id, WORD, payload)

        call = await self.ask("raise", instance_id, do, payload)
        self.told.setdefault(instance_id, []).append((payload, call.outcome))
        return call

    async def status(self, instance_id: str) -> Call:
        """What it is."""

        async def do(engine: AppEngine) -> str | None:
            head = await engine.operations.head(instance_id)
            return None if head is None else head.status.name

        return await self.ask("get", instance_id, do)

    async def wait(self, instance_id: str) -> Call:
        """Wait for its end."""

        async def do(engine: AppEngine) -> tuple[str, str | None]:
            head = await engine.operations.wait(instance_id, end=True)
            return head.status.name, head.output

        return await self.ask("wait", instance_id, do)

    async def terminate(self, instance_id: str) -> Call:
        """Terminate it."""

        async def do(engine: AppEngine) -> None:
            await engine.operations.terminate(instance_id, "over", recurse=True)

        return await self.ask("terminate", instance_id, do)

    async def suspend(self, instance_id: str) -> Call:
        """Suspend it."""

        async def do(engine: AppEngine) -> None:
            await engine.operations.suspend(instance_id, None)

        return await self.ask("suspend", instance_id, do)

    async def resume(self, instance_id: str) -> Call:
        """Resume it."""

        async def do(engine: AppEngine) -> None:
            await engine.operations.resume(instance_id, None)

        return await self.ask("resume", instance_id, do)

    async def purge(self, instance_id: str, *, force: bool = False) -> Call:
        """Purge it; ``force``: though it has not ended."""

        async def do(engine: AppEngine) -> int:
            return await engine.operations.purge(instance_id, recursive=False, force=force)

        return await self.ask("purge", instance_id, do, FORCE if force else "")

    # --- what clients do ----------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """One more client."""
        self._open.append(self.process.spawn(work))

    def name(self, kind: str) -> str:
        """A new id."""
        self._number += 1
        return f"{kind}-{self._number}"

    async def insist(self, make: Callable[[], Coroutine[Any, Any, Call]]) -> Call:
        """Call until there is an answer."""
        while True:
            call = await make()
            if call.outcome in (OK, REFUSED):
                return call
            await asyncio.sleep(_PAUSE)

    async def begin(self, name: str, given: str | None, instance_id: str) -> None:
        """Start it for certain, and once: an earlier request of the same may be carried out when it
        has ended, and must not start it anew."""
        once = frozenset[Status]()
        await self.insist(lambda: self.start(name, instance_id, given, replace=once))
        self.started[instance_id] = name

    async def see(self, instance_id: str) -> None:
        """Wait for its end for certain."""
        call = await self.insist(lambda: self.wait(instance_id))
        if call.outcome == OK:
            self.outputs[instance_id] = call.value[1]

    async def plain(self, name: str, given: str | None) -> None:
        """Start a workflow and wait for it."""
        instance_id = self.name(name)
        await self.begin(name, given, instance_id)
        await self.see(instance_id)

    async def talk(self) -> None:
        """Start a workflow that counts events, and tell it some, for as long as there are faults."""
        instance_id = self.name("count")
        await self.begin("count", None, instance_id)
        number = 0
        while not self.over and number < 40:
            count = self._random.choice((1, 1, 3, 5))
            words = [f"{instance_id}:{number + n}" for n in range(count)]
            number += count
            await asyncio.gather(*(self.tell(instance_id, word) for word in words))
            longest = 0.4 if self.world.confused else 4.0  # most while it matters
            await asyncio.sleep(self._random.uniform(0.05, longest))
        # One that its watch missed is found by the sweep, and overtaken by later ones meanwhile.
        await asyncio.sleep(SWEEP + 7.0)
        await self.insist(lambda: self.tell(instance_id, ENOUGH))
        await self.see(instance_id)

    async def gossip(self) -> None:
        """Start a workflow that sends many events to another one."""
        instance_id, number = self.name("tell"), self._random.randrange(2, 7)
        listener = f"heard-{instance_id}"
        await self.begin("listen", str(number), listener)
        await self.begin("tell", f"{number} {listener}", instance_id)
        await self.see(instance_id)
        await self.see(listener)

    async def crowd(self) -> None:
        """Tell a workflow more than it listens to, all at once: some comes when it has ended."""
        instance_id = self.name("listen")
        await self.begin("listen", "2", instance_id)
        await asyncio.gather(*(self._tell_soon(f"{instance_id}:{n}", 0.2) for n in range(8)))
        await self.insist(lambda: self.tell(instance_id, f"{instance_id}:8"))
        await self.insist(lambda: self.tell(instance_id, f"{instance_id}:9"))
        await self.see(instance_id)

    async def _tell_soon(self, word: str, within: float) -> None:
        await asyncio.sleep(self._random.uniform(0.0, within))
        await self.tell(word.partition(":")[0], word)

    async def later(self) -> None:
        """Start a workflow at a time to come, and wait for its end or purge it before."""
        instance_id, after = self.name("chain"), self._random.uniform(1.0, 12.0)
        await self.insist(
            lambda: self.start("chain", instance_id, "1", replace=frozenset(), after=after)
        )
        if self._random.random() < 0.7:
            await self.see(instance_id)
        else:
            await self.insist(lambda: self.purge(instance_id, force=True))

    async def churn(self) -> None:
        """Delete workflows in the middle of their work, and start others under the same id."""
        instance_id = self.name("again")
        for _ in range(8):
            given = str(self._random.randrange(3, 9))
            kind = self._random.choice(("nap", "chain", "fan"))
            anyway = self._random.choice((TERMINAL, frozenset(Status)))
            await self.insist(partial(self.start, kind, instance_id, given, replace=anyway))
            await asyncio.sleep(self._random.choice((0.01, 0.03, 0.05, 0.1, 0.5)))
            if self._random.random() < 0.4:
                await self.insist(partial(self.purge, instance_id, force=True))
        await self.insist(partial(self.purge, instance_id, force=True))

    async def fleeting(self) -> None:
        """Start a workflow that is to be deleted soon after its end, and see that it is."""
        instance_id, kept = self.name("fleeting"), self._random.randrange(1, 15)
        once = frozenset[Status]()
        given = str(self._random.randrange(1, 4))
        await self.insist(
            lambda: self.start("chain", instance_id, given, replace=once, kept=f"{kept}s")
        )
        while (await self.insist(lambda: self.status(instance_id))).value is not None:
            await asyncio.sleep(self._random.uniform(0.5, 3.0))

    async def meddle(self) -> None:
        """Suspend, resume and at last terminate a workflow that waits."""
        instance_id = self.name("listen")
        await self.begin("listen", "2", instance_id)
        while not self.over:
            await asyncio.sleep(self._random.uniform(0.2, 5.0))
            await self.suspend(instance_id)
            await self.tell(instance_id, f"{instance_id}:{self._random.randrange(1000)}")
            await asyncio.sleep(self._random.uniform(0.1, 3.0))
            await self.insist(lambda: self.resume(instance_id))
        await self.insist(lambda: self.terminate(instance_id))
        await self.see(instance_id)

    async def register(self, instance_id: str) -> None:
        """Do everything to one instance, as others do at the same time."""
        while not self.over:
            await asyncio.sleep(self._random.uniform(0.2, 4.0))
            draw = self._random.randrange(10)
            if draw < 3:
                await self.start("listen", instance_id, "2")
            elif draw < 6:
                await self.status(instance_id)
            elif draw < 7:
                await self.ask_raise(instance_id)
            elif draw < 9:
                await self.terminate(instance_id)
            else:
                await self.purge(instance_id, force=self._random.random() < 0.3)
        while True:  # nobody tells it anything more: let it end
            call = await self.insist(lambda: self.terminate(instance_id))
            if call.value == NoSuchInstanceError.__name__:
                return
            call = await self.insist(lambda: self.status(instance_id))
            if call.value is None or Status[call.value].terminal:
                return

    async def ask_raise(self, instance_id: str) -> None:
        """An event to an instance that may not be there."""
        self._number += 1
        await self.tell(instance_id, f"{instance_id}:{self._number}")

    async def finish(self, within: float) -> list[str]:
        """Stop asking and let everything end; what did not, in ``within`` seconds."""
        self.over = True
        done, pending = await asyncio.wait(self._open, timeout=within)
        for task in self._open:
            if task in done:
                task.result()
        left = [task.get_name() for task in self._open if task in pending]
        for task in pending:
            task.cancel()
        return left
