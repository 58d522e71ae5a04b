"""The activities that programs call, and the memory that scenarios look at afterwards.

Each activity is ``(call, value) -> result``; ``call`` has ``instance`` (the workflow's id), ``task``
(its number) and ``worker`` (the name under which this worker was opened).
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from interpreter import ScenarioError


@dataclass(frozen=True)
class Call:
    """One execution of an activity."""

    instance: str
    task: int
    worker: str
    execution: str | None = None


@dataclass
class Memory:
    """What activities and programs leave behind, by key; one per driver process."""

    counts: Counter[str] = field(default_factory=Counter)
    peaks: Counter[str] = field(default_factory=Counter)
    running: Counter[str] = field(default_factory=Counter)
    traces: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    gates: dict[str, threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, key: str) -> int:
        """Count one more under ``key``."""
        with self.lock:
            self.counts[key] += 1
            return self.counts[key]

    def note(self, key: str, value: Any) -> None:
        """Append to the trace under ``key``."""
        with self.lock:
            self.traces[key].append(value)


MEMORY = Memory()


def echo(_call: Call, value: Any) -> Any:
    """Give the input back."""
    return value


def nothing(_call: Call, _value: Any) -> None:
    """Give nothing back."""


def blob(_call: Call, size: int) -> str:
    """Give a text of ``size`` characters."""
    return "x" * size


def count(_call: Call, key: str) -> int:
    """Count the executions under ``key``."""
    return MEMORY.count(key)


def boom(_call: Call, message: str) -> None:
    """Fail."""
    raise ScenarioError(message)


def boom_chained(_call: Call, message: str) -> None:
    """Fail because of something else that failed."""
    try:
        raise ValueError("the cause")
    except ValueError as error:
        raise ScenarioError(message) from error


def flaky(_call: Call, value: dict[str, Any]) -> int:
    """Fail ``failures`` times under ``key``, then give the number of the attempt."""
    attempt = MEMORY.count(value["key"])
    if attempt <= value["failures"]:
        raise ScenarioError(f"attempt {attempt}")
    return attempt


def gate(call: Call, key: str) -> str:
    """Wait until the scenario opens the gate ``key``; how many wait at once is noted."""
    with MEMORY.lock:
        MEMORY.counts[key] += 1
        MEMORY.running[key] += 1
        MEMORY.peaks[key] = max(MEMORY.peaks[key], MEMORY.running[key])
        opened = MEMORY.gates[key]
    try:
        if not opened.wait(timeout=60):
            raise ScenarioError(f"gate {key} was never opened")
    finally:
        with MEMORY.lock:
            MEMORY.running[key] -= 1
    return call.worker


def who(call: Call, _value: Any) -> str:
    """Give the name of the worker that runs this."""
    return call.worker


def about(call: Call, _value: Any) -> dict[str, Any]:
    """Give what the SDK says of this call."""
    return {"instance": call.instance, "task": call.task, "execution": call.execution}


def seen(call: Call, value: dict[str, Any]) -> int:
    """Note the call's execution id under ``key``; fail ``failures`` times."""
    MEMORY.note(value["key"], call.execution)
    return flaky(call, value)


ACTIVITIES: dict[str, Callable[[Call, Any], Any]] = {
    one.__name__: one
    for one in (
        echo,
        nothing,
        blob,
        count,
        boom,
        boom_chained,
        flaky,
        gate,
        who,
        about,
        seen,
    )
}
