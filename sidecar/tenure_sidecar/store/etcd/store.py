"""``EtcdStore``: the port's face on an etcd cluster."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from tenure_common.clock import monotonic, wall_ns
from tenure_common.errors import (
    BadSettingError,
    ConfigConflictError,
    EtcdCompactedError,
    StoreCorruptError,
    StoreError,
    StoreNewerError,
)
from tenure_sidecar.etcd import Delete, EtcdClient, Get, Put, Txn, absent, range_of, unchanged
from tenure_sidecar.store.etcd.address import Address
from tenure_sidecar.store.etcd.barrier import Barrier
from tenure_sidecar.store.etcd.cells import Cells
from tenure_sidecar.store.etcd.changes import changes, cursor_of, follow, item_goes, observe
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.etcd.owners import Owners
from tenure_sidecar.store.etcd.pages import Lister
from tenure_sidecar.store.etcd.plan import Site
from tenure_sidecar.store.etcd.reading import Reader
from tenure_sidecar.store.etcd.scans import Scanner
from tenure_sidecar.store.etcd.sharing import EtcdCoordination
from tenure_sidecar.store.etcd.values import LAYOUT, DocumentValue, Meta, pack
from tenure_sidecar.store.etcd.writing import Writer
from tenure_sidecar.store.partition import DEFAULT_PARTITIONS, MAX_PARTITIONS

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Timer
    from tenure_sidecar.etcd import Lease
    from tenure_sidecar.store.port import (
        Change,
        Document,
        Fence,
        HeadChange,
        Loaded,
        Op,
        Page,
        Query,
        Result,
    )

T = TypeVar("T")

_RECENT = 0.4  # of a lease: its last renewal is no older
_REREADS = 3  # when compaction overtakes a read

_log = structlog.get_logger(__name__)


class EtcdStore:
    """A store under ``/<prefix>/<namespace>/<app>/`` of a cluster; implements ``Store``.

    Args:
        address: the cluster, and the prefix.
        namespace: of the app.
        app: its id.
        partitions: P of a new app, 64 unless given; of an existing one it must be what that was
            created with.
        client: connections to the cluster that several stores share; one of its own unless given.
        clock: monotonic, seconds.
        wall: the wall clock, nanoseconds since the Unix epoch.
        nonce: 64 random bits.
    """

    name = "etcd"

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        address: Address,
        *,
        namespace: str,
        app: str,
        partitions: int | None = None,
        client: EtcdClient | None = None,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], int] = wall_ns,
        nonce: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        if partitions is not None and not 1 <= partitions <= MAX_PARTITIONS:
            message = f"--partitions {partitions}: it must be between 1 and {MAX_PARTITIONS}"
            raise BadSettingError(message)
        self.partitions = partitions or 0  # known when open
        self.handle = f"{nonce():016x}"  # names this process in what it writes
        self.app = app
        self._wanted = partitions
        self._address = address
        self._keys = Keys(namespace, app, prefix=address.prefix)
        self._clock = clock
        self._wall = wall
        self._nonce = nonce
        self._shared = client
        self._lease: Lease | None = None  # of what ``own`` took
        self._opened = False
        self.coordination = EtcdCoordination(self)

    # --- life -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """See ``Store.open``; also ConfigConflictError when ``partitions`` is another number."""
        self.client = self._shared or self._address.client(self._clock)
        keys, cells = self._keys, Cells()
        try:
            self.partitions = keys.partitions = await self._prepare()
        except BaseException:
            await self._disconnect()
            raise
        site = Site(keys, cells, self.handle, self._nonce)
        self._reader = Reader(self.client, keys, cells)
        self.barrier = Barrier(self.client, keys, self.handle)
        self._writer = Writer(self.client, site, self._reader, self.barrier, clock=self._clock)
        self._lister = Lister(self.client, keys, self._reader, wall=self._wall)
        self._scanner = Scanner(self.client, keys, self._reader)
        self.owners = Owners(self.client, keys)
        self._opened = True

    async def _prepare(self) -> int:
        """Write the app's ``meta`` key, or check it; P."""
        mine = Meta(LAYOUT, self._wanted or DEFAULT_PARTITIONS)
        key = self._keys.meta
        result = await self.client.txn(
            (absent(key),), (Put(key, msgspec.json.encode(mine)),), (Get(key),)
        )
        if result.succeeded:
            return mine.partitions
        (found,) = result.results
        try:
            theirs = msgspec.json.decode(range_of(found).kvs[0].value, type=Meta)
        except msgspec.MsgspecError as error:
            message = f"etcd key {key!r} is not one of Tenure's: {error}; nothing was changed"
            raise StoreCorruptError(message) from error
        if theirs.layout > LAYOUT:
            message = (
                f"etcd key {key!r} says layout {theirs.layout}, this program knows up to {LAYOUT}; "
                "nothing was changed; use the newer version of Tenure that wrote it"
            )
            raise StoreNewerError(message)
        if self._wanted is not None and theirs.partitions != self._wanted:
            message = (
                f"the app was created in etcd with {theirs.partitions} partitions, the settings "
                f"say {self._wanted}; the count is fixed: set it back to {theirs.partitions}"
            )
            raise ConfigConflictError(message)
        return theirs.partitions

    async def close(self) -> None:
        """See ``Store.close``."""
        if not self._opened:
            return
        self._opened = False
        try:
            await self.barrier.drop()
            if self._lease is not None:
                await self._lease.close()
        except StoreError as error:  # they go with their leases
            _log.warning("etcd keys of this process could not be deleted", error=str(error))
        self._lease = None
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._shared is None:
            await self.client.close()

    # --- writes -----------------------------------------------------------------------------------

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        """See ``Store.write``; one transaction if there are no more than ``writing.ROUND_OPS``."""
        return await self._writer.write(ops)

    # --- reads ------------------------------------------------------------------------------------

    def revision(self) -> int | None:
        """See ``Store.revision``: what the last renewal of a lease was told."""
        return self.client.revision(within=_RECENT * self._address.lease)

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read, with nothing of this handle still under way that may change the answer."""
        await self.barrier.settle()
        for _ in range(_REREADS):
            try:
                return await read()
            except EtcdCompactedError:  # it took long, and etcd forgot the snapshot meanwhile
                _log.info("read was overtaken by compaction, reading anew")
        return await read()

    async def load(self, instance_id: str) -> Loaded | None:
        """See ``Store.load``."""
        await self._writer.settle(instance_id)
        return await self._read(lambda: self._reader.load(instance_id))

    async def head(self, instance_id: str) -> Head | None:
        """See ``Store.head``."""
        return await self._read(lambda: self._reader.head(instance_id))

    async def input(self, instance_id: str) -> str | None:
        """See ``Store.input``."""
        return await self._read(lambda: self._reader.input(instance_id))

    async def heads(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """See ``Store.heads``."""
        return await self._read(lambda: self._lister.heads(query, limit=limit, cursor=cursor))

    async def count(self, query: Query) -> int:
        """See ``Store.count``."""
        return await self._read(lambda: self._lister.count(query))

    async def children(self, instance_id: str) -> tuple[str, ...]:
        """See ``Store.children``."""
        return await self._read(lambda: self._lister.children(instance_id))

    async def due(
        self, partitions: Sequence[int], *, until: int, limit: int, since: int = 0
    ) -> list[Timer]:
        """See ``Store.due``."""
        return await self._read(
            lambda: self._scanner.due(partitions, since=since, until=until, limit=limit)
        )

    async def active(
        self, partitions: Sequence[int], *, after: str | None, limit: int
    ) -> list[str]:
        """See ``Store.active``."""
        return await self._read(lambda: self._scanner.active(partitions, after=after, limit=limit))

    async def expired(self, partitions: Sequence[int], *, until: int, limit: int) -> list[Timer]:
        """See ``Store.expired``."""
        return await self._read(
            lambda: self._scanner.due(partitions, since=0, until=until, limit=limit, retention=True)
        )

    async def stats(self) -> dict[str, int]:
        """See ``Store.stats``; ``bytes`` is the size of the largest member's file.  Reads every
        head."""
        stats = await self._read(self._scanner.stats)
        stats["commits"] = self._writer.commits
        stats["bytes"] = max(status.size for status in await self.client.status())
        return stats

    # --- documents --------------------------------------------------------------------------------

    async def documents(self, prefix: str) -> list[Document]:
        """See ``Store.documents``."""
        return await self._read(lambda: self._lister.documents(prefix))

    async def put(self, key: str, body: bytes | None, *, version: int) -> int | None:
        """See ``Store.put``."""
        name = self._keys.documents.first + key.encode()
        write = Delete(name) if body is None else Put(name, pack(name, DocumentValue(body)))
        result = await self._writer.decide(Txn((unchanged(name, version),), (write,)))
        if not result.succeeded:
            return None
        return 0 if body is None else result.revision

    # --- ownership --------------------------------------------------------------------------------

    def watch(self, partition: int) -> AsyncIterator[Change]:
        """See ``Store.watch``; ends when the store is closed."""
        span = self._keys.of_partition("inbox", partition)
        watch = self.client.watch(*span, deletes=False)
        return changes(watch, self._keys, handle=self.handle)

    async def position(self) -> str:
        """See ``Store.position``."""
        _, revision = await self.client.snapshot((Get(self._keys.meta),))
        return cursor_of(revision + 1)

    def follow(self, cursor: str) -> AsyncIterator[HeadChange]:
        """See ``Store.follow``."""
        return follow(self.client, self._keys, self._reader, cursor)

    async def own(self, partitions: Sequence[int], owner: str) -> list[Fence]:
        """See ``Store.own``: from whomever has them.  Sidecars that share an app ``claim``."""
        if self._lease is None or not self._lease.alive():
            self._lease = await self.session()
        fences: dict[int, Fence] = {}
        while missing := [one for one in partitions if one not in fences]:
            owners = (await self.owners.roster()).owners
            seen = {one: owners[one].revision if one in owners else 0 for one in missing}
            claimed = await self.coordination.claim(seen, owner.encode(), session=self._lease)
            fences |= {one: fence for one, fence in claimed.items() if fence is not None}
        return [fences[one] for one in partitions]

    async def session(self) -> Lease:
        """A new lease, as long as the address says."""
        return await self.client.lease(self._address.lease)

    def observe(self, instance_id: str) -> AsyncIterator[Head | None]:
        """See ``Coordination.observe``."""
        return observe(self.client, self._keys, self._reader, instance_id)

    async def taken(self, instance_id: str, key: str) -> None:
        """See ``Coordination.taken``."""
        await item_goes(self.client, self._keys.item(instance_id, key))

    async def arrivals(
        self, partitions: Sequence[int], *, after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """See ``Coordination.arrivals``."""
        return await self._read(
            lambda: self._scanner.arrivals(partitions, after=after, limit=limit)
        )

    async def heard(self) -> None:
        """See ``Coordination.heard``."""
        _, revision = await self.client.snapshot((Get(self._keys.meta),))
        await self.client.told(revision)

    async def recover(self, partitions: Sequence[int]) -> None:
        """Send what very large turns of earlier owners left to send.  Raises: StoreError."""
        await self._writer.finish(await self._scanner.outboxes(partitions))

    async def release(self, fences: Sequence[Fence]) -> None:
        """See ``Store.release``."""
        await self.owners.release(fences)
