"""Logging in to etcd: once for all who wait, whatever becomes of it.

Out of scope: what etcd says to a token (integration/etcd/test_etcd_access).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from support.virtual import in_virtual_time
from tenure_common.errors import EtcdAccessError
from tenure_sidecar.etcd import User
from tenure_sidecar.etcd.access import Tokens

APP = User("app", "secret")
CALLERS = 20
SECONDS = 5.0  # that one login takes


class Etcd:
    """Answers logins; slowly."""

    def __init__(self) -> None:
        self.logins = 0
        self.refuses = False

    async def authenticate(self, _user: User) -> str:
        self.logins += 1
        await asyncio.sleep(SECONDS)
        if self.refuses:
            message = "log in as 'app'"
            raise EtcdAccessError(message)
        return f"token {self.logins}"


async def refused(tokens: Tokens) -> None:
    with pytest.raises(EtcdAccessError):
        await tokens.metadata()


@in_virtual_time
async def test_all_who_wait_share_a_login() -> None:
    etcd = Etcd()
    tokens = Tokens(APP, etcd.authenticate)
    found = await asyncio.gather(*(tokens.metadata() for _ in range(CALLERS)))
    assert {one[-1] for one in found} == {("token", "token 1")}
    assert tokens.stale(found[0])
    assert (await tokens.metadata())[-1] == ("token", "token 2")


@in_virtual_time
async def test_all_who_wait_are_told_that_it_failed_and_the_next_one_tries_again() -> None:
    """With a login for each, the last of them would wait for all, and etcd for the passwords."""
    etcd = Etcd()
    etcd.refuses = True
    tokens = Tokens(APP, etcd.authenticate)
    async with asyncio.timeout(SECONDS + 1):
        await asyncio.gather(*(refused(tokens) for _ in range(CALLERS)))
    assert etcd.logins == 1
    etcd.refuses = False
    assert (await tokens.metadata())[-1] == ("token", "token 2")


@in_virtual_time
async def test_who_goes_away_leaves_the_login_to_the_others() -> None:
    etcd = Etcd()
    tokens = Tokens(APP, etcd.authenticate)
    first = asyncio.ensure_future(tokens.metadata())
    second = asyncio.ensure_future(tokens.metadata())
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert (await second)[-1] == ("token", "token 1")
    assert etcd.logins == 1


@in_virtual_time
async def test_a_login_ends_with_its_client() -> None:
    etcd = Etcd()
    tokens = Tokens(APP, etcd.authenticate)
    waits = asyncio.ensure_future(tokens.metadata())
    await asyncio.sleep(0)
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_without_a_user_there_is_none() -> None:
    tokens = Tokens(None, Etcd().authenticate)
    assert await tokens.metadata() == (("hasleader", "true"),)
    assert not tokens.in_use
    await tokens.close()
