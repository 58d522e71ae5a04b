"""What one op asks of etcd: comparisons, writes, and what the answer means.

Planning is pure: it knows cells, and what was read for it, and nothing happens until the plan is
sent.  Then etcd alone judges it: either all comparisons hold and all writes happen, or nothing
does.  A ``Draft`` is a plan in the making.

Two things are left to etcd even when the comparisons hold: whether another instance takes a message
(``send``) and whether an item is in the inbox already.  These parts answer for themselves.

A value that is too large to stand where it belongs is *staged*: written before the plan, in pieces,
under a lease that ends soon.  The plan then names it, and takes its pieces out of the lease; pieces
that no plan came to name end with the lease.  Where etcd decides whether an item is put, it decides
by that whether the item's pieces stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.codec import encode_item
from tenure_sidecar.engine.events import ExecutionRewound
from tenure_sidecar.etcd import (
    Compare,
    Get,
    Op,
    Part,
    Put,
    Txn,
    TxnResult,
    absent,
    present,
    range_of,
    txn_of,
    unchanged,
    value_is,
)
from tenure_sidecar.store.etcd.effects import Effects, nest, weight
from tenure_sidecar.store.etcd.keys import escape
from tenure_sidecar.store.etcd.values import FAILED, OPEN, Blob, Body, ItemValue, pack
from tenure_sidecar.store.port import Delivery, by_watch

if TYPE_CHECKING:
    from tenure_sidecar.engine.turn import InboxItem
    from tenure_sidecar.store.etcd.cells import Cell, Cells
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.port import Result

PIECE = 512 << 10  # bytes of one piece of a staged value
LARGE = 256 << 10  # a value above this is staged
_PLACES = 100_000  # inbox items of one op, at most


class Piece(msgspec.Struct, frozen=True):
    """A part of a staged value."""

    key: bytes
    value: bytes


class Answer(msgspec.Struct, frozen=True):
    """etcd's answer to a plan.

    ``parts`` are the answers of the parts that it decided on when the comparisons held, else of the
    reads that were asked for in that case; ``revision`` is that of the writes.
    """

    held: bool
    parts: tuple[Part, ...]
    revision: int


class Plan(msgspec.Struct, frozen=True):
    """One op, ready to be sent.  ``outcome`` turns the answer into the op's result (None: judge
    anew, with fresh cells)."""

    txn: Txn
    size: int
    pieces: tuple[Piece, ...]
    decided: int  # parts
    depth: int  # of the tree that the writes are in
    outcome: Callable[[Answer], Result | None]
    outbox: bool = False  # it leaves something there

    def answer(self, result: TxnResult, revision: int) -> Answer:
        """The answer in ``result``."""
        parts = result.results
        if result.succeeded:
            for _ in range(self.depth):
                parts = tuple([one for part in parts for one in txn_of(part).results])
            parts = parts[len(parts) - self.decided :]
        return Answer(result.succeeded, parts, revision)


class Site(msgspec.Struct, frozen=True):
    """Where plans are made; the same for all plans of a handle."""

    keys: Keys
    cells: Cells
    handle: str  # names this process in what it writes
    nonce: Callable[[], int]  # 64 random bits


class Draft:
    """A plan in the making.

    Args:
        site: where.
        large: values of more bytes are staged.
        order: of this op among those of the same transaction.
    """

    def __init__(self, site: Site, *, large: int = LARGE, order: int = 0) -> None:
        self.site = site
        self.keys = site.keys
        self.compare: list[Compare] = []
        self.effects = Effects()
        self.pieces: list[Piece] = []
        self.large_items: list[tuple[str, str]] = []  # staged: instance and key
        self._decided: list[Txn] = []
        self._large = large
        self._place = order * _PLACES

    # --- values -----------------------------------------------------------------------------------

    def stage(self, instance_id: str, what: str, data: bytes) -> Body:
        """``data``, or the name under which it is staged; ``what`` becomes part of the name."""
        body, pieces = self._stage(instance_id, what, data)
        for key in pieces:
            self.effects.settle(key)
        return body

    def _stage(self, instance_id: str, what: str, data: bytes) -> tuple[Body, list[bytes]]:
        """The same, and the keys of the pieces, which still have to be settled."""
        if len(data) <= self._large:
            return data, []
        token = f"{self.site.nonce():016x}"
        first = self.keys.blobs(instance_id, f"{what}/{token}/").first
        keys: list[bytes] = []
        for at in range(0, len(data), PIECE):
            keys.append(b"%s%06d" % (first, len(keys)))
            self.pieces.append(Piece(keys[-1], data[at : at + PIECE]))
        self.compare.append(present(keys[-1]))
        return Blob(what, token, len(keys)), keys

    def unstage(self, instance_id: str, blob: Blob | None) -> None:
        """A staged value goes."""
        if blob is not None:
            self.effects.clear(self.keys.blobs(instance_id, f"{blob.what}/{blob.token}/"))

    # --- inbox items ------------------------------------------------------------------------------

    def item(
        self, target: str, item: InboxItem, *, rank: int = 0, own: bool = False
    ) -> tuple[Put, ...]:
        """An inbox item, put where it belongs; ``own``: where the owner itself puts it, unless it is
        to hear of it by its watch.  One of a ``rank`` is carried over, and its owner has it.  What is
        put besides are its pieces, which stay if it does."""
        heard = not rank and by_watch(item)
        self._place += 1
        key = self.keys.item(target, item.key, own=own and not heard)
        what = f"i/{escape(item.key).decode()}"
        body, pieces = self._stage(target, what, encode_item(item))
        if isinstance(body, Blob):
            self.large_items.append((target, item.key))
        handle = "" if heard else self.site.handle
        put = Put(key, pack(key, ItemValue(rank, self._place, handle, body)))
        return put, *(Put(piece, None) for piece in pieces)

    def put(self, puts: Sequence[Put]) -> None:
        """Put an item for certain."""
        for one in puts:
            if one.value is None:
                self.effects.settle(one.key)
            else:
                self.effects.put(one.key, one.value)

    def take(self, instance_id: str, key: str) -> None:
        """An inbox item goes; nothing when it is not there."""
        for there in self.keys.items(instance_id, key):
            self.effects.delete(there)
        if self.site.cells.is_large(instance_id, key):
            what = f"i/{escape(key).decode()}/"
            self.effects.clear(self.keys.blobs(instance_id, what))

    def send(self, target: str, item: InboxItem, *, own: bool = False) -> int:
        """Deliver an item, if etcd finds that the target takes it; the number of the part."""
        puts, _ = nest(self.item(target, item, own=own))
        state, places = self.keys.state(target), self.keys.items(target, item.key)
        nowhere = [absent(key) for key in places]
        look = [Get(state), *(Get(key, keys_only=True) for key in places)]
        txn = Txn((value_is(state, OPEN), *nowhere), puts, look)
        if isinstance(item.event, ExecutionRewound):
            txn = Txn((value_is(state, FAILED), *nowhere), puts, (txn,))
        return self.decide(txn)

    def put_unless_there(self, target: str, item: InboxItem, puts: Sequence[Put]) -> int:
        """Put an item if it is not there already; the number of the part."""
        nowhere = [absent(key) for key in self.keys.items(target, item.key)]
        return self.decide(Txn(nowhere, nest(puts)[0]))

    def decide(self, txn: Txn) -> int:
        """Leave a part to etcd; the number of the part."""
        self._decided.append(txn)
        return len(self._decided) - 1

    # --- the end ----------------------------------------------------------------------------------

    def guard(self, cell: Cell) -> None:
        """Nothing of the instance may have changed."""
        instance_id = cell.head.instance_id
        self.compare.append(unchanged(self.keys.head(instance_id), cell.head_revision))
        self.compare.append(unchanged(self.keys.state(instance_id), cell.state_revision))

    def plan(
        self,
        outcome: Callable[[Answer], Result | None],
        *,
        otherwise: Sequence[Op] = (),
        outbox: bool = False,
    ) -> Plan:
        """The plan; ``otherwise`` are reads for the case that a comparison does not hold."""
        ops = [*self.effects.ops(), *self._decided]
        tree, depth = nest(ops)
        return Plan(
            Txn(self.compare, tree, otherwise),
            self.effects.size + sum(map(weight, self._decided)),
            tuple(self.pieces),
            len(self._decided),
            depth,
            outcome,
            outbox,
        )


def delivery(part: Part) -> Delivery | None:
    """What became of a message, by the answer of its part; None when it must be sent anew."""
    sent = txn_of(part)
    if sent.succeeded:
        return Delivery.DELIVERED
    first = sent.results[0]
    if not isinstance(first, TxnResult):
        return _refusal(sent, takers=(OPEN,))
    # A rewind, which a failed instance takes as well.
    return Delivery.DELIVERED if first.succeeded else _refusal(first, takers=(OPEN, FAILED))


def _refusal(part: TxnResult, *, takers: tuple[bytes, ...]) -> Delivery | None:
    state, *items = map(range_of, part.results)
    if not state.kvs:
        return Delivery.MISSING
    if state.kvs[0].value not in takers:
        return Delivery.REFUSED
    return Delivery.DUPLICATE if any(item.kvs for item in items) else None


def remember(draft: Draft, cells: Iterable[Cell], revision: int) -> None:
    """The plan is done, at ``revision``: keep what is there now."""
    remembered = draft.site.cells
    for cell in cells:
        now = msgspec.structs.replace(
            cell, head_revision=revision, state_revision=cell.state_revision or revision
        )
        remembered.keep(cell.head.instance_id, now)
    for instance_id, key in draft.large_items:
        remembered.large(instance_id, (key,))
