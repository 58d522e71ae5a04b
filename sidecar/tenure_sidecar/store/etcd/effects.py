"""What one op writes, net of what its parts do and undo among themselves.

etcd takes a key only once in a transaction, be it put or deleted, and a range that is deleted must
not hold a key that is put.  So parts of an op write here, in order, and what remains is handed over
at the end: ranges are cut around the keys that are put after all.

etcd also limits how many operations stand side by side (128 along any path through nested
transactions), not how many there are in all; ``nest`` makes a tree of them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from tenure_sidecar.etcd import Delete, Op, Put, Txn
from tenure_sidecar.store.etcd.keys import Span

WIDTH = 24  # operations side by side in a tree
_OVERHEAD = 24  # bytes around a key and its value in a request


class Effects:
    """Writes of one op."""

    def __init__(self) -> None:
        self._puts: dict[bytes, bytes | None] = {}  # None: the value stays, the lease goes
        self._deletes: dict[bytes, None] = {}
        self._spans: list[Span] = []
        self.size = 0  # bytes, roughly

    def put(self, key: bytes, value: bytes) -> None:
        """``key`` gets ``value``."""
        self._deletes.pop(key, None)
        self._puts[key] = value

    def settle(self, key: bytes) -> None:
        """``key`` keeps its value and stays for good."""
        self._puts[key] = None

    def delete(self, key: bytes) -> None:
        """``key`` goes."""
        self._puts.pop(key, None)
        self._deletes[key] = None

    def deletes(self, key: bytes) -> bool:
        """Whether ``key`` goes."""
        return key in self._deletes

    def clear(self, keys: Span) -> None:
        """All keys of the range go; what is put into it later stays."""
        for there in (self._puts, self._deletes):
            for key in [key for key in there if keys.first <= key < keys.end]:
                del there[key]
        self._spans.append(keys)

    def ops(self) -> list[Op]:
        """Everything, as one op may hold it; counts ``size``."""
        found: list[Op] = []
        for key, value in self._puts.items():
            found.append(Put(key, value))
            self.size += len(key) + len(value or b"") + _OVERHEAD
        for first, end in self._cut():
            found.append(Delete(first, end))
            self.size += len(first) + len(end) + _OVERHEAD
        for key in self._deletes:
            if not any(first <= key < end for first, end in self._spans):
                found.append(Delete(key))
                self.size += len(key) + _OVERHEAD
        return found

    def _cut(self) -> Iterator[tuple[bytes, bytes]]:
        for first, end in _merged(self._spans):
            inside: list[bytes] = []
            for key in self._puts:
                if first <= key < end:
                    insort(inside, key)
            begin = first
            for key in inside:
                if begin < key:
                    yield begin, key
                begin = key + b"\0"
            if begin < end:
                yield begin, end


def _merged(spans: Sequence[Span]) -> Iterator[Span]:
    """The same keys in ranges that do not overlap."""
    last: Span | None = None
    for one in sorted(set(spans)):
        if last is None:
            last = one
        elif one.first <= last.end:
            last = Span(last.first, max(last.end, one.end))
        else:
            yield last
            last = one
    if last is not None:
        yield last


def nest(ops: Sequence[Op], *, width: int = WIDTH) -> tuple[list[Op], int]:
    """``ops`` as a tree that is at most ``width`` wide, and how often they are wrapped."""
    level: list[Op] = list(ops)
    depth = 0
    while len(level) > width:
        level = [*(Txn((), level[at : at + width]) for at in range(0, len(level), width))]
        depth += 1
    return level, depth


def weight(txn: Txn) -> int:
    """Bytes of a transaction's request, roughly."""
    total = sum(len(c.key) + _OVERHEAD for c in txn.compare)
    for op in (*txn.success, *txn.failure):
        if isinstance(op, Txn):
            total += weight(op)
        else:
            total += len(op.key) + _OVERHEAD
            if isinstance(op, Put) and op.value:
                total += len(op.value)
    return total
