"""Whether another live process runs under this one's name.

A partition that is held, and whose key a claim in this one's own name replaces, was taken by another
process.  Once is what a pod does that is started again while its earlier process still lives; again
and again is what two live ones do, which take each other's partitions for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

OFTEN: Final = 3  # times that a partition must be taken; a restart takes it once
WITHIN: Final = 60.0  # seconds in which they count; after as many without one it is over


class Namesake:
    """See the module docstring."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()
        self._begun = 0.0
        self._last = 0.0
        self._said = False

    def take(self, partitions: Collection[int], *, now: float) -> bool:
        """These were taken by another process of this name.

        Args:
            partitions: that were held until then.
            now: monotonic seconds.

        Returns:
            Whether it is to be said: once, until it was over.
        """
        if not partitions:
            return False
        if self._said:
            if now - self._last <= WITHIN:
                self._last = now
                return False
            self._begin(now)
        elif now - self._begun > WITHIN:
            self._begin(now)
        self._last = now
        self._taken.update(partitions)
        self._said = max(self._taken.values()) >= OFTEN
        return self._said

    def there(self, *, now: float) -> bool:
        """Whether there is such a process, as far as is known at ``now``."""
        return self._said and now - self._last <= WITHIN

    def _begin(self, now: float) -> None:
        self._taken.clear()
        self._begun = now
        self._said = False
