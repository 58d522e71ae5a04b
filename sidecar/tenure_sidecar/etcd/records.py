"""What is said to etcd and what it answers, as frozen values; and their form on the wire.

A transaction is ``Txn(compare, success, failure)``: when every comparison holds, the ops of
``success`` happen together, else those of ``failure``.  An op may itself be a ``Txn``: then it is
judged on its own, which is how independent transactions share a round trip.  Beware: the
comparisons of *all* nested transactions are evaluated before anything is written, so two of them
must not depend on each other; and one key may be put only once in a whole transaction.

A revision counts etcd's write transactions.  ``mod_revision`` of a key is that of its last write,
0 when there is no such key; it never repeats, and so it serves as a version and as a fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.etcd._generated import etcd_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyValue(msgspec.Struct, frozen=True):
    """One key as of some revision."""

    key: bytes
    value: bytes
    create_revision: int  # of the put that made it
    mod_revision: int  # of its last put
    lease: int  # 0 = none: the key lives until it is deleted


class Range(msgspec.Struct, frozen=True):
    """Keys in order.  ``more``: the limit cut the answer; ``count``: how many there are in all;
    ``revision``: of the store when it answered (0 inside a transaction)."""

    kvs: tuple[KeyValue, ...]
    revision: int
    more: bool
    count: int


class TxnResult(msgspec.Struct, frozen=True):
    """``results`` has one entry for each op of the branch that was taken: a ``Range`` for a
    ``Get``, a ``TxnResult`` for a ``Txn``, the number of deleted keys for a ``Delete``, None for a
    ``Put``.  ``revision`` is that of the write (0 in a nested one): every key that was put has it
    as its ``mod_revision``."""

    succeeded: bool
    revision: int
    results: tuple[Part, ...]


Part = Range | TxnResult | int | None


def range_of(part: Part) -> Range:
    """The answer to a ``Get``.  Raises: TypeError, when it is to something else."""
    if not isinstance(part, Range):
        raise TypeError(part)
    return part


def txn_of(part: Part) -> TxnResult:
    """The answer to a ``Txn``.  Raises: TypeError, when it is to something else."""
    if not isinstance(part, TxnResult):
        raise TypeError(part)
    return part


# --- ops and comparisons --------------------------------------------------------------------------


class Put(msgspec.Struct, frozen=True):
    """Write a key; with a ``lease``, it goes when the lease does.  ``value`` None leaves the value
    of a key that must exist, and changes only its lease."""

    key: bytes
    value: bytes | None
    lease: int = 0


class Get(msgspec.Struct, frozen=True):
    """Read ``key``, or all keys in [key, end).  ``limit`` 0 = no limit."""

    key: bytes
    end: bytes = b""
    limit: int = 0
    revision: int = 0  # 0 = the newest
    keys_only: bool = False
    count_only: bool = False
    descending: bool = False

    def at(self, revision: int) -> Get:
        """The same as of ``revision``."""
        return msgspec.structs.replace(self, revision=revision)


class Delete(msgspec.Struct, frozen=True):
    """Delete ``key``, or all keys in [key, end)."""

    key: bytes
    end: bytes = b""


class Compare(msgspec.Struct, frozen=True):
    """A condition on a key; made by the functions below."""

    key: bytes
    target: pb.Compare.CompareTarget
    result: pb.Compare.CompareResult
    value: int | bytes
    end: bytes = b""


class Txn(msgspec.Struct, frozen=True):
    """See the module docstring."""

    compare: Sequence[Compare]
    success: Sequence[Op]
    failure: Sequence[Op] = ()


Op = Put | Get | Delete | Txn


def absent(key: bytes, end: bytes = b"") -> Compare:
    """There is no such key (with ``end``: none in [key, end))."""
    return Compare(key, pb.Compare.CREATE, pb.Compare.EQUAL, 0, end)


def present(key: bytes) -> Compare:
    """There is such a key."""
    return Compare(key, pb.Compare.CREATE, pb.Compare.GREATER, 0)


def unchanged(key: bytes, mod_revision: int) -> Compare:
    """The key's last write was that of ``mod_revision`` (0 = there is no such key)."""
    return Compare(key, pb.Compare.MOD, pb.Compare.EQUAL, mod_revision)


def value_is(key: bytes, value: bytes) -> Compare:
    """The key has this value."""
    return Compare(key, pb.Compare.VALUE, pb.Compare.EQUAL, value)


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with ``prefix`` (of all keys, when empty)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"


# --- the wire -------------------------------------------------------------------------------------


def range_request(op: Get) -> pb.RangeRequest:
    """``op`` as a request of its own."""
    request = pb.RangeRequest()
    _fill_range(request, op)
    return request


def txn_request(txn: Txn) -> pb.TxnRequest:
    """``txn`` as a request."""
    request = pb.TxnRequest()
    _fill_txn(request, txn)
    return request


def _fill_range(request: pb.RangeRequest, op: Get) -> None:
    request.key = op.key
    request.range_end = op.end
    request.limit = op.limit
    request.revision = op.revision
    request.keys_only = op.keys_only
    request.count_only = op.count_only
    if op.descending:
        request.sort_order = pb.RangeRequest.DESCEND


def _fill_txn(request: pb.TxnRequest, txn: Txn) -> None:
    # Filled in place: handing a finished message to its parent would copy it.
    for compare in txn.compare:
        there = request.compare.add()
        there.result, there.target, there.key = compare.result, compare.target, compare.key
        there.range_end = compare.end
        if isinstance(compare.value, bytes):
            there.value = compare.value
        elif compare.target == pb.Compare.MOD:
            there.mod_revision = compare.value
        else:
            there.create_revision = compare.value
    for branch, ops in ((request.success, txn.success), (request.failure, txn.failure)):
        for op in ops:
            slot = branch.add()
            if isinstance(op, Put):
                put = slot.request_put
                put.key, put.lease = op.key, op.lease
                if op.value is None:
                    put.ignore_value = True
                else:
                    put.value = op.value
            elif isinstance(op, Txn):
                slot.request_txn.SetInParent()
                _fill_txn(slot.request_txn, op)
            elif isinstance(op, Delete):
                slot.request_delete_range.key = op.key
                slot.request_delete_range.range_end = op.end
            else:
                _fill_range(slot.request_range, op)


def key_value(kv: pb.KeyValue) -> KeyValue:
    """``kv`` as a value."""
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.lease)


def range_result(response: pb.RangeResponse) -> Range:
    """What a ``Get`` found."""
    kvs = tuple([key_value(kv) for kv in response.kvs])
    return Range(kvs, response.header.revision, response.more, response.count)


def txn_result(response: pb.TxnResponse) -> TxnResult:
    """What a ``Txn`` did."""
    results = tuple(_results(response.responses))
    return TxnResult(response.succeeded, response.header.revision, results)


def _results(responses: Iterable[pb.ResponseOp]) -> Iterable[Part]:
    for response in responses:
        kind = response.WhichOneof("response")
        if kind == "response_range":
            yield range_result(response.response_range)
        elif kind == "response_txn":
            yield txn_result(response.response_txn)
        elif kind == "response_delete_range":
            yield response.response_delete_range.deleted
        else:
            yield None
