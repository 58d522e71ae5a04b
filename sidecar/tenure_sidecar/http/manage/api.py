"""What a handler of the management API works with, free of HTTP.

A handler is ``async (Call) -> Answer``, or ``(Call) -> Lines`` for a stream: it gets decoded, checked
values and gives a struct back.  Everything about bytes, headers and sockets is in ``server.py``, so
handlers run in tests without a server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.store.port import Store

B = TypeVar("B")
Q = TypeVar("Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The engine as the management API sees it."""

    app_id: str
    operations: Operations
    store: Store
    ids: Ids
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request, decoded: ``id`` and ``name`` from the path, the query and the body."""

    api: Api
    body: B
    query: Q
    id: str = ""
    name: str = ""
    key: str | None = None  # the Idempotency-Key header


@dataclass(frozen=True, slots=True)
class Answer:
    """A struct to send, and its HTTP status; ``location`` is a path below the app's."""

    value: msgspec.Struct
    status: int = 200
    location: str | None = None


Lines = AsyncIterator[msgspec.Struct]
