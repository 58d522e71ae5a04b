"""Ownership of partitions: keys with leases, and nothing that has to be believed.

``owners/<p>`` names the owner; its mod revision is the fence, which every commit compares.  Taking
a partition is a comparison of the revision that was seen and a put, so of several who try at once
one succeeds, and whoever held the partition before is shut out by the same write.  A key goes with
its lease; that tells others when to try, and is never what makes it safe.

``owners/<p>/<name>`` says what a former owner still runs.  It lies beside the owner key, so that one
watch tells both in the order in which they were written.

Who should own what is decided elsewhere (``actors``).  This is the narrow surface for it: ``claim``,
``release``, ``announce``, and the two ranges of keys to list and watch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import OutcomeUnknownError
from tenure_sidecar.etcd import Delete, Get, Put, Txn, TxnResult, unchanged
from tenure_sidecar.store.coordination import Held, Roster, Running
from tenure_sidecar.store.port import Fence

if TYPE_CHECKING:
    from tenure_sidecar.etcd import EtcdClient, Watch
    from tenure_sidecar.store.etcd.keys import Keys

_AT_ONCE = 60
NOTHING: Mapping[int, bytes] = MappingProxyType({})

_log = structlog.get_logger(__name__)


class Owners:
    """Owner and member keys of one app."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def roster(self) -> Roster:
        """Who is there and who owns what, in one snapshot.  Raises: StoreError."""
        (owners, members), revision = await self._client.snapshot(
            (Get(*self._keys.owners), Get(*self._keys.members))
        )
        held: dict[int, Held] = {}
        running: dict[Running, Held] = {}
        for kv in owners.kvs:
            partition, name = self.place_of(kv.key)
            one = Held(kv.value, kv.mod_revision, kv.lease)
            if name:
                running[partition, name] = one
            else:
                held[partition] = one
        return Roster(
            held,
            {self.name_of(kv.key): Held(kv.value, kv.mod_revision, kv.lease) for kv in members.kvs},
            revision,
            running,
        )

    def watch_owners(self, *, revision: int = 0) -> Watch:
        """Changes of owner and running keys from ``revision`` on; ``place_of`` reads the keys."""
        return self._client.watch(*self._keys.owners, revision=revision)

    def watch_members(self, *, revision: int = 0) -> Watch:
        """Changes of member keys from ``revision`` on; ``name_of`` reads the keys."""
        return self._client.watch(*self._keys.members, revision=revision)

    def place_of(self, key: bytes) -> Running:
        """The partition of an owner key, with no name; the partition and the name of a running key."""
        partition, _, name = self._keys.last(key, self._keys.owners).partition("/")
        return int(partition), name

    def name_of(self, key: bytes) -> str:
        """The name of a member key."""
        return self._keys.last(key, self._keys.members)

    async def announce(self, name: str, value: bytes, *, lease: int) -> int:
        """Say that ``name`` is there, while ``lease`` lives; the key's new revision.

        Raises: StoreError.
        """
        return await self._client.put(self._keys.member(name), value, lease=lease)

    async def claim(
        self, partitions: Mapping[int, int], value: bytes, *, lease: int
    ) -> dict[int, Fence | None]:
        """Take partitions, each only if its owner key is still at the given revision (0 = there is
        none); None for those that were not.

        An unknown outcome is resolved here by reading.  Raises: StoreError (then some of them may
        be taken, under ``lease``), EtcdLeaseGoneError.
        """
        fences: dict[int, Fence | None] = {}
        wanted = list(partitions.items())
        for at in range(0, len(wanted), _AT_ONCE):
            chunk = wanted[at : at + _AT_ONCE]
            ops = [
                Txn(
                    (unchanged(self._keys.owner(partition), seen),),
                    (Put(self._keys.owner(partition), value, lease),),
                )
                for partition, seen in chunk
            ]
            try:
                result = await self._client.txn((), ops)
            except OutcomeUnknownError:
                fences |= await self._mine(dict(chunk), value, lease)
                continue
            for (partition, _), one in zip(chunk, result.results, strict=True):
                taken = isinstance(one, TxnResult) and one.succeeded
                fences[partition] = Fence(partition, result.revision) if taken else None
        return fences

    async def _mine(
        self, chunk: Mapping[int, int], value: bytes, lease: int
    ) -> dict[int, Fence | None]:
        """Which of the partitions a claim without an answer has taken.

        One that arrives later still takes them, for the same owner: a claim that names the same
        revision again fails then, and the next roster shows it.
        """
        ops = [Get(self._keys.owner(partition)) for partition in chunk]
        answers, _ = await self._client.snapshot(ops)
        found: dict[int, Fence | None] = {}
        for (partition, seen), answer in zip(chunk.items(), answers, strict=True):
            kv = answer.kvs[0] if answer.kvs else None
            mine = kv is not None and (kv.value, kv.lease) == (value, lease)
            taken = kv is not None and mine and kv.mod_revision != seen
            found[partition] = Fence(partition, kv.mod_revision) if kv and taken else None
        return found

    async def release(
        self,
        fences: Sequence[Fence],
        running: Mapping[int, bytes] = NOTHING,
        name: str = "",
        *,
        lease: int = 0,
    ) -> dict[int, int]:
        """Give partitions back; those that another owner has by now are left alone.

        Args:
            fences: of the partitions.
            running: what ``name`` still runs of them, written where they are given back, under
                ``lease``.

        Returns at which revision the key of each partition went that was given back.
        Raises: StoreError.
        """
        gone: dict[int, int] = {}
        for at in range(0, len(fences), _AT_ONCE):
            chunk = {one.partition: one for one in fences[at : at + _AT_ONCE]}
            result = await self._client.txn(
                (),
                [
                    Txn(
                        (unchanged(self._keys.owner(fence.partition), fence.token),),
                        (
                            Delete(self._keys.owner(fence.partition)),
                            *self._running(running, fence.partition, name, lease),
                        ),
                    )
                    for fence in chunk.values()
                ],
            )
            for partition, one in zip(chunk, result.results, strict=True):
                if isinstance(one, TxnResult) and one.succeeded:
                    gone[partition] = result.revision
        return gone

    def _running(
        self, running: Mapping[int, bytes], partition: int, name: str, lease: int
    ) -> tuple[Put, ...]:
        if partition not in running:
            return ()
        return (Put(self._keys.running(partition, name), running[partition], lease),)

    async def still_running(
        self, running: Mapping[int, bytes | None], name: str, *, lease: int
    ) -> None:
        """Write what ``name`` still runs of partitions that it gave back; None = nothing.

        Raises: StoreError.
        """
        ops = [
            Delete(key) if value is None else Put(key, value, lease)
            for partition, value in running.items()
            for key in [self._keys.running(partition, name)]
        ]
        for at in range(0, len(ops), _AT_ONCE):
            await self._client.txn((), ops[at : at + _AT_ONCE])
