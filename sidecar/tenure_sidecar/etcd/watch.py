"""Watches: what changed, in order, without a hole that is not told of.

All watches of a client share one stream.  When it breaks they go on, on a new one, at the revision
after the last that was seen, so nothing is missed.  When etcd has compacted that revision away,
the watch yields a batch with ``gap`` and goes on from where history begins: the consumer must list.
The same happens when a consumer is so slow that its queue is full.

Silence may mean that nothing happens or that the connection is half-open.  A stream that is silent
is asked for its progress, unless renewals of leases say that nothing was written since it was last
heard; when it does not answer, it is given up.  So is it, at once, when another call to etcd failed
(``suspect``).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc.aio
import msgspec
import structlog

from tenure_common.errors import EtcdAccessError, EtcdUnavailableError, StoreError
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.etcd.faults import named, task_cancelled, token_is_stale, translate
from tenure_sidecar.etcd.pool import Method
from tenure_sidecar.etcd.records import KeyValue, key_value

if TYPE_CHECKING:
    from tenure_sidecar.etcd.access import Tokens
    from tenure_sidecar.etcd.pool import Endpoint, Pool

_log = structlog.get_logger(__name__)

_WATCH = Method("/etcdserverpb.Watch/Watch", pb.WatchRequest, pb.WatchResponse)
_QUEUE = 4096  # batches
_CONNECT = 2.0  # seconds
_ANSWER = 2.0  # seconds for an answer to "are you there?"
_ALL = -1  # the watch that the answer to a progress request names
_PAUSE_MIN, _PAUSE_MAX = 0.05, 1.0  # seconds between streams


class Event(msgspec.Struct, frozen=True):
    """One change of one key.  Of a deleted key, ``kv`` has only key and mod_revision."""

    deleted: bool
    kv: KeyValue


class Batch(msgspec.Struct, frozen=True):
    """Changes up to ``revision``; those of one transaction are never parted.  ``gap``: some may be
    missing before what comes next; list what you watch."""

    revision: int
    events: tuple[Event, ...] = ()
    gap: bool = False


class Watch:
    """Changes of the keys in [key, end); iterate over it, and ``close`` it in the end."""

    def __init__(self, key: bytes, end: bytes, *, revision: int, deletes: bool) -> None:
        self._key, self._end = key, end
        self._deletes = deletes
        self._next = revision  # the first revision not seen; 0 = from now on
        self._batches: deque[Batch] = deque()
        self._arrived = asyncio.Event()
        self.denied = False  # by etcd, the last time it was asked
        self._over = False
        self._error: StoreError | None = None
        self._started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.close: Callable[[], None]  # watch no more

    async def started(self) -> int:
        """Wait until etcd watches; returns the revision of the store just before the watch begins:
        list at this revision or later, and nothing is missed.  Raises: StoreError."""
        return await asyncio.shield(self._started)

    def request(self, number: int) -> pb.WatchRequest:
        """What makes etcd watch, from where this one has come to."""
        request = pb.WatchCreateRequest(
            key=self._key,
            range_end=self._end,
            start_revision=self._next,
            progress_notify=True,
            filters=() if self._deletes else (pb.WatchCreateRequest.NODELETE,),
            watch_id=number,
        )
        return pb.WatchRequest(create_request=request)

    def begun(self, revision: int) -> None:
        """There is an answer, of etcd at ``revision``: it watches, or cannot from so far back."""
        self.denied = False
        self._next = self._next or revision + 1
        if not self._started.done():
            self._started.set_result(self._next - 1)

    def created(self, revision: int) -> None:
        """It has begun; ``revision`` is that of the member.

        One that is behind what was seen will tell nothing for a while, or etcd went back to the past
        (``past``), and will not tell of what it writes anew: whoever lists finds out which it is.
        """
        self.begun(revision)
        if revision < self._next - 1:
            self._put(Batch(self._next - 1, gap=True))

    def add(self, batch: Batch) -> None:
        """Everything up to ``batch.revision`` has arrived."""
        self._next = batch.revision + 1
        if batch.events or batch.gap:
            self._put(batch)

    def _put(self, batch: Batch) -> None:
        if len(self._batches) >= _QUEUE:
            self._batches.clear()
            batch = Batch(batch.revision, gap=True)
        self._batches.append(batch)
        self._arrived.set()

    def end(self, error: StoreError | None = None) -> None:
        """Nothing more will arrive."""
        self._over, self._error = True, error
        self._arrived.set()
        if not self._started.done():
            self._started.set_exception(error or EtcdUnavailableError("the watch was closed"))
            self._started.exception()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Batch:
        """The next batch; ends when the watch is closed.  Raises: EtcdAccessError."""
        while not self._batches:
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._batches.popleft()


class Watches:
    """The stream of a client's watches.

    Args:
        pool: where to connect.
        tokens: who we are.
        clock: monotonic, seconds.
        silence: seconds without a word after which a stream is asked for one.
        revision: the store's, as it was heard elsewhere not long ago; None = nothing was.
        told: is told what every answer begins with; when it raises, the answer is not believed.
    """

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        pool: Pool,
        tokens: Tokens,
        *,
        clock: Callable[[], float],
        silence: float,
        revision: Callable[[], int | None],
        told: Callable[[pb.ResponseHeader], None],
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._silence = silence
        self._revision = revision
        self._tell = told
        self._numbers = itertools.count(1)
        self._watches: dict[int, Watch] = {}
        self._creating: deque[int] = deque()  # asked for on this stream, in order
        self._outbox: asyncio.Queue[pb.WatchRequest] = asyncio.Queue()
        self._doubt = asyncio.Event()
        self._heard = 0.0
        self._told = 0  # the store's revision when the stream was last heard
        self._complete = 0  # up to this revision, the stream said, it has told everything
        self._completed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.streams = 0  # opened so far

    def add(self, key: bytes, end: bytes, *, revision: int, deletes: bool) -> Watch:
        """Begin a watch."""
        watch = Watch(key, end, revision=revision, deletes=deletes)
        watch.close = lambda: self._remove(watch)
        self._create(watch)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="etcd watch")
        return watch

    def suspect(self) -> None:
        """Another call to etcd failed: make sure that the stream is not dead."""
        self._doubt.set()

    async def reached(self, revision: int) -> None:
        """Return when the watches have been told of everything up to ``revision``; a stream that
        does not answer is given up meanwhile, and told anew.

        etcd answers so only when no watch is behind.  3.5.0 to 3.5.7 may answer before what they
        send (etcd issue 15220): there, what is on its way counts as told.
        """
        while self._watches and self._complete < revision:
            self._completed.clear()
            self._doubt.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER):  # it was behind, or gone: ask again
                    await self._completed.wait()

    async def close(self) -> None:
        """End all watches."""
        for watch in self._watches.values():
            watch.end()
        self._watches.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _create(self, watch: Watch) -> None:
        # Never the same number again: etcd 3.5 keeps those of cancelled watches.
        number = next(self._numbers)
        self._watches[number] = watch
        self._creating.append(number)
        self._outbox.put_nowait(watch.request(number))

    def _remove(self, watch: Watch) -> None:
        watch.end()
        for number in [n for n, there in self._watches.items() if there is watch]:
            del self._watches[number]
            request = pb.WatchCancelRequest(watch_id=number)
            self._outbox.put_nowait(pb.WatchRequest(cancel_request=request))

    # --- the stream -------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = _PAUSE_MIN
        while self._watches:
            began = self._heard
            try:
                await self._stream()
            except StoreError as error:
                _log.warning("etcd watch interrupted, going on", error=str(error))
            pause = _PAUSE_MIN if self._heard > began else min(pause * 2, _PAUSE_MAX)
            await asyncio.sleep(pause)

    async def _stream(self) -> None:
        """One stream, from its opening to its end.  Raises: StoreError, with the reason."""
        endpoint = await self._pool.ready(_CONNECT)
        metadata = await self._tokens.metadata()
        call = endpoint.stream(_WATCH, metadata)
        self.streams += 1
        self._told = self._complete = 0  # by this one, nothing
        self._outbox = asyncio.Queue()
        self._creating.clear()
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            self._create(watch)
        loop = asyncio.get_running_loop()
        tasks = (loop.create_task(self._send(call)), loop.create_task(self._pulse(call)))
        try:
            while self._watches:
                response = await call.read()
                if not isinstance(response, pb.WatchResponse):  # the end of the stream
                    return
                self._tell(response.header)
                self._heard, self._told = self._clock(), response.header.revision
                self._take(response)
        except grpc.aio.AioRpcError as error:
            if not (token_is_stale(error.details()) and self._tokens.stale(metadata)):
                self._pool.failed(endpoint)
            raise translate(error, what="watch", where=endpoint.url, write=False) from error
        except EtcdAccessError:
            # etcd says "permission denied" of a token that is too old, too: try with a new one.
            self._tokens.stale(metadata)
            raise
        except asyncio.CancelledError:
            if task_cancelled():
                raise
            self._cut_off(endpoint)
        finally:
            call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _cut_off(self, endpoint: Endpoint) -> None:
        """The call ended on our side.  Raises: EtcdUnavailableError, unless the connection made room
        for one with newer certificates."""
        if self._pool.left(endpoint):
            return
        self._pool.failed(endpoint)
        message = f"watch at etcd {endpoint.url}: no sign of life"
        raise EtcdUnavailableError(message) from None

    async def _send(self, call: Any) -> None:  # noqa: ANN401 - grpc's own type is not generic
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await call.write(await self._outbox.get())

    async def _pulse(self, call: Any) -> None:  # noqa: ANN401
        """Give a stream up that does not answer."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._silence):
                    await self._doubt.wait()
            asked = self._clock()
            quiet = asked - self._heard < self._silence or self._revision() == self._told
            if quiet and not self._doubt.is_set():
                continue
            self._doubt.clear()
            self._outbox.put_nowait(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))
            await asyncio.sleep(min(_ANSWER, self._silence))
            if self._heard < asked:
                call.cancel()
                return

    def _take(self, response: pb.WatchResponse) -> None:
        """Pass on what etcd said.  Raises: StoreError, when a new stream is needed."""
        number, revision = response.watch_id, response.header.revision
        if response.created:
            asked = self._creating.popleft()
            if number not in self._watches:  # some versions refuse without naming the watch
                number = asked
        watch = self._watches.get(number)
        if watch is None:  # the answer to a progress request, or a watch that was closed
            if number == _ALL:
                self._complete = revision
                self._completed.set()
            return
        if response.canceled:
            self._cancelled(number, watch, response)
        elif response.created:
            watch.created(revision)
        elif response.events:
            events = tuple([_event(event) for event in response.events])
            # Not the header's revision: etcd sends what is old in several responses.
            watch.add(Batch(events[-1].kv.mod_revision, events))
        else:
            watch.add(Batch(revision))

    def _cancelled(self, number: int, watch: Watch, response: pb.WatchResponse) -> None:
        del self._watches[number]
        if response.compact_revision:
            watch.begun(response.header.revision)  # which may be none
            watch.add(Batch(response.compact_revision - 1, gap=True))
            self._create(watch)
            return
        text = response.cancel_reason.partition(" desc = ")[2] or response.cancel_reason
        error = named(text, f"watch: {text}") or EtcdUnavailableError(f"watch cancelled: {text}")
        if isinstance(error, EtcdAccessError) and (watch.denied or not self._tokens.in_use):
            watch.end(error)
            return
        watch.denied = True
        self._watches[number] = watch
        raise error


def _event(event: pb.Event) -> Event:
    return Event(event.type == pb.Event.DELETE, key_value(event.kv))
