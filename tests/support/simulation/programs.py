"""The workflows that the apps run.

Every execution of an activity returns a number of its own (``work``), so the output of a workflow
says which executions its history took.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from support.toy import ActivityError, Again, All, Call, Child, Event, Send, Sleep, Workflow

Steps = Generator[Any, Any, Any]

WORD = "word"  # name of the events
ENOUGH = "enough"  # the last one that ``count`` takes


def chain(given: str | None) -> Steps:
    """Activities, one after the other."""
    results = []
    for step in range(int(given or "3")):
        results.append((yield Call("work", str(step))))
    return ",".join(results)


def fan(given: str | None) -> Steps:
    """Activities side by side."""
    results = yield All([Call("work", str(n)) for n in range(int(given or "5"))])
    return ",".join(results)


def family(given: str | None) -> Steps:
    """Children."""
    results = yield All([Child("chain", "2") for _ in range(int(given or "3"))])
    return ";".join(results)


def nap(given: str | None) -> Steps:
    """A timer between two activities."""
    before = yield Call("work", "before")
    yield Sleep(float(given or "5"))
    after = yield Call("work", "after")
    return f"{before},{after}"


def listen(given: str | None) -> Steps:
    """So many events."""
    heard = []
    for _ in range(int(given or "2")):
        heard.append((yield Event(WORD)))
    return ",".join(heard)


def count(given: str | None) -> Steps:
    """Events over generations: two in each, until one of them is ``ENOUGH``."""
    heard = given.split(",") if given else []
    for _ in range(2):
        word = yield Event(WORD)
        if word == ENOUGH:
            return ",".join(heard)
        heard.append(word)
    yield Call("work", "between")
    return Again(",".join(heard))


def tell(given: str | None) -> Steps:
    """Send events to other instances, more than fit into one request: ``n target target…``."""
    number, *targets = (given or "1").split()
    for n in range(int(number)):
        for target in targets:
            yield Send(target, WORD, f"{target}:{n}")
    result = yield Call("work", "told")
    return result


def stumble(given: str | None) -> Steps:
    """An activity that fails, and another one."""
    try:
        yield Call("fail", given)
    except ActivityError:
        return (yield Call("work", given))
    return "it did not fail"


WORKFLOWS: dict[str, Workflow] = {
    "chain": chain,
    "fan": fan,
    "family": family,
    "nap": nap,
    "listen": listen,
    "count": count,
    "tell": tell,
    "stumble": stumble,
}
