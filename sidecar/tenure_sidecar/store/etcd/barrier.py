"""After an unknown outcome: make sure that what has not happened will not happen any more.

A request that was not answered may still lie somewhere (in a server that is stopped, say) and be
carried out minutes later.  To read what became of it says nothing then, and to repeat it may do it
twice: a turn is protected by its fence and version, a message is not.

So every request of a handle compares the handle's own key, ``writers/<handle>``, which normally
does not exist.  After an unknown outcome, and before anything else is written or read, the key is
put: from then on requests compare its new revision, and one that was sent before fails.  The key
has a lease of its own and is deleted when the handle is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import EtcdUnavailableError, OutcomeUnknownError
from tenure_sidecar.etcd import Compare, EtcdClient, unchanged

if TYPE_CHECKING:
    from tenure_sidecar.store.etcd.keys import Keys

_log = structlog.get_logger(__name__)

_LIFE = 24 * 3600  # seconds that a crashed handle's key is kept


class Barrier:
    """The handle's own key."""

    def __init__(self, client: EtcdClient, keys: Keys, handle: str) -> None:
        self._client = client
        self._key = keys.writer(handle)
        self._revision = 0  # 0 = there is none
        self._doubt = False
        self.raised = 0  # how often

    @property
    def compare(self) -> Compare:
        """What every request of this handle compares."""
        return unchanged(self._key, self._revision)

    def doubt(self) -> None:
        """A request was not answered, or did not find the key as it was."""
        self._doubt = True

    async def settle(self) -> None:
        """After a doubt: shut out what was sent before.

        Raises: StoreError, and the doubt stays; never OutcomeUnknownError, since whoever waits for
        this has not begun.
        """
        if not self._doubt:
            return
        try:
            lease = await self._client.lease_grant(_LIFE)
            self._revision = await self._client.put(self._key, b"", lease=lease.id)
        except OutcomeUnknownError as error:  # it is put again, at a later revision
            message = f"what an earlier write became is not known yet; try again: {error.message}"
            raise EtcdUnavailableError(message) from error
        self._doubt = False
        self.raised += 1
        _log.info("requests without an answer are shut out now", handle=self._key.decode())

    async def drop(self) -> None:
        """The handle is closed."""
        if self._revision:
            await self._client.delete(self._key)
