"""``EtcdClient``: one cluster, all that Tenure asks of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc.aio
import msgspec
import structlog

from tenure_common.errors import (
    EtcdFullError,
    EtcdOutcomeUnknownError,
    EtcdUnavailableError,
    StoreError,
)
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.etcd.access import Tls, Tokens, User
from tenure_sidecar.etcd.faults import needs_no_token, token_is_stale, translate, users_changed
from tenure_sidecar.etcd.lease import KeepAlives, Lease, Term
from tenure_sidecar.etcd.past import Past
from tenure_sidecar.etcd.pool import Dial, Endpoint, Method, Pool, dial
from tenure_sidecar.etcd.records import (
    Compare,
    Get,
    KeyValue,
    Op,
    Put,
    Range,
    Txn,
    TxnResult,
    range_request,
    range_result,
    txn_request,
    txn_result,
)
from tenure_sidecar.etcd.users import Users
from tenure_sidecar.etcd.versions import is_sound, may_forget
from tenure_sidecar.etcd.watch import Watch, Watches

_RANGE = Method("/etcdserverpb.KV/Range", pb.RangeRequest, pb.RangeResponse)
_DELETE = Method(
    "/etcdserverpb.KV/DeleteRange", pb.DeleteRangeRequest, pb.DeleteRangeResponse, write=True
)
_TXN = Method("/etcdserverpb.KV/Txn", pb.TxnRequest, pb.TxnResponse, write=True)
_READ = _TXN._replace(write=False)
_COMPACT = Method(
    "/etcdserverpb.KV/Compact", pb.CompactionRequest, pb.CompactionResponse, write=True
)
_GRANT = Method(
    "/etcdserverpb.Lease/LeaseGrant", pb.LeaseGrantRequest, pb.LeaseGrantResponse, write=True
)
_REVOKE = Method(
    "/etcdserverpb.Lease/LeaseRevoke", pb.LeaseRevokeRequest, pb.LeaseRevokeResponse, write=True
)
_AUTHENTICATE = Method(
    "/etcdserverpb.Auth/Authenticate", pb.AuthenticateRequest, pb.AuthenticateResponse
)
_STATUS = Method("/etcdserverpb.Maintenance/Status", pb.StatusRequest, pb.StatusResponse)
_ALARM = Method("/etcdserverpb.Maintenance/Alarm", pb.AlarmRequest, pb.AlarmResponse, write=True)
_DEFRAGMENT = Method(
    "/etcdserverpb.Maintenance/Defragment",
    pb.DefragmentRequest,
    pb.DefragmentResponse,
    write=True,
)

_log = structlog.get_logger(__name__)

_PAGE = 1000  # keys in one answer of ``scan``


class Status(msgspec.Struct, frozen=True):
    """One member.  Sizes in bytes; ``in_use`` is what a defragmentation would leave."""

    url: str
    version: str
    member_id: int
    leader: int
    revision: int
    size: int
    in_use: int
    problems: tuple[str, ...]


class EtcdClient:
    """A client of one etcd cluster; belongs to the event loop that it was made in.

    Args:
        endpoints: URLs of the members, ``http://host:port`` or ``https://host:port``.
        clock: monotonic, seconds.
        tls: certificates, for https.
        user: who to authenticate as; not needed when a client certificate says it.
        timeout: seconds for each call.
        connect_timeout: seconds of them to wait for a connection.
        silence: seconds after which a watch that hears nothing asks whether etcd is there.
        dial: makes the channel to a member.

    Raises: BadSettingError.
    """

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        endpoints: Sequence[str],
        *,
        clock: Callable[[], float],
        tls: Tls | None = None,
        user: User | None = None,
        timeout: float = 5.0,
        connect_timeout: float = 2.0,
        silence: float = 60.0,
        dial: Dial = dial,
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._pool = Pool(endpoints, tls=tls, clock=clock, dial=dial)
        self._tokens = Tokens(user, self._authenticate)
        renewals = Pool(endpoints, tls=tls, clock=clock, dial=dial)
        self.past = Past()
        self._keep_alives = KeepAlives(renewals, self._tokens, clock=clock, told=self.past.told)
        self._watches = Watches(
            self._pool,
            self._tokens,
            clock=clock,
            silence=silence,
            revision=lambda: self.revision(within=silence),
            told=self.past.told,
        )
        self.users = Users(self._call)
        self._reads_in_txn = False
        self._learning: asyncio.Task[None] | None = None
        self.calls = 0  # unary calls sent
        self.transactions = 0  # of them, transactions

    async def close(self) -> None:
        """End watches and leases' renewals, and disconnect.  Leases are not revoked."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await self._watches.close()
        await self._keep_alives.close()
        await self._tokens.close()
        await self._pool.close()

    # --- keys -------------------------------------------------------------------------------------

    async def range(self, op: Get, *, within: float | None = None) -> Range:
        """Read keys, ``within`` so many seconds.

        Raises: EtcdUnavailableError, EtcdCompactedError, EtcdAccessError.
        """
        return range_result(await self._call(_RANGE, range_request(op), within=within))

    async def get(self, key: bytes, *, revision: int = 0) -> KeyValue | None:
        """One key; None when there is none.  Raises: as ``range``."""
        found = await self.range(Get(key, revision=revision))
        return found.kvs[0] if found.kvs else None

    async def scan(
        self,
        key: bytes,
        end: bytes,
        *,
        revision: int = 0,
        page: int = _PAGE,
        keys_only: bool = False,
    ) -> AsyncIterator[Range]:
        """All keys in [key, end), in pages, all of one revision: that of the first page, or
        ``revision``.  Raises: as ``range``; EtcdCompactedError when it takes too long."""
        more = True
        while more:
            found = await self.range(
                Get(key, end, limit=page, revision=revision, keys_only=keys_only)
            )
            yield found
            more, revision = found.more, revision or found.revision
            key = found.kvs[-1].key + b"\0" if found.kvs else key

    async def snapshot(self, gets: Sequence[Get]) -> tuple[tuple[Range, ...], int]:
        """The answers to several reads, all of one revision, and that.  Raises: as ``range``."""
        if self._learning is None:
            self._learning = asyncio.get_running_loop().create_task(self._learn())
        if len(gets) == 1 or not self._reads_in_txn:
            return await self._one_by_one(gets)
        try:
            result = txn_result(await self._call(_READ, txn_request(Txn((), gets))))
        except EtcdFullError:  # no transaction is taken then, not even to read
            return await self._one_by_one(gets)
        return tuple([one for one in result.results if isinstance(one, Range)]), result.revision

    async def _one_by_one(self, gets: Sequence[Get]) -> tuple[tuple[Range, ...], int]:
        """A snapshot without a transaction: the first read says of which revision the others are."""
        first = await self.range(gets[0])
        pinned = [get if get.revision else get.at(first.revision) for get in gets[1:]]
        others = await asyncio.gather(*map(self.range, pinned))
        return (first, *others), first.revision

    async def _learn(self) -> None:
        """Whether every member can be trusted with transactions that only read (``versions``).

        A member that does not answer counts as one that cannot.
        """
        with contextlib.suppress(StoreError):
            members = await self.status()
            old = [one.version for one in members if not is_sound(one.version)]
            for version in sorted(set(old)):
                if may_forget(version):
                    _log.error(
                        "this etcd may lose what it acknowledged when a member is killed, "
                        "use 3.5.5 or newer",
                        version=version,
                    )
                else:
                    _log.warning("etcd has known defects, use 3.5.5 or newer", version=version)
            self._reads_in_txn = not old and len(members) == len(self._pool.endpoints)

    async def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Op],
        failure: Sequence[Op] = (),
        *,
        within: float | None = None,
    ) -> TxnResult:
        """Carry out a transaction, once, ``within`` so many seconds.

        Raises: EtcdUnavailableError, EtcdRefusedError, EtcdFullError: nothing was changed.
        EtcdOutcomeUnknownError: look before you act.
        """
        self.transactions += 1
        request = txn_request(Txn(compare, success, failure))
        return txn_result(await self._call(_TXN, request, within=within))

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> int:
        """Write a key; returns its mod revision.  Raises: as ``txn``."""
        return (await self.txn((), (Put(key, value, lease),))).revision

    async def delete(self, key: bytes, end: bytes = b"") -> int:
        """Delete a key, or all in [key, end); returns how many there were.  The one write that a
        full etcd takes.  Raises: as ``txn``."""
        request = pb.DeleteRangeRequest(key=key, range_end=end)
        return int((await self._call(_DELETE, request)).deleted)

    def watch(
        self, key: bytes, end: bytes = b"", *, revision: int = 0, deletes: bool = True
    ) -> Watch:
        """Changes of ``key``, or of all keys in [key, end), from ``revision`` on (0 = from now on);
        without ``deletes``, writes alone.  See ``Watch``; for a prefix, ``end`` is
        ``prefix_end(prefix)``."""
        return self._watches.add(key, end, revision=revision, deletes=deletes)

    async def told(self, revision: int) -> None:
        """Return when this client's watches have been told of everything up to ``revision``."""
        await self._watches.reached(revision)

    # --- leases -----------------------------------------------------------------------------------

    async def lease_grant(self, ttl: int) -> Term:
        """A new lease that lives ``ttl`` seconds (etcd grants at least some 2) unless it is
        renewed.  Raises: as ``txn``; after an unknown outcome a lease nobody knows dies by itself.
        """
        sent_at = self._clock()
        response = await self._call(_GRANT, pb.LeaseGrantRequest(ttl=ttl))
        return Term(response.id, response.ttl, sent_at)

    async def keep_alive(self, lease: int, *, within: float) -> Term:
        """Renew a lease once.  Raises: see ``KeepAlives.renew``."""
        return await self._keep_alives.renew(lease, within=within)

    def revision(self, *, within: float) -> int | None:
        """The store's revision, as a renewal of a lease was told no more than ``within`` seconds
        ago; None when there was none."""
        return self._keep_alives.revision(within=within)

    async def lease(self, ttl: int) -> Lease:
        """A new lease that is renewed in the background.  Raises: as ``lease_grant``."""
        term = await self.lease_grant(ttl)
        return Lease(term, self._keep_alives, revoke=self.revoke, clock=self._clock)

    async def revoke(self, lease: int) -> None:
        """End a lease and delete its keys.  Raises: as ``txn``; EtcdLeaseGoneError."""
        await self._call(_REVOKE, pb.LeaseRevokeRequest(id=lease))

    # --- maintenance ------------------------------------------------------------------------------

    async def status(self) -> list[Status]:
        """The members that answer.  Raises: StoreError, when none does."""
        answers = await asyncio.gather(
            *(self._status(endpoint) for endpoint in self._pool.endpoints), return_exceptions=True
        )
        found = [answer for answer in answers if isinstance(answer, Status)]
        for answer in answers:
            if not found and isinstance(answer, BaseException):
                raise answer
        return found

    async def _status(self, endpoint: Endpoint) -> Status:
        answer = await self._once(endpoint, _STATUS, pb.StatusRequest(), self._timeout)
        self.past.of(answer.header)
        return Status(
            url=endpoint.url,
            version=answer.version,
            member_id=answer.header.member_id,
            leader=answer.leader,
            revision=answer.header.revision,
            size=answer.db_size,
            in_use=answer.db_size_in_use,
            problems=tuple(answer.errors),
        )

    async def alarms(self, *, disarm: bool = False) -> list[tuple[int, str]]:
        """Member and kind (``NOSPACE``, ``CORRUPT``) of each alarm; with ``disarm``, NOSPACE ones
        are taken back first.  Raises: StoreError."""
        if disarm:
            for member, kind in await self.alarms():
                if kind == "NOSPACE":
                    off = pb.AlarmRequest(
                        action=pb.AlarmRequest.DEACTIVATE, member_id=member, alarm=pb.NOSPACE
                    )
                    await self._call(_ALARM, off)
        answer = await self._call(_ALARM, pb.AlarmRequest(action=pb.AlarmRequest.GET))
        return [(one.member_id, pb.AlarmType.Name(one.alarm)) for one in answer.alarms]

    async def compact(self, revision: int) -> None:
        """Forget what keys were before ``revision``.  Raises: StoreError."""
        await self._call(_COMPACT, pb.CompactionRequest(revision=revision, physical=True))

    async def defragment(self, url: str, *, within: float = 60.0) -> None:
        """Give the free space of one member's file back; it answers nobody meanwhile.

        Raises: StoreError.
        """
        for endpoint in self._pool.endpoints:
            if endpoint.url == url:
                await self._once(endpoint, _DEFRAGMENT, pb.DefragmentRequest(), within)

    # --- calls ------------------------------------------------------------------------------------

    async def _authenticate(self, user: User) -> str:
        request = pb.AuthenticateRequest(name=user.name, password=user.password)
        endpoint = await self._pool.ready(self._connect_timeout)
        try:
            answer = await endpoint.unary(_AUTHENTICATE)(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            if needs_no_token(error.details()):
                return ""
            what = f"log in as '{user.name}'"
            raise translate(error, what=what, where=endpoint.url, write=False) from error
        return str(answer.token)

    async def _once(self, endpoint: Endpoint, method: Method, request: Any, within: float) -> Any:  # noqa: ANN401
        """One call to one member; again only when etcd wants a newer token, or when users changed
        between the request's arrival and its turn: it was not looked at then."""
        again, end = True, self._clock() + within
        while True:
            metadata = await self._tokens.metadata()
            self.calls += 1
            left = max(0.0, end - self._clock())
            try:
                return await endpoint.unary(method)(request, timeout=left, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                stale = token_is_stale(error.details()) and self._tokens.stale(metadata)
                if (stale and again) or (users_changed(error.details()) and self._clock() < end):
                    again = False
                    continue
                what = method.path.rpartition("/")[2].lower()
                raise translate(error, what=what, where=endpoint.url, write=method.write) from error

    async def _call(self, method: Method, request: Any, *, within: float | None = None) -> Any:  # noqa: ANN401
        """One call to some member.

        It is made again, elsewhere, only when it reads or was certainly not carried out.  Once etcd
        went back to the past, or is another, no more calls are made.
        """
        deadline = self._clock() + (within or self._timeout)
        tries = len(self._pool.endpoints)
        while True:
            tries -= 1
            left = deadline - self._clock()
            endpoint = await self._pool.ready(min(self._connect_timeout, left))
            # A read does not spend all of its time on a member that may be cut off.
            share = left if method.write or not tries else left / 2
            known = self.past.known()
            try:
                answer = await self._once(endpoint, method, request, share)
            except (EtcdUnavailableError, EtcdOutcomeUnknownError) as error:
                self._pool.failed(endpoint)
                self._watches.suspect()
                unknown = isinstance(error, EtcdOutcomeUnknownError)
                if unknown or not tries or self._clock() >= deadline:
                    raise
            else:
                self.past.answered(answer.header, known=known)
                return answer
