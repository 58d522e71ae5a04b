"""What went wrong between us and etcd, in Tenure's words.

Three answers matter, and they are never mixed up:

* *refused*: etcd answered, and did not do it (``EtcdRefusedError`` and its kin; no room:
  ``EtcdFullError``);
* *unavailable*: it was not done, because nobody took it (``EtcdUnavailableError``);
* *unknown*: it left, and no answer came back (``EtcdOutcomeUnknownError``; only writes have it).

etcd's refusals are recognised by their texts, which are part of its API (its own clients do the
same).  Whatever is not recognised is unknown: that is never wrong, only slower.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grpc import StatusCode

from tenure_common.errors import (
    EtcdAccessError,
    EtcdCompactedError,
    EtcdFullError,
    EtcdLeaseGoneError,
    EtcdOutcomeUnknownError,
    EtcdRefusedError,
    EtcdTooLargeError,
    EtcdUnavailableError,
    StoreError,
)

if TYPE_CHECKING:
    from grpc.aio import AioRpcError

_NO_ROOM = (
    "nothing was changed; compact and defragment etcd or raise its quota, then disarm the NOSPACE "
    "alarm, and the work goes on by itself"
)
_ACCESS_HELP = "check the user, its role and the password or certificate"
_USERS_HELP = "users were being changed all the time; nothing was changed"
_AUTH_IS_OFF = "etcdserver: authentication is not enabled"
_NAMELESS = "etcdserver: user name is empty"
_TEXTS: tuple[tuple[str, type[StoreError], str], ...] = (
    (
        "etcdserver: mvcc: database space exceeded",
        EtcdFullError,
        _NO_ROOM,
    ),
    ("etcdserver: mvcc: required revision has been compacted", EtcdCompactedError, "read anew"),
    ("etcdserver: requested lease not found", EtcdLeaseGoneError, "what it held is given up"),
    ("etcdserver: permission denied", EtcdAccessError, _ACCESS_HELP),
    ("etcdserver: invalid auth token", EtcdAccessError, _ACCESS_HELP),
    (_NAMELESS, EtcdAccessError, "etcd wants a user: name one"),
    ("etcdserver: authentication failed", EtcdAccessError, _ACCESS_HELP),
    ("etcdserver: revision of auth store is old", EtcdAccessError, _USERS_HELP),
    ("etcdserver: auth: revision in header is old", EtcdAccessError, _USERS_HELP),
    ("auth: revision in header is old", EtcdAccessError, _USERS_HELP),  # etcd 3.5.1
    (_AUTH_IS_OFF, EtcdAccessError, "leave the user away"),
    ("etcdserver: request is too large", EtcdTooLargeError, "nothing was changed"),
    ("etcdserver: too many operations in txn", EtcdTooLargeError, "nothing was changed"),
    ("grpc: received message larger than max", EtcdTooLargeError, "nothing was changed"),
    ("etcdserver: no leader", EtcdUnavailableError, "nothing was changed"),
    ("etcdserver: too many requests", EtcdUnavailableError, "nothing was changed"),
    ("etcdserver: rpc not supported for learner", EtcdUnavailableError, "nothing was changed"),
    ("failed to connect to all addresses", EtcdUnavailableError, "nothing was changed"),
    ("errors resolving", EtcdUnavailableError, "nothing was changed"),
    ("DNS resolution failed", EtcdUnavailableError, "nothing was changed"),
)
_USERS_CHANGED = (
    "etcdserver: revision of auth store is old",
    "etcdserver: auth: revision in header is old",
    "auth: revision in header is old",
)
_STALE_TOKEN = ("etcdserver: invalid auth token", _NAMELESS, *_USERS_CHANGED)
_ANSWERED = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.OUT_OF_RANGE,
    StatusCode.UNIMPLEMENTED,
    StatusCode.DATA_LOSS,
}


def token_is_stale(details: str | None) -> bool:
    """Whether a new token would help."""
    return (details or "").startswith(_STALE_TOKEN)


def needs_no_token(details: str | None) -> bool:
    """Whether etcd asks nobody who they are."""
    return (details or "").startswith(_AUTH_IS_OFF)


def users_changed(details: str | None) -> bool:
    """Whether users or roles changed between the arrival of a request and its turn; not done."""
    return (details or "").startswith(_USERS_CHANGED)


def translate(error: AioRpcError, *, what: str, where: str, write: bool) -> StoreError:
    """The coded error for a call that failed.

    Args:
        error: as gRPC raised it.
        what: the call, for the message.
        where: the endpoint, for the message.
        write: whether the call changes something when it is carried out.
    """
    details = error.details() or ""
    head = f"{what} at etcd {where}: {details or error.code().name}"
    if (known := named(details, head)) is not None:
        return known
    if error.code() in _ANSWERED:
        message = f"{head}; etcd refused it, nothing was changed"
        return EtcdRefusedError(message)
    if write:
        message = f"{head} ({error.code().name}); it may or may not have happened"
        return EtcdOutcomeUnknownError(message)
    message = f"{head} ({error.code().name}); check that etcd runs and can be reached"
    return EtcdUnavailableError(message)


def named(details: str, head: str) -> StoreError | None:
    """The error for a text of etcd's that is known; ``head`` begins its message."""
    for text, kind, advice in _TEXTS:
        if details.startswith(text):
            return kind(f"{head}; {advice}")
    return None


def task_cancelled() -> bool:
    """Whether a ``CancelledError`` is for the task that runs: gRPC raises one, too, in whoever reads or
    writes when a call was cancelled, and that is an end of the call alone."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
