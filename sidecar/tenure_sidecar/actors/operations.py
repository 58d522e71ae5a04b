"""What clients may ask of instances, whatever protocol they ask in.

Each operation returns when its effect is durable.  Control operations (suspend, resume, terminate)
return when the turn that carried them out is durable, so that a client that reads next sees it; they
need no worker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenure_common.errors import (
    NoSuchInstanceError,
    NotTerminalError,
)
from tenure_sidecar.actors.waiters import Waiter, ended, started
from tenure_sidecar.engine import rerun, restart, rewind, starting
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.state import State
from tenure_sidecar.store.port import Create, Created, Delivery, Purge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure_sidecar.actors.host import Host
    from tenure_sidecar.actors.instance import Ack, Instance
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.events import Event, Instant
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.turn import Creation, InboxItem
    from tenure_sidecar.store.group import GroupWriter
    from tenure_sidecar.store.port import Page, Query, Result, Store

TERMINAL = frozenset(s for s in Status if s.terminal)
_PURGE_PAGE = 500


def _missing(instance_id: str) -> NoSuchInstanceError:
    # SDKs match on "no such instance exists".
    return NoSuchInstanceError(f"no such instance exists: '{instance_id}'")


def _settles(future: asyncio.Future[None]) -> Ack:
    """What settles the future, once; its error may be nobody's."""

    def ack(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()

    return ack


class Operations:
    """The verbs; see the module docstring."""

    def __init__(
        self, host: Host, *, store: Store, writer: GroupWriter, ids: Ids, clock: Clock
    ) -> None:
        self._host = host
        self._store = store
        self._writer = writer
        self.ids = ids
        self.clock = clock

    # --- start and read -------------------------------------------------------------------------

    async def start(self, creation: Creation, *, replace: frozenset[Status] = TERMINAL) -> Head:
        """Create an instance; an existing one in a status of ``replace`` gives its id up.

        Raises: InstanceExistsError.
        """
        done: asyncio.Future[Head] = asyncio.get_running_loop().create_future()

        def written(created: Created | None, error: BaseException | None) -> None:
            if done.done():
                return
            if created is not None:
                done.set_result(created.head)
            else:
                done.set_exception(error or RuntimeError("no result"))

        self._host.writes.create(
            Create(creation=creation, input=creation.start.input, replace=replace), written
        )
        return await done

    async def start_new(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002 - the protocol's word
        start_at: Instant | None = None,
    ) -> str:
        """Create an instance by its bare necessities and return its id.

        Raises: InstanceExistsError, BadRequestError.
        """
        creation = starting.start(
            name,
            instance_id=instance_id or "",
            input=input,
            scheduled_start=start_at,
            now=self.clock(),
            ids=self.ids,
        )
        return (await self.start(creation)).instance_id

    async def head(self, instance_id: str) -> Head | None:
        """The durable head, None when there is no such instance."""
        return await self._host.head(instance_id)

    async def state(self, instance_id: str) -> tuple[Head, str | None] | None:
        """Head and input."""
        head = await self._host.head(instance_id)
        if head is None:
            return None
        present = self._present(head)
        return head, present.input if present else await self._store.input(instance_id)

    async def wait(self, instance_id: str, *, end: bool) -> Head:
        """Wait until the instance has started, or (``end``) until it is terminal; for ever unless
        cancelled.

        Raises: NoSuchInstanceError when it does not exist or was purged meanwhile.
        """
        head, _ = await self._wait(instance_id, end=end)
        return head

    async def wait_state(self, instance_id: str, *, end: bool) -> tuple[Head, str | None]:
        """The same, and the input.  Raises: as ``wait``."""
        head, present = await self._wait(instance_id, end=end)
        given = present.input if present else await self._store.input(instance_id)
        return head, given

    async def _wait(self, instance_id: str, *, end: bool) -> tuple[Head, Instance | None]:
        """The head, and the instance if it was in memory when that head became durable."""
        fulfilled = ended if end else started
        while (found := await self._next(instance_id, fulfilled)) is None:
            pass
        return found

    async def _next(
        self, instance_id: str, fulfilled: Callable[[Head], bool]
    ) -> tuple[Head, Instance | None] | None:
        """As ``_wait``; None when what was told may be of another use of the id, which an answer that
        came late tells of: look again.  Raises: NoSuchInstanceError."""
        told: asyncio.Future[tuple[Head | None, Instance | None]]
        told = asyncio.get_running_loop().create_future()

        def tell(head: Head | None) -> None:
            if not told.done():
                told.set_result((head, None if head is None else self._present(head)))

        waiter = Waiter(fulfilled, tell)
        self._host.waiters.add(instance_id, waiter)
        outlook = self._host.outlook
        if outlook is not None and not self._host.holds(instance_id):
            outlook.watch((instance_id,))
        try:
            head = await self._host.head(instance_id)
            if head is None:
                raise _missing(instance_id)
            if fulfilled(head):
                return head, self._present(head)
            result, present = await told
            if result is None or result.created_at != head.created_at:
                return None
            return result, present
        finally:
            self._host.waiters.remove(instance_id, waiter)
            if outlook is not None:
                outlook.left(instance_id)

    def _present(self, head: Head) -> Instance | None:
        """The copy in memory, if it is of the same use of the id."""
        resident = self._host.resident(head.instance_id)
        if resident is None or resident.durable.created_at != head.created_at:
            return None
        return resident

    @property
    def waiting(self) -> int:
        """Calls of ``wait`` under way."""
        return len(self._host.waiters)

    async def history(self, instance_id: str) -> tuple[Head, tuple[Event, ...]]:
        """Head and committed history of the current generation.  Raises: NoSuchInstanceError."""
        loaded = await self._store.load(instance_id)
        if loaded is None:
            raise _missing(instance_id)
        return loaded.head, loaded.history

    async def children(self, instance_id: str) -> tuple[str, ...]:
        """Ids of the instance's children."""
        return await self._store.children(instance_id)

    async def page(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        """One page of heads."""
        return await self._store.heads(query, limit=limit, cursor=cursor)

    async def input(self, instance_id: str) -> str | None:
        """Input of the current generation."""
        return await self._store.input(instance_id)

    # --- messages -------------------------------------------------------------------------------

    async def _send(self, instance_id: str, item: InboxItem, *, consumed: bool) -> None:
        """Put an item into the inbox; ``consumed``: and wait until a turn has taken it."""
        coordination = self._store.coordination
        if self._host.sharing is None or coordination is None:
            await self._send_here(instance_id, item, consumed=consumed)
            return
        delivery = await self._deliver(instance_id, item)
        if delivery is Delivery.MISSING:
            raise _missing(instance_id)
        # Refused: it has ended, and nothing is lost.
        if consumed and delivery is not Delivery.REFUSED:
            await coordination.taken(instance_id, item.key)

    async def _deliver(self, instance_id: str, item: InboxItem) -> Delivery:
        """Through the store, whose watch tells the owner, also when that is this process: what was
        acknowledged elsewhere before may not have come here yet, and must come first."""
        done: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        def written(result: Delivery | BaseException) -> None:
            if done.done():
                return
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)

        self._host.writes.tell(instance_id, item, written)
        return await done

    async def _send_here(self, instance_id: str, item: InboxItem, *, consumed: bool) -> None:
        """Through the copy in memory, where nobody else writes to the store."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settle = _settles(done)

        def reached(instance: Instance | None, error: BaseException | None) -> None:
            if instance is None:
                settle(error or _missing(instance_id))
            elif consumed:
                instance.receive(item, consumed=settle)
            else:
                instance.receive(item, ack=settle)

        self._host.reach(instance_id, reached)
        await done

    async def raise_event(
        self, instance_id: str, name: str, data: str | None, *, key: str | None = None
    ) -> None:
        """Put an external event into the inbox; one of the same ``key`` is a repeat.

        Raises: NoSuchInstanceError.
        """
        item = starting.raise_event(name, data, key=key, now=self.clock(), ids=self.ids)
        await self._send(instance_id, item, consumed=False)

    async def has_event(self, instance_id: str, key: str) -> bool:
        """Whether the instance got an event of that key.  Raises: NoSuchInstanceError."""
        head, history = await self.history(instance_id)
        return key in State.fold(head, history).raised

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Suspend.  Raises: NoSuchInstanceError."""
        item = starting.suspend(reason, now=self.clock(), ids=self.ids)
        await self._send(instance_id, item, consumed=True)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Resume.  Raises: NoSuchInstanceError."""
        item = starting.resume(reason, now=self.clock(), ids=self.ids)
        await self._send(instance_id, item, consumed=True)

    async def terminate(self, instance_id: str, output: str | None, *, recurse: bool) -> None:
        """Terminate; its children too when ``recurse``.  Raises: NoSuchInstanceError."""
        item = starting.terminate(output, recurse=recurse, now=self.clock(), ids=self.ids)
        await self._send(instance_id, item, consumed=True)

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Put a failed instance back before its failures.

        Raises: NoSuchInstanceError, NotFailedError.
        """
        head = await self._require(instance_id)
        item = rewind.rewind(head, reason, now=self.clock(), ids=self.ids)
        await self._send(instance_id, item, consumed=False)

    # --- new instances from old ones --------------------------------------------------------------

    async def restart(self, instance_id: str, *, new_id: bool, as_id: str | None = None) -> str:
        """Run a finished instance's workflow again; returns the new run's id.

        Args:
            new_id: under another id: ``as_id``, which must be free, or one of the engine's choice.

        Raises: NoSuchInstanceError, NotTerminalError, InstanceExistsError.
        """
        head = await self._require(instance_id)
        given = await self._store.input(instance_id)
        creation = restart.restart(
            head, given, new_id=new_id, as_id=as_id, now=self.clock(), ids=self.ids
        )
        replace = frozenset[Status]() if as_id else TERMINAL
        return (await self.start(creation, replace=replace)).instance_id

    async def rerun(  # noqa: PLR0913 - what the request has
        self,
        instance_id: str,
        *,
        event_id: int,
        new_id: str = "",
        overwrite_input: bool = False,
        given: str | None = None,
        child_id: str = "",
    ) -> str:
        """Run a finished instance again from one of its events; returns the new instance's id.

        Raises: NoSuchInstanceError, BadRerunError, NoSuchEventError, InstanceExistsError.
        """
        head, history = await self.history(instance_id)
        creation = rerun.rerun_from_event(
            head,
            history,
            event_id=event_id,
            instance_id=new_id,
            overwrite_input=overwrite_input,
            input=given,
            child_id=child_id,
            now=self.clock(),
            ids=self.ids,
        )
        return (await self.start(creation, replace=frozenset())).instance_id

    async def _require(self, instance_id: str) -> Head:
        head = await self._host.head(instance_id)
        if head is None:
            raise _missing(instance_id)
        return head

    # --- purge ----------------------------------------------------------------------------------

    async def purge(self, instance_id: str, *, recursive: bool, force: bool = False) -> int:
        """Delete a terminal instance (``force``: any), with its children when ``recursive``.

        Returns how many instances were deleted.
        Raises: NotTerminalError; a missing instance counts 0.
        """
        children = await self._store.children(instance_id) if recursive else ()
        result = await self._write(
            Purge(instance_id, only=None if force else TERMINAL), instance_id
        )
        if result is Delivery.REFUSED:
            # SDKs match on this text.
            message = (
                f"orchestration has not yet completed: '{instance_id}'; terminate it first, "
                "or purge with force"
            )
            raise NotTerminalError(message)
        deleted = int(result is Delivery.DELIVERED)
        if deleted:
            self._host.purged(instance_id)
        for child in children:
            try:
                deleted += await self.purge(child, recursive=True, force=force)
            except NotTerminalError:
                continue  # a child that outlives its parent keeps its state
        return deleted

    async def purge_matching(self, query: Query, *, recursive: bool) -> int:
        """Purge every terminal instance that matches; returns how many."""
        deleted = 0
        cursor: str | None = None
        while True:
            page = await self._store.heads(query, limit=_PURGE_PAGE, cursor=cursor)
            for head in page.heads:
                if head.status.terminal:
                    deleted += await self.purge(head.instance_id, recursive=recursive)
            cursor = page.cursor
            if cursor is None:
                return deleted

    async def _write(self, op: Purge, instance_id: str) -> Result:
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def written(result: Result | BaseException) -> None:
            if done.done():
                return
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)

        self._writer.submit(op, written, instance_id=instance_id)
        return await done
