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
    """What one loop knows of ``store``.

    Args:
        skips: looks left out in a row at most, for what is not known to be impossible; None = any
            number.
    """

    def __init__(self, store: Store, *, skips: int | None = None) -> None:
        self._store = store
        self._skips = skips
        self._seen: int | None = None
        self.skipped = 0  # looks, since the one before

    def lasts(self) -> bool:
        """Whether nothing has changed since the look before; if not, look now.

        What changes during a look is found by the next one: the revision is taken before it.
        """
        now = self._store.revision()
        calm = now is not None and now == self._seen
        if self._skips is not None and self.skipped >= self._skips:
            calm = False
        self._seen = now
        self.skipped = self.skipped + 1 if calm else 0
        return calm

    def end(self) -> None:
        """The look failed, or there is more to do: look again, whatever has changed."""
        self._seen = None
