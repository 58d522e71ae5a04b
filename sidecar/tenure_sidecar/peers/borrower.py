"""The peer's end: activities of other members come in, and their results go back.

``Borrower`` is one stream; ``Borrowers`` are all of them, and share out the slots that are free.  A
member is only told of slots when it has something for them, so that nothing is said while every app
has room enough for its own work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from tenure_common.errors import ShuttingDownError
from tenure_sidecar.peers import frames
from tenure_sidecar.peers.lend import limits, together
from tenure_sidecar.peers.outbox import Outbox

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Ack
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.wire.codec import ActivityResult


class Borrower:
    """One lender's stream; implements ``dispatch.loans.Lender``."""

    def __init__(
        self, name: str, dispatcher: Dispatcher, *, clock: Clock, look: Callable[[], None]
    ) -> None:
        self.name = name
        self.wanting = False
        self._dispatcher = dispatcher
        self._clock = clock
        self._look = look
        self._told: frames.Room | None = None
        self._acks: dict[str, Ack] = {}  # of results that are on their way to the lender
        self.outbox = Outbox()

    @property
    def unsettled(self) -> int:
        """Results that the lender has not acknowledged."""
        return len(self._acks)

    async def serve(
        self, incoming: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Until the stream ends.  Raises: BadRequestError, and what ``write`` raises."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._read(incoming)), loop.create_task(self.outbox.run(write))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            self._ended()  # before anything is awaited: grpc.aio may cancel what ends by itself, too
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, incoming: AsyncIterator[bytes]) -> None:
        async for message in incoming:
            for frame in frames.from_owner(message):
                match frame:
                    case frames.Want():
                        self.wanting = frame.more
                    case frames.Lent():
                        now = self._dispatcher.now()
                        self._dispatcher.loans.take(self, frame.what, now=now)
                    case frames.Settled():
                        self._settle(frame)
                    case frames.Ask():
                        self.outbox.put(frames.encode(frames.Time(self._clock())))
                    case frames.Hello():
                        pass
            self._look()

    def _settle(self, frame: frames.Settled) -> None:
        ack = self._acks.pop(frame.token, None)
        if ack is not None:
            ack(ShuttingDownError(frame.error) if frame.error else None)

    def _ended(self) -> None:
        """The lender is gone.  Results that it has not acknowledged may be lost: it, or who has the
        workflow by now, sends their activities again."""
        self._dispatcher.loans.orphan(self)
        acks, self._acks = self._acks, {}
        for ack in acks.values():
            ack(ShuttingDownError(f"the connection to '{self.name}', whose activity it is, ended"))

    # --- Lender -------------------------------------------------------------------------------

    def finished(self, token: str, result: ActivityResult, ack: Ack) -> None:
        """See ``Lender.finished``."""
        self._acks[token] = ack
        self.outbox.put(frames.encode(frames.Done(token, result.result, result.failure)))

    def refuse(self, token: str, *, size: int = 0) -> None:
        """See ``Lender.refuse``.  What room there is must be known before it comes back."""
        self._look()
        self.outbox.put(frames.encode(frames.Refused(token, size)))

    def lose(self, token: str) -> None:
        """See ``Lender.lose``."""
        self._look()
        self.outbox.put(frames.encode(frames.Lost(token)))

    def room(self, room: frames.Room) -> None:
        """Tell how much room there is, unless it is known."""
        if room != self._told:
            self._told = room
            self.outbox.put(frames.encode(room))


class Borrowers:
    """All streams of lenders; see the module docstring."""

    def __init__(self, dispatcher: Dispatcher, *, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._all: dict[int, Borrower] = {}  # by a number of its own
        self._count = 0  # since start
        self._calm: tuple[int, ...] = ()  # as everybody was told, when nobody had anything
        self._less = asyncio.Event()  # something was answered

    def __len__(self) -> int:
        return len(self._all)

    async def serve(
        self,
        name: str,
        incoming: AsyncIterator[bytes],
        write: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """One more stream, until it ends.  Raises: see ``Borrower.serve``."""
        one = Borrower(name, self._dispatcher, clock=self._clock, look=self.look)
        self._count += 1
        number = self._count
        self._all[number] = one
        self._calm = ()
        self.look()
        try:
            await one.serve(incoming, write)
        finally:
            del self._all[number]
            self.look()

    async def settled(self) -> None:
        """Wait until no lender waits for anything of ours."""
        while self._dispatcher.loans.owed or any(one.unsettled for one in self._all.values()):
            self._less.clear()
            await self._less.wait()

    def look(self) -> None:
        """Share out what is free, and tell those for whom something changed."""
        self._less.set()
        if not self._all:
            return
        loans = self._dispatcher.loans
        near = loans.workers
        calm = (len(self._all), *(stream.id for stream in near))
        if (
            not len(loans)
            and calm == self._calm
            and not any(one.wanting for one in self._all.values())
        ):
            return  # nobody has or wants anything, and all have been told of the workers
        wanting = {
            str(key) for key, one in self._all.items() if one.wanting and not one.outbox.full
        }
        found = limits(
            loans.free if wanting else 0,
            {str(key): loans.of(one) for key, one in self._all.items()},
            wanting,
            turn=int(self._dispatcher.now()),
        )
        takes = together([stream.hello.filters.activities for stream in near])
        largest = max((stream.caps.message_bytes for stream in near), default=0)
        for key, one in self._all.items():
            one.room(frames.Room(found[str(key)], largest, takes))
        self._calm = calm if not wanting and not len(loans) else ()
