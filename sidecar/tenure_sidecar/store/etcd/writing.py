"""Writing: many ops, as few transactions as possible.

Ops are taken in order into *rounds*.  A round is one transaction with one nested transaction for
each op; since etcd evaluates all comparisons of a round before it writes anything, no two ops of a
round may touch the same instance, except that any number may send to it.  An op that etcd refuses
without a verdict (its cell was too old, the id was taken) is judged again in the next round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import (
    EtcdRefusedError,
    EtcdUnavailableError,
    OutcomeUnknownError,
    StoreError,
)
from tenure_sidecar.etcd import Part, Put, Txn, TxnResult, txn_of
from tenure_sidecar.store.etcd.judge import NOTHING, Judge, Known, instance_of, others_of
from tenure_sidecar.store.etcd.plan import Piece, Plan
from tenure_sidecar.store.port import (
    Commit,
    Committed,
    Created,
    Deliver,
    Delivery,
    Exists,
    Op,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenure_sidecar.etcd import EtcdClient
    from tenure_sidecar.store.etcd.barrier import Barrier
    from tenure_sidecar.store.etcd.cells import Cell
    from tenure_sidecar.store.etcd.outbox import Fate, Outbox
    from tenure_sidecar.store.etcd.plan import Answer, Site
    from tenure_sidecar.store.etcd.reading import Reader

ROUND_OPS = 60  # etcd takes 128 operations along any path through nested transactions
ROUND_BYTES = 1 << 20
_ATTEMPTS = 32  # at one op, while others change what it depends on
_STAGE_TTL = 60  # seconds that pieces wait for the plan that names them


class Waiting(msgspec.Struct):
    """An op that has no result yet."""

    number: int
    op: Op
    attempt: int = 0


class Round:
    """Ops that may share a transaction; ``take`` says whether one more may."""

    def __init__(self) -> None:
        self._mine: set[str] = set()
        self._sent: set[str] = set()
        self._items: set[tuple[str, str]] = set()

    def take(self, op: Op) -> bool:
        """Add ``op``, unless it touches what an earlier one does."""
        mine: set[str] = set()
        sent = set(others_of(op))
        items: set[tuple[str, str]] = set()
        if isinstance(op, Deliver):
            sent.add(op.target)
            items.add((op.target, op.item.key))
        else:
            mine.add(instance_of(op))
        if isinstance(op, Commit):
            items.update((message.target, message.item.key) for message in op.turn.messages)
            mine.update(creation.head.instance_id for creation in op.turn.creations)
        sent -= mine
        if mine & (self._mine | self._sent) or sent & self._mine or items & self._items:
            return False
        self._mine |= mine
        self._sent |= sent
        self._items |= items
        return True


class Writer:
    """Writes ops; ``commits`` counts the transactions that it sent."""

    def __init__(
        self,
        client: EtcdClient,
        site: Site,
        reader: Reader,
        barrier: Barrier,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._site = site
        self._reader = reader
        self._barrier = barrier
        self._judge = Judge(site)
        self._clock = clock
        self._stage_lease = 0
        self._stage_until = 0.0
        self._unsent: set[str] = set()  # instances whose outbox may not be empty
        self.commits = 0

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        """See ``Store.write``."""
        results: dict[int, Result] = {}
        waiting = deque(Waiting(number, op) for number, op in enumerate(ops))
        before = self.commits
        try:
            await self._barrier.settle()
            await self.finish()
            while waiting:
                await self._round(waiting, results)
        except OutcomeUnknownError:
            self._forget(ops)
            raise
        except StoreError as error:
            self._forget(ops)
            if self.commits == before:
                raise
            message = f"a part of a write was done, the rest was not: {error.message}"
            raise OutcomeUnknownError(message) from error
        return [results[number] for number in range(len(ops))]

    def _forget(self, ops: Sequence[Op]) -> None:
        for op in ops:
            self._site.cells.forget(instance_of(op))

    # --- rounds -----------------------------------------------------------------------------------

    async def _round(self, waiting: deque[Waiting], results: dict[int, Result]) -> None:
        """Write as many ops as one transaction takes, from the left of ``waiting``."""
        batch: list[Waiting] = []
        together = Round()
        while waiting and len(batch) < ROUND_OPS and together.take(waiting[0].op):
            batch.append(waiting.popleft())
        known = await self._read(batch)
        plans: list[tuple[Waiting, Plan]] = []
        room = ROUND_BYTES
        while batch:
            one = batch.pop(0)
            planned = self._judge.plan(one.op, known, order=len(plans))
            if not isinstance(planned, Plan):
                results[one.number] = planned
                continue
            room -= planned.size
            if room < 0 and plans:
                waiting.extendleft(reversed([one, *batch]))
                break
            plans.append((one, planned))
        if plans:
            await self._send(plans, waiting, results)

    async def _read(self, batch: Sequence[Waiting]) -> Known:
        ids: set[str] = set()
        partitions: set[int] = set()
        for one in batch:
            needed = self._judge.reads(one.op, one.attempt)
            ids |= needed
            if needed and isinstance(one.op, Commit):
                partitions.add(one.op.fence.partition)
        if not ids:
            return NOTHING
        cells, owners = await self._reader.cells(ids, partitions)
        return Known(cells, owners)

    async def _send(
        self,
        plans: Sequence[tuple[Waiting, Plan]],
        waiting: deque[Waiting],
        results: dict[int, Result],
    ) -> None:
        try:
            answers = await self._transact([plan for _, plan in plans])
        except EtcdRefusedError:
            if len(plans) == 1:
                raise
            for single in plans:  # whoever is at fault shall not harm the others
                await self._send((single,), waiting, results)
            return
        except OutcomeUnknownError:
            self._unsent.update(instance_of(one.op) for one, plan in plans if plan.outbox)
            raise
        again: list[Waiting] = []
        for (one, plan), answer in zip(plans, answers, strict=True):
            outcome = plan.outcome(answer)
            if outcome is None:
                one.attempt += 1
                if one.attempt == _ATTEMPTS:
                    message = (
                        f"'{instance_of(one.op)}' is changed by others all the time; try again"
                    )
                    raise EtcdUnavailableError(message)
                again.append(one)
                continue
            if plan.outbox and isinstance(one.op, Commit) and isinstance(outcome, Committed):
                outcome = await self._send_rest(one.op, outcome)
            results[one.number] = outcome
        waiting.extendleft(reversed(again))

    async def _transact(self, plans: Sequence[Plan]) -> list[Answer]:
        """One transaction for all plans.

        Raises: EtcdRefusedError and others of which nothing was changed; OutcomeUnknownError.
        """
        await self._stage([piece for plan in plans for piece in plan.pieces])
        parts, revision = await self._guarded([plan.txn for plan in plans])
        return [
            plan.answer(txn_of(part), revision) for plan, part in zip(plans, parts, strict=True)
        ]

    async def _guarded(self, txns: Sequence[Txn]) -> tuple[tuple[Part, ...], int]:
        """Send transactions as one, behind the barrier; the answers and the revision."""
        while True:
            try:
                result = await self._client.txn((self._barrier.compare,), txns)
            except OutcomeUnknownError:
                self.commits += 1
                self._barrier.doubt()
                raise
            if result.succeeded:
                break
            self._barrier.doubt()  # its key is not as it was: nothing was done
            await self._barrier.settle()
        self.commits += 1
        return result.results, result.revision

    async def decide(self, txn: Txn) -> TxnResult:
        """One transaction that is no op, behind the barrier.  Raises: as ``write``."""
        await self._barrier.settle()
        (part,), revision = await self._guarded((txn,))
        return TxnResult(txn_of(part).succeeded, revision, txn_of(part).results)

    async def _stage(self, pieces: Sequence[Piece]) -> None:
        """Write pieces of large values under a lease that ends by itself."""
        if not pieces:
            return
        now = self._clock()
        if now >= self._stage_until:
            term = await self._client.lease_grant(_STAGE_TTL)
            self._stage_lease, self._stage_until = term.id, now + _STAGE_TTL / 2
        batch: list[Put] = []
        room = ROUND_BYTES
        for piece in pieces:
            room -= len(piece.value)
            if batch and (room < 0 or len(batch) == ROUND_OPS):
                await self._client.txn((), batch)
                batch, room = [], ROUND_BYTES - len(piece.value)
            batch.append(Put(piece.key, piece.value, self._stage_lease))
        await self._client.txn((), batch)

    # --- what very large turns send ---------------------------------------------------------------

    async def _send_rest(self, op: Commit, committed: Committed) -> Committed:
        """Send what a turn left in its outbox.  Raises: OutcomeUnknownError, since the turn is
        true and what it sends will be sent, but nobody knows yet what became of it."""
        instance_id = instance_of(op)
        try:
            fates = await self._empty(instance_id, self._site)
        except StoreError as error:
            self._unsent.add(instance_id)
            message = f"a turn of '{instance_id}' is committed, not all that it sends is sent"
            raise OutcomeUnknownError(message) from error
        creations = [fate for fate in fates if isinstance(fate, Created | Exists)]
        messages = [fate for fate in fates if isinstance(fate, Delivery)]
        turn = op.turn
        if (len(creations), len(messages)) != (len(turn.creations), len(turn.messages)):
            message = (
                f"a turn of '{instance_id}' is committed, and another owner sent what it sends"
            )
            raise OutcomeUnknownError(message)
        return Committed(committed.version, tuple(creations), tuple(messages))

    async def settle(self, instance_id: str) -> None:
        """Whoever reads the instance may rely on its last turn's messages being sent, also of a turn
        whose outcome was unknown.  Raises: StoreError."""
        if instance_id in self._unsent:
            await self._barrier.settle()
            await self.finish()

    async def _empty(self, instance_id: str, site: Site) -> list[Fate]:
        """Carry out everything in the instance's outbox.  Raises: StoreError."""
        fates: list[Fate] = []
        outbox: Outbox | None = None
        known: dict[str, Cell | None] = {}
        while True:
            if outbox is None:
                outbox = await self._reader.outbox(site, instance_id)
                if outbox is None:
                    return fates
            plan, became = outbox.step(known)
            (answer,) = await self._transact((plan,))
            if answer.held:
                fates += became(answer)
                known = {}
                if outbox.over:
                    return fates
            else:
                known, _ = await self._reader.cells(outbox.ids())
                outbox = None

    async def finish(self, instance_ids: Iterable[str] = ()) -> None:
        """Send what is left in outboxes: those of ``instance_ids``, and those where this handle
        failed before.  Raises: StoreError."""
        self._unsent.update(instance_ids)
        # Nobody here waits to hear what became of these: the watch tells of them, as of what others
        # send.
        unnamed = msgspec.structs.replace(self._site, handle="")
        for instance_id in tuple(self._unsent):
            await self._empty(instance_id, unnamed)
            self._unsent.discard(instance_id)
