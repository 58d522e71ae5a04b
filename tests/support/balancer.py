"""What a Service does, where no kube-proxy runs: one address for several processes.

Each new connection goes to the next process in turn; one that is open stays where it is until an end
of it ends, whatever happens to the list meanwhile.  Whoever leaves the list may still be called for
a moment in a real cluster: here a test decides when it is heard of.
"""

from __future__ import annotations

from collections.abc import Sequence

from support.proxy import FaultProxy


class Balancer(FaultProxy):
    """See the module docstring; it can misbehave like any proxy."""

    def __init__(self, targets: Sequence[int], *, host: str = "127.0.0.1") -> None:
        """``targets``: ports."""
        super().__init__(0, host=host)
        self.targets = list(targets)
        self._next = 0

    def choose(self) -> int:
        """The next one in turn."""
        if not self.targets:
            raise ConnectionRefusedError
        self._next += 1
        return self.targets[self._next % len(self.targets)]

    def leave(self, target: int) -> None:
        """No new connection goes there from now on."""
        self.targets.remove(target)

    def join(self, target: int) -> None:
        """New connections go there, too."""
        self.targets.append(target)

    def open_to(self, target: int) -> int:
        """Open connections to ``target``."""
        return sum(pair.target == target for pair in tuple(self.pairs))
