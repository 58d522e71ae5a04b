"""The engine that comes with ``durabletask`` for tests, as a process: one port, memory only.

It is an independent reading of the protocol by the makers of the SDK, and so a judge of ours.
Prints its port, and ends when its input is closed.
"""

from __future__ import annotations

import sys

from durabletask.testing import create_test_backend


def main() -> None:
    """Serve until the pipe ends."""
    backend = create_test_backend(port=int(sys.argv[1]))
    sys.stdout.write(f"{sys.argv[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    backend.stop()


if __name__ == "__main__":
    main()
