"""The app's settings as this process follows them.

They are read before the first instance can end here: an app that keeps its instances for ever must
not lose one to the shorter time of a flag.  After that they are read again every few seconds, since
another process may have changed them.  While the store does not answer, the last ones hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from tenure_common.errors import SettingsChangedError, StoreError, TransportError
from tenure_sidecar.engine.settings import KEY, Concurrency, Settings, decode, encode

if TYPE_CHECKING:
    from tenure_sidecar.engine.retention import Retention
    from tenure_sidecar.store.port import Store

LOOK_EVERY: Final = 10.0  # seconds

_log = structlog.get_logger(__name__)


class Versioned(NamedTuple):
    """Settings as they are stored; version 0 = there are none."""

    settings: Settings
    version: int


class AppSettings:
    """See the module docstring.

    Args:
        default: the retention that the flags give.
        apply: told the retention and the limits that hold now.
        every: seconds between two looks.
    """

    def __init__(
        self,
        store: Store,
        *,
        default: Retention,
        apply: Callable[[Retention, Concurrency], None],
        every: float = LOOK_EVERY,
    ) -> None:
        self._store = store
        self._default = default
        self._apply = apply
        self._every = every
        self._seen = Versioned(Settings(), 0)

    async def look(self) -> Versioned:
        """Read the settings and follow them.  Raises: StoreError."""
        documents = await self._store.documents(KEY)
        found = next((one for one in documents if one.key == KEY), None)
        now = Versioned(Settings(), 0) if found is None else _read(found.body, found.version)
        self._follow(now)
        return now

    async def put(self, settings: Settings, *, version: int | None) -> Versioned:
        """Set everything anew; nothing is written when it is so already.

        Args:
            settings: all of them; with nothing set, the stored ones are taken away.
            version: the one to replace, 0 = there are none; None = whatever there is.

        Raises: BadRequestError, SettingsChangedError, StoreError.
        """
        settings.kept(self._default)  # before anything is written
        body = None if settings == Settings() else encode(settings)
        while True:
            found = await self.look()
            if found.settings == settings and (body is not None or not found.version):
                return found
            if version not in {None, found.version}:
                message = (
                    f"the settings are at version {found.version}, not {version}: "
                    "read them again and decide anew"
                )
                raise SettingsChangedError(message, {"version": str(found.version)})
            written = await self._store.put(KEY, body, version=found.version)
            if written is not None:
                now = Versioned(settings, written)
                self._follow(now)
                return now

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.look()
            except (StoreError, TransportError) as error:
                _log.warning("the app's settings stay as they were read last", error=str(error))

    def _follow(self, now: Versioned) -> None:
        if now.version != self._seen.version:
            _log.info("settings of the app", version=now.version)
        self._seen = now
        self._apply(now.settings.kept(self._default), now.settings.concurrency)


def _read(body: bytes, version: int) -> Versioned:
    return Versioned(decode(body), version)
