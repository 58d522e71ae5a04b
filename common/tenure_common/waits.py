"""Waiting for the first of several things, as a process does that ends with any of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def until_first(*works: Awaitable[object]) -> None:
    """Wait until one of them ends, and give the others up.  Raises: what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
