"""Conditions: their time moves when their status does, and only then.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from tenure_common.times import format_time
from tenure_operator.resources import Condition

MAX_MESSAGE = 1024  # characters of a message


class Wanted(NamedTuple):
    """A condition as it should be; its time is found out."""

    type: str
    holds: bool | None  # None: not known
    reason: str
    message: str = ""

    @property
    def status(self) -> Literal["True", "False", "Unknown"]:
        """As Kubernetes writes it."""
        return "Unknown" if self.holds is None else "True" if self.holds else "False"


def conditions(
    old: Sequence[Condition], wanted: Iterable[Wanted], *, generation: int, now: int
) -> tuple[Condition, ...]:
    """The new list; what is in it already keeps its time, and what others wrote is kept."""
    known = {one.type: one for one in old}
    found: dict[str, Condition] = {}
    for one in wanted:
        before = known.pop(one.type, None)
        unmoved = before is not None and before.status == one.status
        found[one.type] = Condition(
            type=one.type,
            status=one.status,
            reason=one.reason,
            message=one.message[:MAX_MESSAGE],
            last_transition_time=before.last_transition_time if before and unmoved else stamp(now),
            observed_generation=generation,
        )
    return (*found.values(), *known.values())


def stamp(moment: int) -> str:
    """A time as Kubernetes writes it: whole seconds, UTC."""
    return f"{format_time(moment)[:19]}Z"


def seconds(text: str | None) -> str | None:
    """An RFC 3339 time in UTC, cut to whole seconds."""
    return None if text is None else f"{text[:19]}Z"
