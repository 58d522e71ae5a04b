"""What an etcd cluster does with a request, exactly and at once: keys, revisions, leases.

One object stands for the replicated state machine that all members share.  It takes and returns the
messages of the wire.  It knows nothing of members, connections or delays (``etcd_server`` does), and
time comes in as an argument.

The rules are those of etcd 3.5, as far as Tenure uses it; ``tests/integration/etcd/test_etcd_model``
plays random requests to this and to a real etcd, and compares every answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from typing import Any

from grpc import StatusCode

from tenure_sidecar.etcd._generated import etcd_pb2 as pb

MAX_OPS = 128  # along any path through nested transactions
MAX_BYTES = 1_572_864  # of one request
_TTL_MIN = 2  # seconds; etcd takes its election timeout for it
_FIRST_LEASE = 0x5EED0000


class Refusal(Exception):  # noqa: N818 - it is etcd's answer, not our failure
    """etcd answers with this status."""

    def __init__(self, code: StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def _refuse(code: StatusCode, details: str) -> Refusal:
    return Refusal(code, f"etcdserver: {details}")


class Granted:
    """One lease."""

    def __init__(self, number: int, ttl: int, now: float) -> None:
        self.number = number
        self.ttl = ttl
        self.until = now + ttl
        self.keys: set[bytes] = set()


class EtcdModel:
    """See the module docstring."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self.full = False  # the NOSPACE alarm
        self.changes: list[tuple[int, tuple[pb.Event, ...]]] = []  # every write, never compacted
        self.leases: dict[int, Granted] = {}
        self._versions: dict[bytes, list[pb.Event]] = {}  # oldest first; a DELETE is a tombstone
        self._ever: list[bytes] = []  # all keys that ever were, sorted
        self._live: dict[bytes, pb.KeyValue] = {}
        self._sorted: list[bytes] = []  # those that are, sorted
        self._events: list[pb.Event] = []  # of the write under way
        self._next_lease = _FIRST_LEASE

    # --- requests -----------------------------------------------------------------------------

    def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Raises: Refusal."""
        response = self._range(request)
        response.header.revision = self.revision
        return response

    def delete(self, request: pb.DeleteRangeRequest) -> pb.DeleteRangeResponse:
        """Raises: Refusal."""
        deleted = self._delete(request)
        return pb.DeleteRangeResponse(header=self._commit(), deleted=deleted)

    def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Raises: Refusal, and nothing is changed."""
        if self.full and not _only_deletes(request):
            raise _refuse(StatusCode.RESOURCE_EXHAUSTED, "mvcc: database space exceeded")
        if request.ByteSize() > MAX_BYTES:
            raise _refuse(StatusCode.INVALID_ARGUMENT, "request is too large")
        _check_size(request, 0)
        _check_keys(request)
        path = self._path(request)
        self._check(request, path)
        response = self._txn(request, iter(path))
        response.header.CopyFrom(self._commit())
        return response

    def compact(self, request: pb.CompactionRequest) -> pb.CompactionResponse:
        """Raises: Refusal."""
        if request.revision <= self.compacted:
            raise _refuse(StatusCode.OUT_OF_RANGE, "mvcc: required revision has been compacted")
        if request.revision > self.revision:
            raise _refuse(StatusCode.OUT_OF_RANGE, "mvcc: required revision is a future revision")
        self.compacted = request.revision
        return pb.CompactionResponse(header=self.header())

    def grant(self, request: pb.LeaseGrantRequest, now: float) -> pb.LeaseGrantResponse:
        """A lease; etcd chooses its number when the request has none.  Raises: Refusal."""
        if self.full:
            raise _refuse(StatusCode.RESOURCE_EXHAUSTED, "mvcc: database space exceeded")
        number = request.id
        if not number:
            self._next_lease += 1
            number = self._next_lease
        if number in self.leases:
            raise _refuse(StatusCode.FAILED_PRECONDITION, "lease already exists")
        lease = self.leases[number] = Granted(number, max(request.ttl, _TTL_MIN), now)
        return pb.LeaseGrantResponse(header=self.header(), id=number, ttl=lease.ttl)

    def revoke(self, request: pb.LeaseRevokeRequest) -> pb.LeaseRevokeResponse:
        """Raises: Refusal."""
        if request.id not in self.leases:
            raise _refuse(StatusCode.NOT_FOUND, "requested lease not found")
        self._end(request.id)
        return pb.LeaseRevokeResponse(header=self.header())

    def keep_alive(
        self, request: pb.LeaseKeepAliveRequest, now: float
    ) -> pb.LeaseKeepAliveResponse:
        """A lease that is not there has no time left."""
        lease = self.leases.get(request.id)
        if lease is not None and lease.until <= now:  # it is about to be ended
            lease = None
        if lease is not None:
            lease.until = now + lease.ttl
        ttl = 0 if lease is None else lease.ttl
        return pb.LeaseKeepAliveResponse(header=self.header(), id=request.id, ttl=ttl)

    # --- time ---------------------------------------------------------------------------------

    def expire(self, now: float) -> list[int]:
        """End the leases whose time is over; which."""
        over = sorted(number for number, one in self.leases.items() if one.until <= now)
        for number in over:
            self._end(number)
        return over

    def extend(self, now: float) -> None:
        """A new leader gives every lease its full time again."""
        for lease in self.leases.values():
            lease.until = now + lease.ttl

    # --- facts --------------------------------------------------------------------------------

    def header(self) -> pb.ResponseHeader:
        """The header of an answer."""
        return pb.ResponseHeader(revision=self.revision)

    def names(self) -> Sequence[bytes]:
        """All keys that are there, in order."""
        return self._sorted

    def value(self, key: bytes) -> pb.KeyValue | None:
        """A key that is there."""
        return self._live.get(key)

    def since(self, revision: int) -> Iterator[tuple[int, tuple[pb.Event, ...]]]:
        """The writes from ``revision`` on."""
        at = bisect_left(self.changes, (revision,))
        return iter(self.changes[at:])

    # --- reading ------------------------------------------------------------------------------

    def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        revision = request.revision
        if revision > self.revision:
            raise _refuse(StatusCode.OUT_OF_RANGE, "mvcc: required revision is a future revision")
        if revision and revision < self.compacted:
            raise _refuse(StatusCode.OUT_OF_RANGE, "mvcc: required revision has been compacted")
        if revision and revision != self.revision:
            found = [
                kv
                for key in _within(self._ever, request.key, request.range_end)
                if (kv := self._as_of(key, revision)) is not None
            ]
        else:
            keys = _within(self._sorted, request.key, request.range_end)
            found = [self._live[key] for key in keys]
        response = pb.RangeResponse(count=len(found))
        if request.count_only:
            return response
        if request.sort_order == pb.RangeRequest.DESCEND:
            found.reverse()
        if request.limit and len(found) > request.limit:
            response.more = True
            found = found[: request.limit]
        for kv in found:
            shown = response.kvs.add()
            shown.CopyFrom(kv)
            if request.keys_only:
                shown.ClearField("value")
        return response

    def _as_of(self, key: bytes, revision: int) -> pb.KeyValue | None:
        versions = self._versions[key]
        at = bisect_right(versions, revision, key=lambda one: one.kv.mod_revision)
        event = versions[at - 1] if at else None
        return None if event is None or event.type == pb.Event.DELETE else event.kv

    # --- transactions -------------------------------------------------------------------------

    def _path(self, request: pb.TxnRequest) -> list[bool]:
        """Which branches are taken; all comparisons are made before anything is written."""
        holds = all(self._holds(compare) for compare in request.compare)
        path = [holds]
        for op in request.success if holds else request.failure:
            if op.HasField("request_txn"):
                path += self._path(op.request_txn)
        return path

    def _holds(self, compare: pb.Compare) -> bool:
        if compare.range_end:
            keys = _within(self._sorted, compare.key, compare.range_end)
            if not keys:  # of no key no value is known; everything else is 0
                return compare.target != pb.Compare.VALUE and _compare(compare, pb.KeyValue())
            return all(_compare(compare, self._live[key]) for key in keys)
        kv = self._live.get(compare.key)
        if kv is None and compare.target == pb.Compare.VALUE:
            return False
        return _compare(compare, pb.KeyValue() if kv is None else kv)

    def _check(self, request: pb.TxnRequest, path: list[bool]) -> None:
        """Whether what will be done can be.  Raises: Refusal."""
        steps = iter(path)

        def check(txn: pb.TxnRequest) -> None:
            for op in txn.success if next(steps) else txn.failure:
                if op.HasField("request_txn"):
                    check(op.request_txn)
                elif op.HasField("request_put"):
                    self._check_put(op.request_put)
                elif op.HasField("request_range"):
                    revision = op.request_range.revision
                    if revision > self.revision:
                        text = "mvcc: required revision is a future revision"
                        raise _refuse(StatusCode.OUT_OF_RANGE, text)
                    if revision and revision < self.compacted:
                        text = "mvcc: required revision has been compacted"
                        raise _refuse(StatusCode.OUT_OF_RANGE, text)

        check(request)

    def _check_put(self, put: pb.PutRequest) -> None:
        if put.lease and put.lease not in self.leases:
            raise _refuse(StatusCode.NOT_FOUND, "requested lease not found")
        if put.ignore_value and put.key not in self._live:
            raise _refuse(StatusCode.INVALID_ARGUMENT, "key not found")

    def _txn(self, request: pb.TxnRequest, path: Iterator[bool]) -> pb.TxnResponse:
        response = pb.TxnResponse(succeeded=next(path))
        for op in request.success if response.succeeded else request.failure:
            answer = response.responses.add()
            if op.HasField("request_txn"):
                answer.response_txn.CopyFrom(self._txn(op.request_txn, path))
            elif op.HasField("request_put"):
                self._put(op.request_put)
                answer.response_put.SetInParent()
            elif op.HasField("request_delete_range"):
                answer.response_delete_range.deleted = self._delete(op.request_delete_range)
                answer.response_delete_range.SetInParent()
            else:
                answer.response_range.CopyFrom(self._range(op.request_range))
        return response

    # --- writing ------------------------------------------------------------------------------

    def _put(self, put: pb.PutRequest) -> None:
        before = self._live.get(put.key)
        revision = self.revision + 1
        kv = pb.KeyValue(
            key=put.key,
            value=before.value if put.ignore_value and before is not None else put.value,
            create_revision=revision if before is None else before.create_revision,
            mod_revision=revision,
            version=1 if before is None else before.version + 1,
            lease=put.lease,
        )
        if before is None:
            insort(self._sorted, put.key)
        elif before.lease:
            self.leases[before.lease].keys.discard(put.key)
        if put.lease:
            self.leases[put.lease].keys.add(put.key)
        self._live[put.key] = kv
        self._events.append(pb.Event(type=pb.Event.PUT, kv=kv))

    def _delete(self, request: pb.DeleteRangeRequest) -> int:
        keys = list(_within(self._sorted, request.key, request.range_end))
        for key in keys:
            self._remove(key)
        return len(keys)

    def _remove(self, key: bytes) -> None:
        before = self._live.pop(key)
        del self._sorted[bisect_left(self._sorted, key)]
        if before.lease:
            self.leases[before.lease].keys.discard(key)
        gone = pb.KeyValue(key=key, mod_revision=self.revision + 1)
        self._events.append(pb.Event(type=pb.Event.DELETE, kv=gone))

    def _commit(self) -> pb.ResponseHeader:
        """What was written becomes one revision."""
        if self._events:
            self.revision += 1
            events, self._events = tuple(self._events), []
            for event in events:
                versions = self._versions.get(event.kv.key)
                if versions is None:
                    self._versions[event.kv.key] = versions = []
                    insort(self._ever, event.kv.key)
                if versions and versions[-1].kv.mod_revision == self.revision:
                    versions[-1] = event
                else:
                    versions.append(event)
            self.changes.append((self.revision, events))
        return self.header()

    def _end(self, number: int) -> None:
        for key in sorted(self.leases[number].keys):
            self._remove(key)
        del self.leases[number]
        self._commit()


def _within(keys: list[bytes], key: bytes, end: bytes) -> Sequence[bytes]:
    """Those of ``keys`` in [key, end); ``end`` empty = the key itself, a zero byte = no end."""
    first = bisect_left(keys, key)
    if not end:
        return keys[first : first + 1] if keys[first : first + 1] == [key] else ()
    return keys[first:] if end == b"\0" else keys[first : bisect_left(keys, end)]


def _compare(compare: pb.Compare, kv: pb.KeyValue) -> bool:
    mine: Any
    theirs: Any
    if compare.target == pb.Compare.VALUE:
        mine, theirs = kv.value, compare.value
    elif compare.target == pb.Compare.CREATE:
        mine, theirs = kv.create_revision, compare.create_revision
    elif compare.target == pb.Compare.MOD:
        mine, theirs = kv.mod_revision, compare.mod_revision
    elif compare.target == pb.Compare.VERSION:
        mine, theirs = kv.version, compare.version
    else:
        mine, theirs = kv.lease, compare.lease
    if compare.result == pb.Compare.EQUAL:
        return bool(mine == theirs)
    if compare.result == pb.Compare.NOT_EQUAL:
        return bool(mine != theirs)
    return bool(mine > theirs if compare.result == pb.Compare.GREATER else mine < theirs)


def _check_size(request: pb.TxnRequest, before: int) -> None:
    """etcd counts the longest of the three lists, along each path through nested transactions."""
    count = before + max(len(request.compare), len(request.success), len(request.failure))
    if count > MAX_OPS:
        raise _refuse(StatusCode.INVALID_ARGUMENT, "too many operations in txn request")
    for op in (*request.success, *request.failure):
        if op.HasField("request_txn"):
            _check_size(op.request_txn, count)


def _check_keys(request: pb.TxnRequest) -> None:
    """No key may be put twice, or put and deleted, by what may happen in one transaction."""
    for branch in (request.success, request.failure):
        _written(branch)


def _written(ops: Sequence[pb.RequestOp]) -> tuple[set[bytes], list[tuple[bytes, bytes]]]:
    """Keys that are put and ranges that are deleted.  Raises: Refusal."""
    puts: set[bytes] = set()
    ranges = [
        (op.request_delete_range.key, op.request_delete_range.range_end)
        for op in ops
        if op.HasField("request_delete_range")
    ]
    nested: list[tuple[set[bytes], list[tuple[bytes, bytes]]]] = []
    for op in ops:
        if not op.HasField("request_txn"):
            continue
        # Either branch may be taken: what both put counts once.
        both: set[bytes] = set()
        gone: list[tuple[bytes, bytes]] = []
        for branch in (op.request_txn.success, op.request_txn.failure):
            theirs, deleted = _written(branch)
            both |= theirs
            gone += deleted
        nested.append((both, gone))
    for theirs, deleted in nested:
        if puts & theirs or _hit(theirs, ranges) or _hit(puts, deleted):
            raise _duplicate()
        puts |= theirs
        ranges += deleted
    for op in ops:
        if op.HasField("request_put"):
            key = op.request_put.key
            if key in puts or _hit({key}, ranges):
                raise _duplicate()
            puts.add(key)
    return puts, ranges


def _hit(keys: set[bytes], ranges: list[tuple[bytes, bytes]]) -> bool:
    # To this check a zero byte is an end like any other: no key lies before it.
    return any(
        key == first if not end else first <= key < end for key in keys for first, end in ranges
    )


def _duplicate() -> Refusal:
    return _refuse(StatusCode.INVALID_ARGUMENT, "duplicate key given in txn request")


def _only_deletes(request: pb.TxnRequest) -> bool:
    """A full etcd takes reads and deletions in transactions?  It takes neither with a put."""
    return not any(
        op.HasField("request_put")
        or (op.HasField("request_txn") and not _only_deletes(op.request_txn))
        for op in (*request.success, *request.failure)
    )
