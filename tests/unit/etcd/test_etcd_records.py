"""Ops and comparisons on the wire, and ranges of prefixes.

That etcd understands them is shown by the integration tests.
"""

from __future__ import annotations

import pytest

from tenure_sidecar.etcd import (
    Delete,
    Get,
    Put,
    Txn,
    absent,
    prefix_end,
    present,
    unchanged,
    value_is,
)
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.etcd.records import range_request, txn_request, txn_result


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        pytest.param(b"a", b"b", id="plain"),
        pytest.param(b"a/", b"a0", id="slash"),
        pytest.param(b"a\xff", b"b", id="last byte cannot grow"),
        pytest.param(b"a\xff\xff", b"b", id="nor the last two"),
        pytest.param(b"\xff", b"\0", id="no end: all that follow"),
        pytest.param(b"", b"\0", id="everything"),
    ],
)
def test_prefix_end(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_everything_is_where_it_belongs() -> None:
    txn = Txn(
        (absent(b"a", b"b"), present(b"c"), unchanged(b"d", 7), value_is(b"e", b"v")),
        (
            Put(b"k", b"v", 9),
            Txn((absent(b"n"),), (Delete(b"o", b"p"),), (Get(b"q"),)),
            Txn((), ()),
        ),
        (Get(b"k", b"l", limit=3, revision=5, keys_only=True, count_only=True, descending=True),),
    )
    compare = pb.Compare
    inner = pb.TxnRequest(
        compare=[compare(key=b"n", target=compare.CREATE, create_revision=0)],
        success=[
            pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=b"o", range_end=b"p"))
        ],
        failure=[pb.RequestOp(request_range=pb.RangeRequest(key=b"q"))],
    )
    assert txn_request(txn) == pb.TxnRequest(
        compare=[
            compare(key=b"a", range_end=b"b", target=compare.CREATE, create_revision=0),
            compare(key=b"c", target=compare.CREATE, result=compare.GREATER, create_revision=0),
            compare(key=b"d", target=compare.MOD, mod_revision=7),
            compare(key=b"e", target=compare.VALUE, value=b"v"),
        ],
        success=[
            pb.RequestOp(request_put=pb.PutRequest(key=b"k", value=b"v", lease=9)),
            pb.RequestOp(request_txn=inner),
            pb.RequestOp(request_txn=pb.TxnRequest()),
        ],
        failure=[
            pb.RequestOp(
                request_range=pb.RangeRequest(
                    key=b"k",
                    range_end=b"l",
                    limit=3,
                    revision=5,
                    keys_only=True,
                    count_only=True,
                    sort_order=pb.RangeRequest.DESCEND,
                )
            )
        ],
    )


def test_a_plain_read_sets_nothing_else() -> None:
    assert range_request(Get(b"k")) == pb.RangeRequest(key=b"k")


def test_results_have_one_entry_for_each_op() -> None:
    kv = pb.KeyValue(key=b"k", value=b"v", create_revision=1, mod_revision=2, lease=3)
    response = pb.TxnResponse(
        header=pb.ResponseHeader(revision=8),
        succeeded=True,
        responses=[
            pb.ResponseOp(response_put=pb.PutResponse()),
            pb.ResponseOp(response_delete_range=pb.DeleteRangeResponse(deleted=2)),
            pb.ResponseOp(response_range=pb.RangeResponse(kvs=[kv], more=True, count=5)),
            pb.ResponseOp(response_txn=pb.TxnResponse(succeeded=False)),
        ],
    )
    result = txn_result(response)
    assert (result.succeeded, result.revision) == (True, 8)
    put, deleted, found, nested = result.results
    assert (put, deleted) == (None, 2)
    assert (found.more, found.count, found.kvs[0].lease) == (True, 5, 3)  # type: ignore[union-attr]
    assert nested.succeeded is False  # type: ignore[union-attr]
