"""Where the newest keys of a time index end, and so how far back to read.  Pure.

etcd counts all keys of a range that it reads, whatever the limit, and reads them all before it gives
out the last ones.  So the newest are read in *windows* of time that hold about as many as are wanted.
Nobody knows beforehand how wide such a window is: the newest may be of this second or of last year,
and a hundred thousand of them of one minute.  A window is counted first, which is a twentieth of the
cost of reading it.  One that is empty is left behind and the next is wider; one that holds too many is
made narrower, by how many it holds.  Where a crowd begins behind nothing is searched for in small steps:
too small costs one key, too large the crowd.
"""

from __future__ import annotations

WANTED = 200  # keys in a window, about
MANY = 10 * WANTED  # a window with more is not read
FIRST = 1_000_000_000  # nanoseconds of the first window
_FACTOR = 8  # by which a window is wider than the one before, at most


def width_after(width: int, count: int) -> int:
    """How wide the window after one with ``count`` keys should be; nanoseconds."""
    return min(max(width * WANTED // max(count, 1), width // _FACTOR, 1), width * _FACTOR)


class Windows:
    """The search.

    Args:
        top: where it begins, nanoseconds; not in the window itself.
        width: of the first window, nanoseconds; best that of another search.
    """

    def __init__(self, top: int, width: int) -> None:
        self.top = top
        self.width = max(1, width)
        self._crowd = -1  # from here to ``top`` there are too many; -1 = not known

    @property
    def low(self) -> int:
        """Where the window begins; 0 or less = it has everything."""
        return self.top - self.width

    def crowded(self, count: int) -> bool:
        """Whether the window, with ``count`` keys, is not to be read; it is narrower now."""
        if count <= MANY or self.width == 1:
            return False
        self._crowd = self.low
        # By half at least: they may all lie at its far end.
        self.width = max(1, min(self.width * WANTED // count, self.width // 2))
        return True

    def passed(self, top: int, count: int) -> None:
        """What is not older than ``top`` was read, or is not there; the window had ``count`` keys."""
        self.top = top
        self.width = width_after(self.width, count)
        if self._crowd >= 0:
            if top <= self._crowd:
                self._crowd = -1
            elif not count:
                self.width = max(1, min(self.width, (top - self._crowd) // 4))
