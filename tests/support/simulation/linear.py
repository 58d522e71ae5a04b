"""Whether what clients were told about one instance can be put into one order (I12).

Each call took effect at one moment between its sending and its answer; one without an answer took
effect at some moment after its sending, or never.  Between the calls the workflow itself may end.
The search goes through the orders that respect time, and remembers where it has been (the method of
Wing and Gong, with Lowe's memory of states).

The instance is one of three things: absent, active, or ended with a status.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from support.simulation.clients import FORCE, OK, REFUSED, UNKNOWN, Call
from tenure_sidecar.engine.events import Status

ABSENT, ACTIVE = "ABSENT", "ACTIVE"
_ENDED = ("COMPLETED", "TERMINATED")
LONGEST = 400_000  # states looked at before it is given up


def effects(call: Call, state: str) -> Iterator[str]:
    """The states that the call may lead to, if it can have been answered so in ``state``."""
    ended = state in _ENDED
    unknown = call.outcome == UNKNOWN
    if call.verb == "start":
        if call.outcome == REFUSED:
            if state == ACTIVE:
                yield state
        elif state != ACTIVE:
            yield ACTIVE
        elif unknown:
            yield state
    elif call.verb == "get":
        if unknown or _shows(call.value, state):
            yield state
    elif call.verb == "purge":
        ended = ended or (call.argument == FORCE and state == ACTIVE)
        if call.outcome == REFUSED:
            if state == ACTIVE:
                yield state
        elif call.outcome == OK:
            if call.value == 1 and ended:
                yield ABSENT
            elif call.value == 0 and state == ABSENT:
                yield state
        else:
            yield ABSENT if ended else state
    elif call.outcome == REFUSED:
        if state == ABSENT:
            yield state
    elif unknown and state == ABSENT:
        yield state
    elif state != ABSENT:
        yield "TERMINATED" if call.verb == "terminate" and state == ACTIVE else state


def _shows(value: str | None, state: str) -> bool:
    if value is None:
        return state == ABSENT
    if Status[value].terminal:
        return state == value
    return state == ACTIVE


def linear(calls: Sequence[Call]) -> bool | None:
    """Whether there is such an order; None when the search took too long."""
    # An error that is not true of anything, and a read without an answer, say nothing.
    told = [
        one
        for one in calls
        if one.outcome in (OK, REFUSED) or (one.outcome == UNKNOWN and one.verb != "get")
    ]
    told.sort(key=lambda one: one.sent)
    total = len(told)
    answered = sum(1 << n for n, one in enumerate(told) if one.outcome != UNKNOWN)
    seen: set[tuple[int, str]] = set()
    waiting = [(0, ABSENT)]
    while waiting:
        done, state = waiting.pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if done & answered == answered:
            return True
        if len(seen) > LONGEST:
            return None
        if state == ACTIVE:
            waiting.append((done, "COMPLETED"))  # the workflow ends by itself
        # Whatever is next was sent before the first answer that is still to be explained.
        until = min(
            (told[n].returned for n in range(total) if not done >> n & 1), default=float("inf")
        )
        for n in range(total):
            if done >> n & 1:
                continue
            call = told[n]
            if call.sent > until:
                break
            waiting += [(done | 1 << n, after) for after in effects(call, state)]
    return False
