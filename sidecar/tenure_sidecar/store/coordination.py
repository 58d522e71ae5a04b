"""What a store offers to processes that share it: who is there, who owns what, what others do.

Three kinds of keys, each under the lease of the process that wrote it, so that they go when it does:

* *members*, by name: one record for each process;
* *owners*, by partition: who owns it.  The key's revision is the fence that every commit compares,
  so taking a partition, from whomever, shuts the last owner out by the same write;
* *running*, by partition and name: what a process that gave the partition away still has at its
  workers.  It is written by the same write that gives the partition away.

The store knows nothing of what the records say; ``actors/sharing`` does.  A lease tells others when
to try and never makes anything safe: that is the fence's business.

Revisions are the store's: every change has a larger one than all before it, whatever key it is of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from tenure_sidecar.store.port import Fence

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head


class Held(msgspec.Struct, frozen=True):
    """A key: what it says, the revision of its last change, the lease that it goes with."""

    value: bytes
    revision: int
    lease: int


Running = tuple[int, str]  # partition, name of the process


class Roster(msgspec.Struct, frozen=True):
    """Everything as of ``revision``, one snapshot."""

    owners: Mapping[int, Held]
    members: Mapping[str, Held]
    revision: int
    running: Mapping[Running, Held] = {}


class News(msgspec.Struct, frozen=True):
    """What changed at ``revision``; None = the key is gone.  Of owners and what is running it tells
    everything up to ``revision``, and so it does of members, but the two need not come in one order.
    After a ``gap`` changes may be missing, and the roster must be read anew."""

    revision: int
    owners: Mapping[int, Held | None] = {}
    members: Mapping[str, Held | None] = {}
    running: Mapping[Running, Held | None] = {}
    gap: bool = False


class Session(Protocol):
    """A lease that is renewed until it is closed or lost."""

    lost: asyncio.Event  # it is over although nobody closed it

    @property
    def id(self) -> int:
        """The lease's number."""
        ...

    def alive(self) -> bool:
        """Whether it is certainly alive, by our own clock."""
        ...

    async def close(self) -> None:
        """End it and delete its keys; no fault when it has ended already.  Raises: StoreError."""
        ...

    def abandon(self) -> None:
        """Renew it no more: it ends by itself, as after the process's death."""
        ...


class Coordination(Protocol):
    """See the module docstring.  All methods may raise StoreError; after OutcomeUnknownError the
    roster tells what happened."""

    # --- who is there, who owns what ----------------------------------------------------------

    async def session(self) -> Session:
        """A new lease of our own."""
        ...

    async def roster(self) -> Roster:
        """Everything, read from the newest state."""
        ...

    def owner_news(self, since: int) -> AsyncIterator[News]:
        """Changes of owner and running keys after revision ``since``, of all processes, for ever."""
        ...

    def member_news(self, since: int) -> AsyncIterator[News]:
        """The same of member keys."""
        ...

    async def announce(self, name: str, value: bytes, *, session: Session) -> None:
        """Write the member's record, or another one in its place."""
        ...

    async def claim(
        self, partitions: Mapping[int, int], value: bytes, *, session: Session
    ) -> dict[int, Fence | None]:
        """Take partitions, each only if its owner key is still at the given revision (0 = there is
        none); None for those that were not.

        When this returns, what earlier owners' turns left to send is sent.
        """
        ...

    async def give(
        self, fences: Sequence[Fence], running: Mapping[int, bytes], name: str, *, session: Session
    ) -> dict[int, int]:
        """Give partitions back, each only if it is still ours: the revision at which its key went;
        those that are another's by now are left alone, and not in the answer.  ``running`` says, for
        some of them, what ``name`` still runs: written where the partition is given back."""
        ...

    async def still_running(
        self, running: Mapping[int, bytes | None], name: str, *, session: Session
    ) -> None:
        """Say anew what ``name`` still runs of partitions that it gave back; None = nothing."""
        ...

    # --- what others do -----------------------------------------------------------------------

    def observe(self, instance_id: str) -> AsyncIterator[Head | None]:
        """The instance's head as it is, then whenever it changes; None = there is none.  Changes
        that another one has overtaken may be left out, the newest never is."""
        ...

    async def taken(self, instance_id: str, key: str) -> None:
        """Return when there is no item ``key`` in the instance's inbox (any more)."""
        ...

    async def arrivals(
        self, partitions: Sequence[int], *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """Instance and key of inbox items of the partitions, in that order, without those of
        instances whose scheduled start is still to come.

        For the slow sweep: what is here and unknown to the owner was missed by its watch.
        """
        ...

    async def heard(self) -> None:
        """Return when the watches of this process have told everything that was committed before
        the call; what they have not told then, they never will.  Raises: StoreError."""
        ...

    async def over(self) -> None:
        """Never returns.  Raises: StoreError, when the store is in an earlier state than it was: what
        this process knows of it is not true, and only another process can go on."""
        ...
