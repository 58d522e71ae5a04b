"""What an etcd needs beside its own work: users, and its file given back what it does not use.

Compaction frees pages inside of a member's file, and nothing ever makes the file smaller but a
defragmentation, during which the member answers nobody.  So members are taken one after the other,
the leader last, only when every member is well, and only when it is worth it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog

from tenure_common.errors import EtcdOutcomeUnknownError, EtcdUnavailableError, StoreError
from tenure_sidecar.etcd import EtcdClient, Status
from tenure_sidecar.upkeep.config import GATEWAY_USER, left_over, user_of

_log = structlog.get_logger(__name__)

EVERYTHING = b"/tenure/"  # the prefix of all keys of all namespaces
_LOOK_EVERY = 0.5  # seconds, while etcd does not answer
_DEFRAGMENT_WITHIN = 600.0  # seconds for one member
_ROOM = 0.8  # of the quota: with so little in the file, the NOSPACE alarm has no cause any more


async def insist(
    attempt: Callable[[], Awaitable[list[str]]], *, within: float, clock: Callable[[], float]
) -> list[str]:
    """What came of an attempt, which is made again while etcd is away: it may just be started again.

    Args:
        attempt: what may be repeated.
        within: seconds after which etcd's absence is an error.
        clock: monotonic, in seconds.

    Raises: StoreError.
    """
    deadline = clock() + within
    while True:
        try:
            return await attempt()
        except (EtcdUnavailableError, EtcdOutcomeUnknownError) as error:
            if clock() >= deadline:
                raise
            _log.info("etcd is away, trying again", error=str(error))
            await asyncio.sleep(_LOOK_EVERY)


async def users(client: EtcdClient, served: Collection[str] | None = ()) -> list[str]:
    """Give the gateway and each namespace its part, and have etcd ask who a client is.

    Args:
        client: of the administrator.
        served: the namespaces with apps; users of others are taken away.  None = users of
            namespaces are none of our business.

    Returns what was done.  Raises: StoreError.
    """
    done = await _allow(client, {GATEWAY_USER: EVERYTHING})
    if served is not None:
        more, _ = await namespaces(client, serve=served, keep=served)
        done += more
    if not await client.users.required():
        await client.users.require()
        done.append("etcd: every client is asked who it is")
    return done


async def namespaces(
    client: EtcdClient, *, serve: Collection[str], keep: Collection[str]
) -> tuple[list[str], list[str]]:
    """Give namespaces their users, and take away those of others; what these wrote stays.

    Args:
        client: of the administrator.
        serve: those that are looked at.
        keep: those that have a right to a user, looked at or not.

    Returns what was done, and the users that were taken away.  Raises: StoreError.
    """
    done = await _allow(client, {user_of(one): prefix_of(one) for one in serve})
    gone = [
        user
        for user in left_over(await client.users.names(), keep)
        if await client.users.forget(user)
    ]
    done += [f"etcd: user {user} taken away, its namespace is not served" for user in gone]
    return done, gone


async def _allow(client: EtcdClient, parts: Mapping[str, bytes]) -> list[str]:
    return [
        f"etcd: user {user} may read and write {prefix.decode()}"
        for user, prefix in parts.items()
        if await client.users.allow(user, prefix)
    ]


def prefix_of(namespace: str) -> bytes:
    """What the keys of a namespace begin with."""
    return b"%s%s/" % (EVERYTHING, namespace.encode())


def worthwhile(members: Sequence[Status], *, least: int) -> list[Status]:
    """Whose file is to be given back its free space now, in this order.

    Args:
        members: all of them.
        least: free bytes for which an interruption is worth while.
    """
    if any(one.problems for one in members if not _only_full(one)):
        return []
    ordered = sorted(members, key=lambda one: one.member_id == one.leader)
    return [one for one in ordered if one.size - one.in_use >= max(least, one.size // 2)]


def _only_full(member: Status) -> bool:
    """Whether all that is wrong with a member is that its quota is used up."""
    return all("NOSPACE" in text for text in member.problems)


async def space(client: EtcdClient, *, members: int, quota: int, least: int) -> list[str]:
    """Give free space back, and end a NOSPACE alarm that has no cause any more.

    Args:
        client: of the administrator.
        members: how many there are; with one missing, nothing is interrupted.
        quota: bytes.
        least: see ``worthwhile``.

    Returns what was done.  Raises: StoreError.
    """
    found = await client.status()
    if len(found) < members:
        return [f"etcd: {len(found)} of {members} members answer, so none is defragmented"]
    done: list[str] = []
    for one in worthwhile(found, least=least):
        await client.defragment(one.url, within=_DEFRAGMENT_WITHIN)
        done.append(f"etcd: {one.url} defragmented, {(one.size - one.in_use) >> 20} MiB given back")
    if await client.alarms():
        sizes = [one.size for one in await client.status()]
        if len(sizes) == members and max(sizes) < _ROOM * quota:
            await client.alarms(disarm=True)
            done.append("etcd: alarm NOSPACE ended")
        else:
            message = "etcd has an alarm that only people can end: docs/errors/TN0604.md"
            raise StoreError(message)
    return done
