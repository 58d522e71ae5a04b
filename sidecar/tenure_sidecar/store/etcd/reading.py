"""Reading: cells, whole instances and large values, each as of one revision.

One transaction of reads is one snapshot.  What does not fit into it (a long history, the pieces of
large values) is read afterwards at the same revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tenure_common.errors import StoreCorruptError
from tenure_sidecar.engine.codec import decode_events, decode_head, decode_item
from tenure_sidecar.engine.events import Event
from tenure_sidecar.etcd import Get, KeyValue, Range
from tenure_sidecar.store.etcd.cells import Cell
from tenure_sidecar.store.etcd.outbox import Outbox
from tenure_sidecar.store.etcd.values import (
    Blob,
    Body,
    HeadValue,
    InputValue,
    ItemValue,
    OutboxValue,
    TurnValue,
    unpack,
)
from tenure_sidecar.store.port import Loaded

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import InboxItem
    from tenure_sidecar.etcd import EtcdClient
    from tenure_sidecar.store.etcd.cells import Cells
    from tenure_sidecar.store.etcd.keys import Keys, Span
    from tenure_sidecar.store.etcd.plan import Site

READS = 100  # of one transaction; etcd takes 128
_PAGE = 500  # keys of a history or inbox in one answer


class Reader:
    """Reads one app's keys."""

    def __init__(self, client: EtcdClient, keys: Keys, cells: Cells) -> None:
        self._client = client
        self._keys = keys
        self._cells = cells

    # --- keys -------------------------------------------------------------------------------------

    async def snapshot(self, gets: Sequence[Get]) -> tuple[Sequence[Range], int]:
        """The answers to at most ``READS`` reads, and the revision that all are of."""
        return await self._client.snapshot(gets)

    async def many(self, gets: Sequence[Get], *, revision: int = 0) -> list[Range]:
        """The answers to any number of reads; of one revision when that is given."""
        found: list[Range] = []
        for at in range(0, len(gets), READS):
            chunk = gets[at : at + READS]
            if revision:
                chunk = [get.at(revision) for get in chunk]
            answers, _ = await self.snapshot(chunk)
            found += answers
        return found

    async def rest(self, found: Range, keys: Span, revision: int) -> list[KeyValue]:
        """Everything in ``keys``, of which ``found`` is the beginning as of ``revision``."""
        kvs = list(found.kvs)
        if found.more:
            after = kvs[-1].key + b"\0"
            async for page in self._client.scan(after, keys.end, revision=revision, page=_PAGE):
                kvs += page.kvs
        return kvs

    # --- large values -----------------------------------------------------------------------------

    async def body(self, instance_id: str, body: Body, revision: int) -> bytes:
        """The value itself, wherever it is.  Raises: StoreCorruptError."""
        if not isinstance(body, Blob):
            return body
        span = self._keys.blobs(instance_id, f"{body.what}/{body.token}/")
        pieces: list[bytes] = []
        async for page in self._client.scan(*span, revision=revision, page=4):
            pieces += [kv.value for kv in page.kvs]
        if len(pieces) != body.pieces:
            message = (
                f"a value of '{instance_id}' lacks pieces in etcd (key {span.first!r}); restore a "
                "backup of etcd, or purge the instance"
            )
            raise StoreCorruptError(message)
        return b"".join(pieces)

    async def head_of(
        self, kv: KeyValue, instance_id: str, revision: int
    ) -> tuple[Head, HeadValue]:
        """The head in a key's value, and the value."""
        value = unpack(kv.key, kv.value, HeadValue)
        data = await self.body(instance_id, value.book.head or value.head, revision)
        return decode_head(data), value

    # --- instances --------------------------------------------------------------------------------

    async def cells(
        self, ids: Iterable[str], partitions: Iterable[int] = ()
    ) -> tuple[dict[str, Cell | None], dict[int, int]]:
        """Cells of instances (None = there is none) and revisions of partitions' owner keys (0 =
        nobody's).  Each cell is of one revision."""
        wanted, owned = list(dict.fromkeys(ids)), list(dict.fromkeys(partitions))
        gets: list[Get] = []
        for instance_id in wanted:
            gets += (Get(self._keys.head(instance_id)), Get(self._keys.state(instance_id)))
        gets += [Get(self._keys.owner(p), keys_only=True) for p in owned]
        found: list[tuple[Range, int]] = []
        for at in range(0, len(gets), READS):  # an even number: no pair is torn apart
            answers, revision = await self.snapshot(gets[at : at + READS])
            found += [(answer, revision) for answer in answers]
        cells: dict[str, Cell | None] = {}
        for n, instance_id in enumerate(wanted):
            (head, revision), (state, _) = found[2 * n], found[2 * n + 1]
            cell = None
            if head.kvs and state.kvs:
                cell = await self._cell(head.kvs[0], state.kvs[0], revision)
            cells[instance_id] = cell
            self._cells.keep(instance_id, cell)
        owners = {
            p: answer.kvs[0].mod_revision if answer.kvs else 0
            for p, (answer, _) in zip(owned, found[2 * len(wanted) :], strict=True)
        }
        return cells, owners

    async def _cell(self, head_kv: KeyValue, state: KeyValue, revision: int) -> Cell:
        instance_id = head_kv.key[len(self._keys.heads.first) :].decode()
        head, value = await self.head_of(head_kv, instance_id, revision)
        return Cell(head, value.book, state.value, head_kv.mod_revision, state.mod_revision)

    async def load(self, instance_id: str) -> Loaded | None:
        """See ``Store.load``."""
        keys = self._keys
        history = keys.history(instance_id)
        inboxes = [keys.inbox(instance_id, own=own) for own in (False, True)]
        answers, revision = await self.snapshot(
            (
                Get(keys.head(instance_id)),
                Get(keys.state(instance_id)),
                Get(keys.input(instance_id)),
                Get(*history, limit=_PAGE),
                *(Get(*inbox, limit=_PAGE) for inbox in inboxes),
            )
        )
        heads, states, inputs, turns, *items = answers
        if not heads.kvs or not states.kvs:
            self._cells.forget(instance_id)
            return None
        cell = await self._cell(heads.kvs[0], states.kvs[0], revision)
        self._cells.keep(instance_id, cell)
        events: list[Event] = []
        for kv in await self.rest(turns, history, revision):
            turn = unpack(kv.key, kv.value, TurnValue)
            events += decode_events(await self.body(instance_id, turn.body, revision))
        waiting = [
            (kv, unpack(kv.key, kv.value, ItemValue))
            for found, inbox in zip(items, inboxes, strict=True)
            for kv in await self.rest(found, inbox, revision)
        ]
        waiting.sort(key=lambda one: (one[1].rank, one[0].mod_revision, one[1].place))
        decoded: dict[str, InboxItem] = {}  # one that is in both places counts once
        for _, value in waiting:
            item = decode_item(await self.body(instance_id, value.body, revision))
            decoded.setdefault(item.key, item)
            if isinstance(value.body, Blob):
                self._cells.large(instance_id, (item.key,))
        return Loaded(
            head=cell.head,
            version=cell.book.version,
            history=tuple(events),
            inbox=tuple(decoded.values()),
            input=await self._input(inputs, instance_id, revision),
            at=revision,
        )

    async def outbox(self, site: Site, instance_id: str) -> Outbox | None:
        """What the instance still has to send; None when that is nothing."""
        (found,), revision = await self.snapshot((Get(self._keys.outbox(instance_id)),))
        if not found.kvs:
            return None
        value = unpack(found.kvs[0].key, found.kvs[0].value, OutboxValue)
        data = await self.body(instance_id, value.body, revision)
        return Outbox(site, found.kvs[0], data=data, instance_id=instance_id)

    async def head(self, instance_id: str) -> Head | None:
        """See ``Store.head``."""
        (found,), revision = await self.snapshot((Get(self._keys.head(instance_id)),))
        if not found.kvs:
            return None
        head, _ = await self.head_of(found.kvs[0], instance_id, revision)
        return head

    async def input(self, instance_id: str) -> str | None:
        """See ``Store.input``."""
        (found,), revision = await self.snapshot((Get(self._keys.input(instance_id)),))
        return await self._input(found, instance_id, revision)

    async def _input(self, found: Range, instance_id: str, revision: int) -> str | None:
        if not found.kvs:
            return None
        value = unpack(found.kvs[0].key, found.kvs[0].value, InputValue)
        return (await self.body(instance_id, value.body, revision)).decode()
