"""What a handler of the management API works with, free of HTTP.

A handler is ``async (Call) -> Answer``, or ``(Call) -> Lines`` for a stream: it gets decoded, checked
values and gives a struct back.  Everything about bytes, headers and sockets is in ``server.py``, so
handlers run in tests without a server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from tenure_common.errors import NoSuchAppError

if TYPE_CHECKING:
    from tenure_sidecar.actors.jobs import Jobs
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.actors.settings import AppSettings
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.store.port import Store

B = TypeVar("B")
Q = TypeVar("Q")


@dataclass(slots=True)
class Watches:
    """How many streams are open."""

    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One app's engine as the management API sees it."""

    app_id: str
    operations: Operations
    store: Store
    jobs: Jobs
    settings: AppSettings
    workers: Callable[[], int]  # those of this process
    ids: Ids
    clock: Clock
    watches: Watches = field(default_factory=Watches)


class AppName(NamedTuple):
    """An app, by its full name."""

    namespace: str
    app: str


class Apps(Protocol):
    """The apps that a server serves: one in a sidecar, those of its namespaces in a gateway."""

    @property
    def default(self) -> str:
        """The namespace of paths that name none."""
        ...

    def names(self) -> Sequence[AppName]:
        """All of them, in order."""
        ...

    def use(self, namespace: str, name: str) -> AbstractAsyncContextManager[Api]:
        """The app, for the time of one request; ``-`` is the only one of its namespace.

        Raises: NoSuchAppError; StoreError, when it cannot be had now.
        """
        ...


class OneApp:
    """``Apps`` of a server with one app."""

    def __init__(self, api: Api, *, namespace: str = "default") -> None:
        self._api = api
        self._name = AppName(namespace, api.app_id)

    @property
    def default(self) -> str:
        """See ``Apps``."""
        return self._name.namespace

    def names(self) -> Sequence[AppName]:
        """See ``Apps``."""
        return (self._name,)

    @asynccontextmanager
    async def use(self, namespace: str, name: str) -> AsyncGenerator[Api, None]:
        """See ``Apps``."""
        own = self._name
        if namespace != own.namespace:
            message = (
                f"this server serves the app '{own.app}' of namespace '{own.namespace}', "
                f"nothing of '{namespace[:100]}'"
            )
            raise NoSuchAppError(message, {"namespace": namespace[:100], "app": name[:100]})
        if name not in {own.app, "-"}:
            message = f"this server serves the app '{own.app}', not '{name[:100]}'"
            raise NoSuchAppError(message, {"app": name[:100]})
        yield self._api


@dataclass(frozen=True, slots=True, kw_only=True)
class AppsCall:
    """The request for the list of apps: of one namespace, or of all that are ``seen``."""

    apps: Apps
    seen: Callable[[str], bool]
    namespace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request, decoded: ``id``, ``name`` and ``job`` from the path, the query and the body."""

    api: Api
    body: B
    query: Q
    id: str = ""
    name: str = ""
    job: str = ""
    key: str | None = None  # the Idempotency-Key header


@dataclass(frozen=True, slots=True)
class Answer:
    """A struct to send, and its HTTP status; ``location`` names what it is about, by the
    parts of its path below the app's."""

    value: msgspec.Struct
    status: int = 200
    location: tuple[str, str] | None = None


Lines = AsyncGenerator[msgspec.Struct, None]
