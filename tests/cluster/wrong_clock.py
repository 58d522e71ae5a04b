"""A sidecar whose wall clock can be set: ``wrong_clock.py sidecar …`` runs as the real program does.

The file ``clock`` in its working folder says by how many seconds the clock is ahead; without one it
is right.  The monotonic clock is the machine's, as it is when somebody sets a real one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tenure_common import clock

FILE = "clock"


class WrongClock:
    """A wall clock that is ahead by what the file says, which is read again when it changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = 0  # nanoseconds: when the file was written
        self._ahead = 0  # nanoseconds

    def __call__(self) -> int:
        """See ``tenure_common.clock.wall_ns``."""
        try:
            written = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            written = 0
        if written != self._known:
            self._known = written
            self._ahead = round(float(self._file.read_text()) * 1e9)
        return time.time_ns() + self._ahead


if __name__ == "__main__":
    # Before anything else is imported: the others take the function by its name.
    clock.wall_ns = WrongClock(Path(FILE).absolute())
    from tenure_sidecar.__main__ import main

    sys.exit(main(sys.argv[1:]))
