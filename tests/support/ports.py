"""Ports for what tests start: nobody else's, in this process or in any other test process.

Ports are chosen once, so that apps reconnect to the same address after a restart.  An engine that is
down does not hold its port meanwhile, and a process that starts would see it free: so each test
process claims blocks of ports for its life, by locking a file of the block, and gives out ports of
its blocks alone.

They lie outside the range from which the kernel takes the ports of outgoing connections: otherwise a
client that looks for an engine that is gone can be given the engine's own port, connect to itself,
and keep the engine out.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PORTS = range(15_000, 32_000)  # below the usual range of outgoing connections, 32,768 and up
BLOCK = 100  # ports


class Ports:
    """What one process may use of ``ports``, by locks in ``folder``.

    Args:
        folder: the same for all that share the machine.
        ports: all there are.
        block: how many are claimed at once.
    """

    def __init__(self, folder: Path, *, ports: range = PORTS, block: int = BLOCK) -> None:
        self._folder = folder
        self._ports = ports
        self._block = block
        self._locks: list[int] = []  # file descriptors; open = held
        self._mine: list[int] = []
        self._left: Iterator[int] = iter(())

    def take(self, count: int) -> list[int]:
        """``count`` ports on which nobody listens; none of them twice before all were given."""
        found: list[int] = []
        while len(found) < count:
            port = next(self._left, None)
            if port is None:
                self._left = iter(tuple(self._claim()))
            elif _is_free(port):
                found.append(port)
        return found

    def close(self) -> None:
        """Let others have them; the end of the process does so too."""
        while self._locks:
            os.close(self._locks.pop())

    def _claim(self) -> Sequence[int]:
        """The ports of a block that no living process has; when there is none, our own again.

        Raises: RuntimeError, when there are none of our own.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        firsts = list(self._ports[:: self._block])
        # Not from the lowest on: what another user of the machine runs there is met less often.
        random.shuffle(firsts)
        for first in firsts:
            lock = os.open(self._folder / str(first), os.O_CREAT | os.O_WRONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self._locks.append(lock)
            block = range(first, min(first + self._block, self._ports.stop))
            self._mine += block
            return block
        if not self._mine:
            message = f"other processes hold all ports: lsof +D {self._folder}"
            raise RuntimeError(message)
        return self._mine


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_ours = Ports(Path(tempfile.gettempdir()) / f"tenure-test-ports-{os.getuid()}")


def free_ports(count: int) -> list[int]:
    """``count`` TCP ports of the loopback addresses that are this process's alone."""
    return _ours.take(count)
