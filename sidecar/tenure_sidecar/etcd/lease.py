"""Leases: how long something is ours, by our own clock.

etcd counts a lease's time from when it *handled* a grant or renewal; we count from before we *sent*
it.  So our deadline is always earlier than etcd's, whatever the network did, and what is held under
the lease is given up here before anybody else can have it.  ``Term`` is that arithmetic, pure;
``KeepAlives`` is one stream for the renewals of all leases, on a connection of its own, so that
bulk traffic cannot starve it; ``Lease`` renews one of them until it is closed or lost.

A lost lease stays lost: whoever wants to go on takes a new one.  The deadline is there to stop in
time, not to be safe: that is the fence's business in every write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc.aio
import msgspec
import structlog

from tenure_common.errors import EtcdLeaseGoneError, EtcdUnavailableError, StoreError
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.etcd.faults import task_cancelled, translate
from tenure_sidecar.etcd.pool import Method

if TYPE_CHECKING:
    from tenure_sidecar.etcd.access import Tokens
    from tenure_sidecar.etcd.pool import Endpoint, Pool

_log = structlog.get_logger(__name__)

DRIFT = 0.01  # by so much two machines' clocks may differ in speed
_RENEW_AFTER = 1 / 3  # of the term
_RETRY_AFTER = 1 / 20  # of the term

_BROKEN = "the stream of lease renewals to etcd broke; it is opened anew"

_KEEP_ALIVE = Method(
    "/etcdserverpb.Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse
)


class Term(msgspec.Struct, frozen=True):
    """What we know of a lease: until ``deadline`` (monotonic seconds) it is certainly alive."""

    id: int
    ttl: int  # seconds, as etcd granted them
    sent_at: float  # when the request that was answered last was sent

    @property
    def deadline(self) -> float:
        """From here on the lease counts as lost."""
        return self.sent_at + self.ttl * (1 - DRIFT)

    @property
    def renew_at(self) -> float:
        """When to renew next."""
        return self.sent_at + self.ttl * _RENEW_AFTER

    def alive(self, now: float) -> bool:
        """Whether it is certainly alive."""
        return now < self.deadline

    def renewed(self, answer: Term) -> Term:
        """After an answer; answers may overtake each other, and the later sent one counts."""
        return max(self, answer, key=lambda term: term.sent_at)


class KeepAlives:
    """The stream of renewals; ``pool`` should be nobody else's.  ``told`` is told what each
    answer begins with; when it raises, the answer is not believed."""

    def __init__(
        self,
        pool: Pool,
        tokens: Tokens,
        *,
        clock: Callable[[], float],
        told: Callable[[pb.ResponseHeader], None],
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._tell = told
        self._told = (float("-inf"), 0)  # when a renewal was answered last, and the revision then
        self._opening = asyncio.Lock()
        self._stream: _Stream | None = None

    def revision(self, *, within: float) -> int | None:
        """The store's revision as a renewal was told in the last ``within`` seconds; None without."""
        at, revision = self._told
        return revision if revision and self._clock() - at <= within else None

    def _answered(self, header: pb.ResponseHeader) -> None:
        self._tell(header)
        self._told = (self._clock(), header.revision)

    async def renew(self, lease: int, *, within: float) -> Term:
        """Renew; returns the new term, counted from before the request was sent.

        Raises: EtcdLeaseGoneError, and EtcdUnavailableError when no answer came within
        ``within`` seconds: the lease may or may not live longer.
        """
        endpoint: Endpoint | None = None
        try:
            async with asyncio.timeout(within):
                async with self._opening:
                    self._pool.look()
                    stream = self._stream
                    if stream is None or stream.broken or self._pool.left(stream.endpoint):
                        endpoint = await self._pool.ready(within)
                        metadata = await self._tokens.metadata()
                        stream = self._stream = _Stream(
                            endpoint, metadata, clock=self._clock, answered=self._answered
                        )
                endpoint = stream.endpoint
                term = await stream.renew(lease)
        except TimeoutError as error:
            self._drop(endpoint)
            message = f"lease {lease:x}: no answer from etcd within {within:g} s"
            raise EtcdUnavailableError(message) from error
        except grpc.aio.AioRpcError as error:
            self._drop(endpoint)
            where = "?" if endpoint is None else endpoint.url
            raise translate(error, what="keep-alive", where=where, write=False) from error
        if term.ttl <= 0:
            message = f"lease {lease:x} has ended; what it held is given up"
            raise EtcdLeaseGoneError(message)
        return term

    def _drop(self, endpoint: Endpoint | None) -> None:
        """No use waiting here: the next renewal opens another stream, elsewhere if possible."""
        if self._stream is not None:
            self._stream.cancel()
        if endpoint is not None:
            self._pool.failed(endpoint)

    async def close(self) -> None:
        """End the stream and disconnect."""
        if self._stream is not None:
            self._stream.cancel()
            await self._stream.ended()
        await self._pool.close()


class _Stream:
    """One open stream, and who waits for which answer.

    Two who renew one lease at a time share the answer, and with it the time of sending: to count
    from a later time would be to believe in the lease for too long.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metadata: tuple[tuple[str, str], ...],
        *,
        clock: Callable[[], float],
        answered: Callable[[pb.ResponseHeader], None],
    ) -> None:
        self.endpoint = endpoint
        self.broken = False
        self._clock = clock
        self._answered = answered
        self._call: Any = endpoint.stream(_KEEP_ALIVE, metadata)
        self._writing = asyncio.Lock()
        self._waiting: dict[int, tuple[float, asyncio.Future[Term]]] = {}
        self._task = asyncio.get_running_loop().create_task(self._read(), name="etcd keep-alive")

    async def renew(self, lease: int) -> Term:
        """Send one renewal, or join the one under way.

        Raises: AioRpcError, EtcdUnavailableError.
        """
        _, answer = self._waiting.get(lease, (0.0, None))
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            self._waiting[lease] = (self._clock(), answer)
            if self.broken:
                raise EtcdUnavailableError(_BROKEN)
            # An error of the write is the reader's too, and that one tells everybody.
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._write(lease)
        return await asyncio.shield(answer)

    async def _write(self, lease: int) -> None:
        try:
            async with self._writing:
                await self._call.write(pb.LeaseKeepAliveRequest(id=lease))
        except asyncio.CancelledError:
            # The stream was ended meanwhile, for instance because another lease's renewal was not
            # answered.  It must not end the task that keeps this lease.
            if task_cancelled():
                raise

    async def _read(self) -> None:
        error: Exception = EtcdUnavailableError(_BROKEN)
        try:
            while isinstance(response := await self._call.read(), pb.LeaseKeepAliveResponse):
                self._answered(response.header)
                sent_at, answer = self._waiting.pop(response.id, (0.0, None))
                if answer is not None:
                    answer.set_result(Term(response.id, response.ttl, sent_at))
        except (grpc.aio.AioRpcError, StoreError) as broken:
            error = broken
        except asyncio.CancelledError:  # by ``cancel``: gRPC says it this way
            pass
        self.broken = True
        for _, answer in self._waiting.values():
            answer.set_exception(error)
            answer.exception()  # whoever waited for it may be gone

    def cancel(self) -> None:
        """End it; who still waits gets an error."""
        self.broken = True
        self._call.cancel()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._task


class Lease:
    """One lease, renewed in the background until ``EtcdClient.revoke`` or ``stop``.

    Attributes:
        term: what is known of it now.
        lost: set when it is over although nobody stopped it.
    """

    def __init__(
        self,
        term: Term,
        keep_alives: KeepAlives,
        *,
        revoke: Callable[[int], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._revoke = revoke
        self.term = term
        self.lost = asyncio.Event()
        self._keep_alives = keep_alives
        self._clock = clock
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="etcd lease")
        self._task.add_done_callback(self._ended)

    @property
    def id(self) -> int:
        """Its number, for ``put``."""
        return self.term.id

    def alive(self) -> bool:
        """Whether it is certainly alive."""
        return not self.lost.is_set() and self.term.alive(self._clock())

    async def _keep(self) -> None:
        at = self.term.renew_at
        while True:
            await asyncio.sleep(max(0.0, at - self._clock()))
            now = self._clock()
            if not self.term.alive(now):
                _log.error("etcd lease lost: not renewed in time", lease=f"{self.id:x}")
                return
            within = min(self.term.deadline - now, self.term.ttl * _RENEW_AFTER)
            try:
                self.term = self.term.renewed(await self._keep_alives.renew(self.id, within=within))
                at = self.term.renew_at
            except EtcdLeaseGoneError:
                _log.error("etcd lease lost: etcd has ended it", lease=f"{self.id:x}")
                return
            except StoreError as error:
                _log.warning("etcd lease not renewed, trying again", error=str(error))
                # No later than the deadline: whoever waits for the loss must hear of it then.
                at = min(self._clock() + self.term.ttl * _RETRY_AFTER, self.term.deadline)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.lost.set()

    def abandon(self) -> None:
        """Renew no more; etcd ends it by itself when its time is over."""
        self._task.cancel()

    async def stop(self) -> None:
        """The same, and wait until nothing is under way."""
        self.abandon()
        await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """End it, and delete its keys; no fault when it has ended already.  Raises: StoreError."""
        await self.stop()
        with contextlib.suppress(EtcdLeaseGoneError):
            await self._revoke(self.id)
