"""The simulation's etcd answers as a real one does: random requests to both, every answer compared.

In scope: reads at any revision, nested transactions with all comparisons, leases, compaction, watches
from any revision, and what is refused, in which words.  Out of scope: what happens to a request on
its way (the simulation draws that), members, users, size limits in bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from support.etcd import Cluster
from support.simulation.etcd_model import EtcdModel, Refusal
from tenure_sidecar.etcd._generated import etcd_pb2 as pb

REQUESTS = 700
_KEYS = [b"/a", b"/b", b"/b/1", b"/b/2", b"/c"]
_RANGES = [*((key, b"") for key in _KEYS), (b"/b", b"/c"), (b"/", b"0"), (b"/b/", b"\0")]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cluster]:
    """An etcd without a past: its revisions are the model's."""
    with Cluster(tmp_path) as cluster:
        yield cluster


class Maker:
    """Random requests, as they are on the wire."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.leases: list[int] = []

    def one(self, model: EtcdModel) -> tuple[str, Any]:
        """A method and its request."""
        draw = self._random.randrange(100)
        if draw < 55:
            return "KV/Txn", self.txn(model, depth=0)
        if draw < 80:
            return "KV/Range", self._range(model)
        if draw < 88:
            key, end = self._random.choice(_RANGES)
            return "KV/DeleteRange", pb.DeleteRangeRequest(key=key, range_end=end)
        if draw < 93:
            number = self._random.randrange(1, 6)
            return "Lease/LeaseGrant", pb.LeaseGrantRequest(id=number, ttl=3600)
        if draw < 97:
            return "Lease/LeaseRevoke", pb.LeaseRevokeRequest(id=self._random.randrange(1, 6))
        return "KV/Compact", pb.CompactionRequest(revision=self._revision(model))

    def _revision(self, model: EtcdModel) -> int:
        return max(1, model.revision - self._random.randrange(-1, 40))

    def _range(self, model: EtcdModel) -> pb.RangeRequest:
        key, end = self._random.choice(_RANGES)
        return pb.RangeRequest(
            key=key,
            range_end=end,
            revision=self._random.choice((0, 0, self._revision(model))),
            limit=self._random.choice((0, 0, 1, 2)),
            keys_only=self._random.random() < 0.2,
            count_only=self._random.random() < 0.1,
            sort_order=self._random.choice((pb.RangeRequest.NONE, pb.RangeRequest.DESCEND)),
        )

    def txn(self, model: EtcdModel, *, depth: int) -> pb.TxnRequest:
        """A transaction, perhaps with others in it."""
        request = pb.TxnRequest()
        for _ in range(self._random.randrange(3)):
            self._compare(request.compare.add(), model)
        for branch in (request.success, request.failure):
            for _ in range(self._random.randrange(4)):
                self._op(branch.add(), model, depth=depth)
        return request

    def _compare(self, compare: pb.Compare, model: EtcdModel) -> None:
        draw = self._random
        compare.key = draw.choice(_KEYS)
        if draw.random() < 0.2:
            compare.key, compare.range_end = draw.choice(_RANGES)
        compare.result = draw.choice((0, 1, 2, 3))
        compare.target = draw.choice((0, 1, 2, 3, 4))
        there = model.value(compare.key)
        if compare.target == pb.Compare.VALUE:
            compare.value = draw.choice((b"", b"1", b"2"))
        elif compare.target == pb.Compare.MOD:
            compare.mod_revision = draw.choice((0, there.mod_revision if there else 3))
        elif compare.target == pb.Compare.CREATE:
            compare.create_revision = draw.choice((0, there.create_revision if there else 3))
        elif compare.target == pb.Compare.VERSION:
            compare.version = draw.randrange(3)
        else:
            compare.lease = draw.randrange(3)

    def _op(self, op: pb.RequestOp, model: EtcdModel, *, depth: int) -> None:
        draw = self._random
        kind = draw.randrange(10)
        if kind < 5:
            put = op.request_put
            put.key = draw.choice(_KEYS)
            put.ignore_value = draw.random() < 0.1
            if not put.ignore_value:
                put.value = draw.choice((b"1", b"2"))
            # Whether it is refused for a lease that is not there depends on etcd's version.
            put.lease = draw.choice((0, 0, 0, *sorted(model.leases)))
        elif kind < 7:
            op.request_range.CopyFrom(self._range(model))
        elif kind < 9 or depth > 1:
            op.request_delete_range.key, op.request_delete_range.range_end = draw.choice(_RANGES)
        else:
            op.request_txn.CopyFrom(self.txn(model, depth=depth + 1))


def plain(response: Any) -> Any:
    """An answer without what belongs to the server: members, terms, headers of parts."""
    response = type(response).FromString(response.SerializeToString())
    _strip(response, outer=True)
    return response


def _strip(response: Any, *, outer: bool) -> None:
    revision = response.header.revision
    response.ClearField("header")
    if outer:
        response.header.revision = revision
    if isinstance(response, pb.TxnResponse):
        for part in response.responses:
            _strip(getattr(part, part.WhichOneof("response")), outer=False)
            getattr(part, part.WhichOneof("response")).SetInParent()


def modelled(model: EtcdModel, path: str, request: Any) -> Any:
    """What the model answers: a response, or status and text."""
    methods: dict[str, Callable[[Any], Any]] = {
        "KV/Txn": model.txn,
        "KV/Range": model.range,
        "KV/DeleteRange": model.delete,
        "KV/Compact": model.compact,
        "Lease/LeaseGrant": lambda one: model.grant(one, 0.0),
        "Lease/LeaseRevoke": model.revoke,
    }
    try:
        return plain(methods[path](request))
    except Refusal as refusal:
        return refusal.code, refusal.details


_RESPONSES = {
    "KV/Txn": pb.TxnResponse,
    "KV/Range": pb.RangeResponse,
    "KV/DeleteRange": pb.DeleteRangeResponse,
    "KV/Compact": pb.CompactionResponse,
    "Lease/LeaseGrant": pb.LeaseGrantResponse,
    "Lease/LeaseRevoke": pb.LeaseRevokeResponse,
}


async def real(channel: Any, path: str, request: Any) -> Any:
    """What etcd answers, likewise."""
    call = channel.unary_unary(
        f"/etcdserverpb.{path}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=_RESPONSES[path].FromString,
    )
    try:
        return plain(await call(request, timeout=60))
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()


async def watched(channel: Any, first: int, until: int) -> list[Any]:
    """What a watch of everything tells, from ``first`` to ``until``; or where history begins."""
    stream = channel.stream_stream(
        "/etcdserverpb.Watch/Watch",
        request_serializer=pb.WatchRequest.SerializeToString,
        response_deserializer=pb.WatchResponse.FromString,
    )()
    request = pb.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=first, watch_id=1)
    await stream.write(pb.WatchRequest(create_request=request))
    events: list[Any] = []
    while True:
        response = await stream.read()
        if response.compact_revision:
            stream.cancel()
            return [response.compact_revision]
        events += response.events
        if events and events[-1].kv.mod_revision >= until:
            stream.cancel()
            return events


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_model_answers_as_etcd_does(fresh: Cluster, seed: int) -> None:
    model, maker = EtcdModel(), Maker(seed)
    told = refused = 0
    async with grpc.aio.insecure_channel(fresh.urls[0].partition("://")[2]) as channel:
        for _ in range(REQUESTS):
            path, request = maker.one(model)
            mine = modelled(model, path, request)
            assert mine == await real(channel, path, request), (path, request)
            told += 1
            refused += isinstance(mine, tuple)
        newest = model.changes[-1][0]
        for first in (1, max(model.compacted, 1), (model.compacted + newest) // 2):
            found = await watched(channel, first, newest)
            if first < model.compacted:
                assert found == [model.compacted]
            else:
                assert found == [event for _, events in model.since(first) for event in events]
    assert told - refused > REQUESTS / 2
    assert refused > REQUESTS / 50
