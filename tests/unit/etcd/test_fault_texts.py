"""Errors of calls: refused, unavailable or unknown, and never the wrong one of them.

Whether etcd still says these words is shown by the integration tests.
"""

from __future__ import annotations

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from tenure_common import errors
from tenure_sidecar.etcd.faults import token_is_stale, translate


def rpc_error(code: StatusCode, details: str) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details=details)


S = StatusCode
UNKNOWN = errors.EtcdOutcomeUnknownError
UNAVAILABLE = errors.EtcdUnavailableError
REFUSED = errors.EtcdRefusedError


@pytest.mark.parametrize(
    ("code", "details", "write", "read"),
    [
        (S.UNAVAILABLE, "Socket closed", UNKNOWN, UNAVAILABLE),
        (S.UNAVAILABLE, "etcdserver: request timed out", UNKNOWN, UNAVAILABLE),
        (S.UNAVAILABLE, "etcdserver: leader changed", UNKNOWN, UNAVAILABLE),
        (S.UNAVAILABLE, "etcdserver: server stopped", UNKNOWN, UNAVAILABLE),
        (S.UNAVAILABLE, "etcdserver: no leader", UNAVAILABLE, UNAVAILABLE),
        (S.UNAVAILABLE, "failed to connect to all addresses; …", UNAVAILABLE, UNAVAILABLE),
        (S.DEADLINE_EXCEEDED, "Deadline Exceeded", UNKNOWN, UNAVAILABLE),
        (S.CANCELLED, "", UNKNOWN, UNAVAILABLE),
        (S.UNKNOWN, "something new", UNKNOWN, UNAVAILABLE),
        (S.INTERNAL, "RST_STREAM", UNKNOWN, UNAVAILABLE),
        (S.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max", UNKNOWN, UNAVAILABLE),
        (S.RESOURCE_EXHAUSTED, "etcdserver: too many requests", UNAVAILABLE, UNAVAILABLE),
        (
            S.RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: database space exceeded",
            errors.EtcdFullError,
            errors.EtcdFullError,
        ),
        (
            S.RESOURCE_EXHAUSTED,
            "grpc: received message larger than max (3 vs. 2)",
            errors.EtcdTooLargeError,
            errors.EtcdTooLargeError,
        ),
        (
            S.INVALID_ARGUMENT,
            "etcdserver: request is too large",
            errors.EtcdTooLargeError,
            errors.EtcdTooLargeError,
        ),
        (S.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request", REFUSED, REFUSED),
        (S.FAILED_PRECONDITION, "whatever", REFUSED, REFUSED),
        (S.DATA_LOSS, "etcdserver: corrupt cluster", REFUSED, REFUSED),
        (
            S.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision has been compacted",
            errors.EtcdCompactedError,
            errors.EtcdCompactedError,
        ),
        (
            S.NOT_FOUND,
            "etcdserver: requested lease not found",
            errors.EtcdLeaseGoneError,
            errors.EtcdLeaseGoneError,
        ),
        (
            S.UNKNOWN,
            "auth: revision in header is old",
            errors.EtcdAccessError,
            errors.EtcdAccessError,
        ),
        (
            S.PERMISSION_DENIED,
            "etcdserver: permission denied",
            errors.EtcdAccessError,
            errors.EtcdAccessError,
        ),
    ],
)
def test_kind(
    code: StatusCode,
    details: str,
    write: type[errors.StoreError],
    read: type[errors.StoreError],
) -> None:
    error = rpc_error(code, details)
    assert type(translate(error, what="txn", where="e", write=True)) is write
    assert type(translate(error, what="range", where="e", write=False)) is read


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.EtcdFullError, errors.StoreFullError),
        (errors.EtcdUnavailableError, errors.StoreUnavailableError),
        (errors.EtcdAccessError, errors.StoreUnavailableError),
        (errors.EtcdOutcomeUnknownError, errors.OutcomeUnknownError),
    ],
)
def test_the_rest_of_tenure_knows_them_by_the_store_s_errors(
    kind: type[errors.TenureError], base: type[errors.TenureError]
) -> None:
    assert issubclass(kind, base)
    assert not issubclass(kind, REFUSED)


def test_a_refusal_is_no_outage() -> None:
    assert not issubclass(REFUSED, errors.StoreUnavailableError | errors.OutcomeUnknownError)


def test_message_says_what_where_and_what_now() -> None:
    error = rpc_error(S.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
    text = str(translate(error, what="txn", where="http://e:2379", write=True))
    assert text.startswith("TN0604: txn at etcd http://e:2379: etcdserver: mvcc: database space")
    assert "disarm the NOSPACE alarm" in text


def test_message_without_details_has_the_code() -> None:
    error = rpc_error(S.DEADLINE_EXCEEDED, "")
    assert "DEADLINE_EXCEEDED" in str(translate(error, what="txn", where="e", write=True))


@pytest.mark.parametrize(
    ("details", "stale"),
    [
        ("etcdserver: invalid auth token", True),
        ("etcdserver: auth: revision in header is old", True),
        ("auth: revision in header is old", True),
        ("etcdserver: permission denied", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_stale_token_is_worth_a_new_one(details: str | None, stale: bool) -> None:
    assert token_is_stale(details) is stale
