"""What a very large turn sends: kept with the turn, sent bit by bit, each bit once.

etcd takes a limited number of comparisons and bytes in one request, and each child that is created
costs a comparison.  A turn that creates or sends more than fits writes what it sends into its
``outbox`` key, in the same transaction as everything else of it.  Right after, and after a crash
before the partition's next owner does anything, the entries are carried out in order.  Every step
compares the key and moves its mark forward, or deletes it at the end: no step happens twice, and
none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.turn import Creation, Message
from tenure_sidecar.etcd import unchanged
from tenure_sidecar.store.etcd.plan import Answer, Draft, Plan, Site, remember
from tenure_sidecar.store.etcd.turns import Sending, born_at
from tenure_sidecar.store.etcd.values import Blob, OutboxValue, pack, unpack
from tenure_sidecar.store.port import Created, Delivery, Exists

if TYPE_CHECKING:
    from tenure_sidecar.engine.turn import Turn
    from tenure_sidecar.etcd import KeyValue
    from tenure_sidecar.store.etcd.cells import Cell

STEP_ENTRIES = 40  # at a time
STEP_BYTES = 600 << 10

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[tuple[Creation, ...], tuple[Message, ...]])

Fate = Created | Exists | Delivery


def pack_outbox(draft: Draft, instance_id: str, turn: Turn) -> None:
    """Leave what the turn sends for later, in its own transaction."""
    key = draft.keys.outbox(instance_id)
    body = draft.stage(instance_id, "o", _encode((turn.creations, turn.messages)))
    draft.effects.put(key, pack(key, OutboxValue(0, body)))


class Outbox:
    """The outbox of one instance as it was read.

    Args:
        site: where.
        kv: the key.
        data: what its value names or holds.
        instance_id: whose it is.
    """

    def __init__(self, site: Site, kv: KeyValue, *, data: bytes, instance_id: str) -> None:
        self._site = site
        self._key = kv.key
        self._id = instance_id
        value = unpack(kv.key, kv.value, OutboxValue)
        self._body = value.body
        self._revision = kv.mod_revision
        self._done = value.done
        creations, messages = _decoder.decode(data)
        self._entries: tuple[Creation | Message, ...] = (*creations, *messages)

    @property
    def over(self) -> bool:
        """Whether everything is sent."""
        return self._done >= len(self._entries)

    def ids(self) -> set[str]:
        """The instances that the next step creates."""
        entries = self._entries[self._done : self._done + STEP_ENTRIES]
        return {one.head.instance_id for one in entries if isinstance(one, Creation)}

    def step(self, known: Mapping[str, Cell | None]) -> tuple[Plan, Callable[[Answer], list[Fate]]]:
        """The next entries as a plan, and what became of them once it is done.

        Args:
            known: cells of the instances that the step creates; missing ones are taken for free.
        """
        draft = Draft(self._site)
        draft.compare.append(unchanged(self._key, self._revision))
        sending = Sending(draft, known)
        fates: list[Created | Exists | Callable[[Answer], Delivery]] = []
        room = STEP_BYTES
        for entry in self._entries[self._done : self._done + STEP_ENTRIES]:
            room -= len(_encode(entry))
            if fates and room < 0:
                break
            if isinstance(entry, Creation):
                fates.append(sending.create(entry))
            else:
                fates.append(sending.send(entry.target, entry.item))
        done = self._done + len(fates)
        if done < len(self._entries):
            draft.effects.put(self._key, pack(self._key, OutboxValue(done, self._body)))
        else:
            draft.effects.delete(self._key)
            draft.unstage(self._id, self._body if isinstance(self._body, Blob) else None)

        def became(answer: Answer) -> list[Fate]:
            self._done, self._revision = done, answer.revision
            remember(draft, sending.cells.values(), answer.revision)
            return [
                fate(answer) if callable(fate) else born_at(fate, answer.revision) for fate in fates
            ]

        return draft.plan(lambda _: None), became
