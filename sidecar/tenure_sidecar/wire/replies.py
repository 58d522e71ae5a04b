"""Answers to clients, from records to bytes.

They are the same in both flavours but where the flavour's name is in the function's.  Answers
without content are ``EMPTY``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.head import Head
from tenure_sidecar.wire.frame import delimited, integer, string, strings, time, wrapped
from tenure_sidecar.wire.values_out import failure, instant

EMPTY = b""
MISSING = b""  # GetInstanceResponse with exists = false

_EVENTS = b"\x0a"  # tag of events in both history answers


def created(instance_id: str) -> bytes:
    """CreateInstanceResponse; RestartInstanceResponse and RerunWorkflowFromEventResponse have the
    same form."""
    return string(b"\x0a", instance_id)


def state(
    head: Head,
    input: str | None,  # noqa: A002 - the protocol's word
    with_payloads: bool,  # noqa: FBT001 - reads well where it is called
    *,
    knows_stalled: bool = True,
) -> bytes:
    """GetInstanceResponse of an instance that exists.

    Args:
        input: shown, as the output, only ``with_payloads``.
        knows_stalled: Microsoft clients fail on the status STALLED; they are told RUNNING.
    """
    body = _state(head, input, with_payloads=with_payloads, knows_stalled=knows_stalled)
    return b"\x08\x01" + delimited(b"\x12", body)


def query_page(
    page: Sequence[tuple[Head, str | None]], *, cursor: str | None, with_payloads: bool
) -> bytes:
    """QueryInstancesResponse (Microsoft): heads with their inputs; ``cursor`` None = the end."""
    return b"".join(
        delimited(b"\x0a", _state(head, given, with_payloads=with_payloads, knows_stalled=False))
        for head, given in page
    ) + wrapped(b"\x12", cursor)


def ids_page_microsoft(instance_ids: Iterable[str], *, cursor: str | None) -> bytes:
    """ListInstanceIdsResponse (Microsoft)."""
    return _ids(instance_ids) + wrapped(b"\x12", cursor)


def ids_page_dapr(instance_ids: Iterable[str], *, cursor: str | None) -> bytes:
    """ListInstanceIDsResponse (Dapr)."""
    return _ids(instance_ids) + (b"" if cursor is None else delimited(b"\x12", cursor.encode()))


def purged(count: int, *, complete: bool = True) -> bytes:
    """PurgeInstancesResponse; not ``complete`` when there is more to purge."""
    return integer(b"\x08", count) + delimited(b"\x12", integer(b"\x08", complete))


def unterminated(instance_ids: Iterable[str]) -> bytes:
    """SkipGracefulOrchestrationTerminationsResponse: which instances were left alone."""
    return _ids(instance_ids)


def history(events: Sequence[bytes]) -> bytes:
    """GetInstanceHistoryResponse (Dapr), or one HistoryChunk (Microsoft).

    Args:
        events: as the flavour's ``Codec.event`` returns them, none of them empty.
    """
    return _EVENTS + _EVENTS.join(events) if events else b""


def history_chunks(events: Sequence[bytes], *, limit: int) -> Iterator[bytes]:
    """HistoryChunks (Microsoft) of at most ``limit`` bytes each, where single events allow it."""
    chunk: list[bytes] = []
    size = 0
    for event in events:
        length = len(_EVENTS) + len(event)
        if chunk and size + length > limit:
            yield history(chunk)
            chunk, size = [], 0
        chunk.append(event)
        size += length
    if chunk:
        yield history(chunk)


def _ids(instance_ids: Iterable[str]) -> bytes:
    return b"".join(delimited(b"\x0a", i.encode()) for i in instance_ids)


def _state(head: Head, given: str | None, *, with_payloads: bool, knows_stalled: bool) -> bytes:
    status = head.status
    if status is Status.STALLED and not knows_stalled:
        status = Status.RUNNING
    parent = head.parent
    return (
        string(b"\x0a", head.instance_id)
        + string(b"\x12", head.name)
        + wrapped(b"\x1a", head.version)
        + integer(b"\x20", status)
        + instant(b"\x2a", head.scheduled_start)
        + _at(b"\x32", head.created_at)
        + _at(b"\x3a", head.updated_at)
        + (wrapped(b"\x42", given) + wrapped(b"\x4a", head.output) if with_payloads else b"")
        + wrapped(b"\x52", head.custom_status)
        + failure(b"\x5a", head.failure)
        + wrapped(b"\x62", head.execution_id)
        + _at(b"\x6a", head.completed_at)
        + (b"" if parent is None else wrapped(b"\x72", parent.instance_id))
        + strings(b"\x7a", head.tags)
        + (b"" if parent is None else wrapped(b"\x82\x01", parent.app_id))
        + _at(b"\x8a\x01", head.started_at)
    )


def _at(tag: bytes, nanoseconds: int) -> bytes:
    """A Timestamp; nothing for 0, "not yet"."""
    return tag + time(nanoseconds) if nanoseconds else b""
