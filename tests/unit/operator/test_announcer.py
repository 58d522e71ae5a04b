"""Kubernetes Events: which go first, which are left out, what becomes of one that is not taken.

In scope: the announcer with its real client, against a server that answers as it is told.  Out of scope:
what is announced (test_workflow_steps, test_schedule_steps).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from support.api_server import ApiServer, Said, api_server
from support.values import NOW, workflow
from tenure_common.times import NANOS
from tenure_operator.announcer import BACKLOG, BURST, PER_SECOND, Announcer
from tenure_operator.cluster import Cluster
from tenure_operator.reconcile.steps import Announcement

SOON = (0.0, 0.0, 0.0)  # seconds between attempts


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def announcer(
    *, clock: Callable[[], int] = lambda: NOW
) -> AsyncIterator[tuple[ApiServer, Announcer]]:
    async with api_server() as (server, link):
        yield server, Announcer(Cluster(link), clock, pauses=SOON)


async def send(announcer: Announcer, count: int) -> None:
    """Let it work until so many have been sent or given up."""
    task = asyncio.create_task(announcer.run())
    before = announcer.sent + announcer.dropped
    while announcer.sent + announcer.dropped < before + count:
        await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def told(number: int, *, warning: bool = False, reason: str = "Told") -> Announcement:
    return Announcement(reason, f"news {number}", warning)


async def test_warnings_go_first_and_have_room_when_others_have_none() -> None:
    clock = Clock()
    async with announcer(clock=clock) as (server, speaker):
        for number in range(BACKLOG + 5):
            clock.now += NANOS // PER_SECOND
            speaker.announce(workflow(), told(number))
        assert speaker.dropped == 5, "there is room for so many"
        speaker.announce(workflow(), told(1, warning=True))
        await send(speaker, BACKLOG + 1)
        assert server.taken[0]["type"] == "Warning"
        assert server.taken[1]["message"] == "news 0"
        assert speaker.sent == BACKLOG + 1


async def test_others_have_room_when_warnings_have_none() -> None:
    async with announcer() as (_, speaker):
        for number in range(BACKLOG + 3):
            speaker.announce(workflow(), told(number, warning=True))
        assert speaker.dropped == 3
        speaker.announce(workflow(), told(0))
        assert speaker.dropped == 3


async def test_ordinary_ones_are_left_out_when_there_are_too_many_and_warnings_are_not() -> None:
    clock = Clock()
    async with announcer(clock=clock) as (_, speaker):
        for number in range(BURST + 10):
            speaker.announce(workflow(), told(number))
        assert speaker.dropped == 10
        speaker.announce(workflow(), *(told(number, warning=True) for number in range(10)))
        assert speaker.dropped == 10
        clock.now += NANOS
        speaker.announce(workflow(), *(told(number) for number in range(PER_SECOND + 1)))
        assert speaker.dropped == 11


async def test_two_with_one_reason_are_two_and_a_repeat_is_none() -> None:
    async with announcer() as (server, speaker):
        speaker.announce(workflow(), told(1), told(2), told(1))
        await send(speaker, 3)
        names = Counter(one["metadata"]["name"] for one in server.taken)
        assert sorted(names.values()) == [1, 2]
        speaker.announce(workflow(metadata={"resourceVersion": "2"}), told(1))
        await send(speaker, 1)
        assert server.taken[-1]["metadata"]["name"] not in names, "it happened again"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_one_that_is_not_taken_now_is_sent_later_and_holds_up_no_other(status: int) -> None:
    async with announcer() as (server, speaker):
        refusals = iter((status, status))
        bad = told(1, warning=True, reason="Bad")

        def says(event: dict[str, str]) -> Said:
            return Said(next(refusals, 201) if event["reason"] == "Bad" else 201)

        server.says = says
        speaker.announce(workflow(), bad, told(2, warning=True))
        await send(speaker, 2)
        assert [one["message"] for one in server.taken] == ["news 2", "news 1"]
        assert (speaker.sent, speaker.dropped) == (2, 0)


async def test_one_that_is_never_taken_is_given_up() -> None:
    async with announcer() as (server, speaker):
        server.says = lambda _: Said(500)
        speaker.announce(workflow(), told(1))
        await send(speaker, 1)
        assert len(server.asked) == len(SOON) + 1
        assert (speaker.sent, speaker.dropped) == (0, 1)


@pytest.mark.parametrize("status", [403, 404, 422])
async def test_one_that_is_refused_is_not_tried_again(status: int) -> None:
    async with announcer() as (server, speaker):
        server.says = lambda _: Said(status)
        speaker.announce(workflow(), told(1))
        await send(speaker, 1)
        assert len(server.asked) == 1
        assert speaker.dropped == 1


async def test_one_that_is_there_already_was_sent() -> None:
    async with announcer() as (server, speaker):
        server.says = lambda _: Said(409)
        speaker.announce(workflow(), told(1))
        await send(speaker, 1)
        assert len(server.asked) == 1
        assert (speaker.sent, speaker.dropped) == (1, 0)


async def test_those_put_aside_take_up_room() -> None:
    async with api_server() as (server, link):
        speaker = Announcer(Cluster(link), lambda: NOW, pauses=(3600.0,))
        server.says = lambda _: Said(503)
        for number in range(BACKLOG):
            speaker.announce(workflow(), told(number, warning=True))
        task = asyncio.create_task(speaker.run())
        while len(server.asked) < 10:
            await asyncio.sleep(0.001)
        more = (told(-number, warning=True) for number in (1, 2, 3))
        speaker.announce(workflow(), *more)  # one may be on its way just now
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert speaker.dropped >= 2
