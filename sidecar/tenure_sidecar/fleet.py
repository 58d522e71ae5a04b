"""The apps of a gateway: which there are, and an engine for each that needs one.

The store is asked for its apps now and then (``store/etcd/apps``).  The engine of an app is opened
when a request needs it, and closed when none has for a while.  The engine of an app without a worker
anywhere is open all the time: it is the owner of last resort, and does what needs no worker, such as
retention.

Apps share connections to the store and nothing else: opening one is bounded in time, a failure is
that app's alone, is answered at once for a while, and is tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from tenure_common.errors import (
    NoSuchAppError,
    ShuttingDownError,
    StoreError,
    StoreUnavailableError,
    TenureError,
)
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.http.manage.api import AppName
from tenure_sidecar.store.etcd.apps import find_app, find_apps

if TYPE_CHECKING:
    from tenure_sidecar.appengine import AppEngine
    from tenure_sidecar.etcd import EtcdClient
    from tenure_sidecar.http.manage.api import Api

LOOK_EVERY: Final = 5.0  # seconds
_SHARE: Final = 20  # looking takes at most one part in so many of the time
_OPEN_WITHIN: Final = 30.0  # seconds
_CLOSE_WITHIN: Final = 10.0
_OPENINGS: Final = 8  # at a time
_PAUSE_MIN, _PAUSE_MAX = 1.0, 60.0  # seconds between tries to open

_log = structlog.get_logger(__name__)


class _Held:
    """One app."""

    def __init__(self, name: AppName) -> None:
        self.name = name
        self.served = True  # by a sidecar with a worker, as far as is known
        self.seen = 0.0  # when it was last known to exist
        self.users = 0
        self.used = 0.0  # when the last one left
        self.opening: asyncio.Task[AppEngine] | None = None  # done = the engine is there
        self.closing: asyncio.Task[None] | None = None
        self.error: TenureError | None = None
        self.retry = 0.0  # not to be opened before
        self.pause = _PAUSE_MIN

    @property
    def engine(self) -> AppEngine | None:
        """The engine, when it runs."""
        task = self.opening
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()


class Fleet:
    """See the module docstring; implements ``Apps``."""

    def __init__(  # noqa: PLR0913 - one call site, by name
        self,
        client: EtcdClient,
        *,
        prefix: str,
        namespaces: Sequence[str],
        default: str,
        idle: float,
        clock: Callable[[], float],
        make: Callable[[AppName], AppEngine],
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Nothing is looked at yet.

        Args:
            client: of the cluster.
            prefix: before all keys.
            namespaces: whose apps are served; none = of all.
            default: the namespace of paths that name none.
            idle: seconds after which an engine is closed that is not needed.
            clock: monotonic, seconds.
            make: an app's engine, still to be opened.
            look_every: seconds between two looks at the store, at least.
        """
        self._client = client
        self._prefix = prefix
        self._namespaces = frozenset(namespaces)
        self._default = default
        self._idle = idle
        self._clock = clock
        self._make = make
        self._look_every = look_every
        self._apps: dict[AppName, _Held] = {}
        self._slots = asyncio.Semaphore(_OPENINGS)
        self._loops = Loops()
        self._stopping = False
        self.problem = "the apps are not known yet"
        self.opened = 0
        self.failed = 0

    # --- Apps ---------------------------------------------------------------------------------

    @property
    def default(self) -> str:
        """See ``Apps``."""
        return self._default

    def names(self) -> Sequence[AppName]:
        """See ``Apps``."""
        return sorted(self._apps)

    @asynccontextmanager
    async def use(self, namespace: str, name: str) -> AsyncGenerator[Api, None]:
        """See ``Apps``."""
        held = await self._find(namespace, name)
        held.users += 1
        try:
            engine = await self._running(held)
            yield engine.api
        finally:
            held.users -= 1
            held.used = self._clock()

    async def _find(self, namespace: str, name: str) -> _Held:
        facts = {"namespace": namespace[:100], "app": name[:100]}
        if self._namespaces and namespace not in self._namespaces:
            served = ", ".join(sorted(self._namespaces))
            message = f"this gateway does not serve namespace '{namespace[:100]}', only {served}"
            raise NoSuchAppError(message, facts)
        if name == "-":
            there = [one for one in self.names() if one.namespace == namespace]
            if len(there) == 1:
                return self._apps[there[0]]
            message = (
                f"'-' is the only app of namespace '{namespace[:100]}', which has {len(there)}: "
                "name the app"
            )
            raise NoSuchAppError(message, facts)
        held = self._apps.get(AppName(namespace, name))
        if held is not None:
            return held
        found = await find_app(self._client, prefix=self._prefix, namespace=namespace, app=name)
        if found is None:
            message = (
                f"there is no app '{name[:100]}' in namespace '{namespace[:100]}'; it is there from "
                "the first start of its sidecar on"
            )
            raise NoSuchAppError(message, facts)
        return self._saw(AppName(namespace, name), served=found.served)

    def _saw(self, name: AppName, *, served: bool) -> _Held:
        held = self._apps.get(name)
        if held is None:
            held = self._apps[name] = _Held(name)
            held.used = self._clock()
            _log.info("app found", namespace=name.namespace, app=name.app)
        held.served, held.seen = served, self._clock()
        return held

    # --- engines ------------------------------------------------------------------------------

    async def _running(self, held: _Held) -> AppEngine:
        """Raises: TenureError, that of the last try while it is recent."""
        if held.opening is None and held.error is not None and self._clock() < held.retry:
            raise type(held.error)(*held.error.args)
        return await asyncio.shield(self._start(held))

    def _start(self, held: _Held) -> asyncio.Task[AppEngine]:
        """Open, unless it is open or being opened."""
        if self._stopping:
            message = "the gateway is stopping"
            raise ShuttingDownError(message)
        if held.opening is None:
            task = asyncio.get_running_loop().create_task(self._open(held), name="open an app")
            task.add_done_callback(_heard)
            held.opening = task
        return held.opening

    async def _open(self, held: _Held) -> AppEngine:
        """Raises: TenureError."""
        if held.closing is not None:
            await asyncio.wait([held.closing])
        engine: AppEngine | None = None
        try:
            async with self._slots, asyncio.timeout(_OPEN_WITHIN):
                engine = self._make(held.name)
                await engine.open()
                await engine.begin()
        except BaseException as cause:
            error = _told(cause, held.name)
            held.opening, held.error = None, error
            held.retry, held.pause = self._clock() + held.pause, min(2 * held.pause, _PAUSE_MAX)
            self.failed += 1
            if engine is not None:
                await self._shut(engine, held.name)
            if not isinstance(cause, Exception):
                raise
            _log.warning(
                "an app cannot be opened",
                namespace=held.name.namespace,
                app=held.name.app,
                error=str(error),
            )
            raise error from cause
        held.error, held.pause = None, _PAUSE_MIN
        held.used = self._clock()
        self.opened += 1
        return engine

    async def _shut(self, engine: AppEngine, name: AppName) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await engine.halt()
                await engine.close()
        except (TenureError, TimeoutError) as error:  # what it held goes with its lease
            _log.warning(
                "an app was not closed in order",
                namespace=name.namespace,
                app=name.app,
                error=str(error) or "not in time",
            )

    def _close(self, held: _Held) -> None:
        """Begin to close an engine that runs."""
        engine = held.engine
        if engine is None:
            return
        held.opening = None
        task = asyncio.get_running_loop().create_task(self._shut(engine, held.name))
        task.add_done_callback(_heard)
        held.closing = task

    # --- looking after them -------------------------------------------------------------------

    async def keep(self) -> None:
        """Look at the store, open and close, wait, for ever."""
        while True:
            began = self._clock()
            try:
                await self.look()
                self.problem = ""
                pause = max(self._look_every, _SHARE * (self._clock() - began))
            except StoreError as error:
                self.problem = str(error)
                _log.warning("cannot look for apps", error=str(error))
                pause = _PAUSE_MIN
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """One look.  Raises: StoreError."""
        began = self._clock()
        found = await find_apps(self._client, prefix=self._prefix, namespaces=self._namespaces)
        for app in found:
            self._saw(AppName(app.namespace, app.app), served=app.served)
        for name, held in tuple(self._apps.items()):
            gone = held.seen < began
            if gone and not held.users and (held.engine is not None or held.opening is None):
                _log.info("app is gone", namespace=name.namespace, app=name.app)
                self._close(held)
                del self._apps[name]
            elif not held.served:
                if held.opening is None and held.retry <= self._clock():
                    self._start(held)  # and closed not before it is served
            elif not held.users and held.used + self._idle <= self._clock():
                self._close(held)

    async def stop(self) -> None:
        """Close every engine."""
        self._stopping = True
        openings = [held.opening for held in self._apps.values() if held.opening is not None]
        for task in openings:
            task.cancel()  # of one that is done, nothing happens
        if openings:
            await asyncio.wait(openings)
        for held in self._apps.values():
            self._close(held)
        closings = [held.closing for held in self._apps.values() if held.closing is not None]
        if closings:
            await asyncio.wait(closings)

    # --- facts --------------------------------------------------------------------------------

    @property
    def known(self) -> int:
        """Apps."""
        return len(self._apps)

    @property
    def running(self) -> int:
        """Engines."""
        return sum(held.engine is not None for held in self._apps.values())

    @property
    def ailing(self) -> int:
        """Apps that cannot be opened, or whose engine is not sound."""
        return sum(
            held.error is not None or (held.engine is not None and bool(held.engine.not_ready()))
            for held in self._apps.values()
        )


def _told(cause: BaseException, name: AppName) -> TenureError:
    if isinstance(cause, TenureError):
        return cause
    what = f"app '{name.app}' of namespace '{name.namespace}'"
    if isinstance(cause, TimeoutError):
        return StoreUnavailableError(f"{what} could not be opened within {_OPEN_WITHIN:.0f} s")
    return TenureError(f"{what} could not be opened: {type(cause).__name__}: {cause}")


def _heard(task: asyncio.Task[AppEngine] | asyncio.Task[None]) -> None:
    """Its failure is told to whoever waits for it, and logged where it happened."""
    if not task.cancelled():
        task.exception()
