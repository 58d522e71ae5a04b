"""What the streams of runs wake, line by line.

In scope: ``Runs`` between a gateway that says what the test says, and a list of what was woken.  Out of
scope: the gateway itself (tests/kubernetes).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import pytest

from support.values import run, workflow
from tenure_operator.gateway import App, Changed, Gateway, Line, Reset, Synced
from tenure_operator.resources import Key
from tenure_operator.runs import Runs


class Spoken:
    """A gateway whose one stream has the lines of the test."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[Line] = asyncio.Queue()

    async def watch(self, _app: App, *, tag: str, cursor: str | None) -> AsyncIterator[Line]:
        assert tag == "managed-by=kubernetes"
        assert cursor is None
        while True:
            yield await self.lines.get()
            self.lines.task_done()

    async def say(self, *lines: Line) -> None:
        """Say that, and wait until it has been heard."""
        for line in lines:
            self.lines.put_nowait(line)
        await self.lines.join()


@pytest.fixture
def gateway() -> Spoken:
    return Spoken()


@pytest.fixture
def woken() -> list[Key]:
    return []


@pytest.fixture
async def runs(gateway: Spoken, woken: list[Key]) -> AsyncGenerator[Runs]:
    made = Runs(cast("Gateway", gateway), woken.append)
    yield made
    await made.close()


OURS = workflow(instanceID="mine")


async def test_whoever_came_before_the_stream_was_synced_is_woken_then(
    runs: Runs, gateway: Spoken, woken: list[Key]
) -> None:
    runs.follow(OURS)
    await gateway.say(Changed(run(OURS, "COMPLETED")))
    assert woken == [OURS.key]
    assert runs.catching_up(OURS), "so it is sent away, and must not be forgotten"
    await gateway.say(Synced("1"))
    assert woken == [OURS.key] * 2
    assert not runs.catching_up(OURS)


async def test_whoever_was_not_told_of_is_woken_to_ask(
    runs: Runs, gateway: Spoken, woken: list[Key]
) -> None:
    runs.follow(OURS)
    await gateway.say(Synced("1"))
    assert woken == [OURS.key]
    assert not runs.seen(OURS).known


async def test_nobody_who_has_been_told_is_woken_for_nothing(
    runs: Runs, gateway: Spoken, woken: list[Key]
) -> None:
    runs.follow(OURS)
    await gateway.say(Changed(run(OURS)), Synced("1"))
    assert woken == [OURS.key]
    await gateway.say(Reset(), Changed(run(OURS)), Synced("2"))
    assert woken == [OURS.key] * 2


async def test_whoever_left_is_not_woken(runs: Runs, gateway: Spoken, woken: list[Key]) -> None:
    runs.follow(OURS)
    assert runs.catching_up(OURS)
    runs.leave(OURS.key)
    await gateway.say(Synced("1"))
    assert woken == []
