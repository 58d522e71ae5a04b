"""Where ids come from: an argument.  The engine draws none itself, so that a test or a simulation
with seeded ids sees the same run twice."""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """A source of ids."""

    def execution_id(self) -> str:
        """32 lower-case hex digits, new for each generation of an instance."""
        ...

    def instance_id(self) -> str:
        """32 lower-case hex digits, for clients that do not choose an id."""
        ...

    def span_id(self) -> str:
        """16 lower-case hex digits, not all zero (W3C trace context)."""
        ...

    def commit_id(self) -> str:
        """Short text, unique among all commits of all processes."""
        ...
