"""Looking again only when something may have changed.

Several loops look at the store from time to time, for what another process may have written.  While a
store says that nothing at all has changed (``Store.revision``), there is nothing to find, and an idle
process asks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure_sidecar.store.port import Store


class Calm:
    """What one loop knows of ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: int | None = None

    def lasts(self) -> bool:
        """Whether nothing has changed since the look before; if not, look now.

        What changes during a look is found by the next one: the revision is taken before it.
        """
        now = self._store.revision()
        calm = now is not None and now == self._seen
        self._seen = now
        return calm

    def end(self) -> None:
        """The look failed, or there is more to do: look again, whatever has changed."""
        self._seen = None
