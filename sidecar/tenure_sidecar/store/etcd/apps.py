"""Which apps there are in a cluster, and which of them run: found by their keys.

Nobody keeps a list that could be wrong.  All keys of an app lie together, so the apps are found by
leaps: read one key, see whose it is, go on behind everything of that app.  That is one small read for
each app, however much the app has stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tenure_sidecar.etcd import Get, prefix_end
from tenure_sidecar.store.etcd.keys import Keys, escape, unescape

if TYPE_CHECKING:
    from tenure_sidecar.etcd import EtcdClient, Range

_AT_ONCE = 30  # apps looked at in one read


class FoundApp(NamedTuple):
    """An app that has been started at least once.  ``served``: a sidecar of it has a worker now."""

    namespace: str
    app: str
    served: bool


class _Member(msgspec.Struct, frozen=True):
    """What matters here of a member's record; the rest is ``actors``' own."""

    workers: int = 0


async def find_apps(
    client: EtcdClient, *, prefix: str, namespaces: Collection[str] = ()
) -> list[FoundApp]:
    """The apps of these namespaces, of all when there are none, in order.  Raises: StoreError."""
    root = b"/%s/" % prefix.encode()
    roots = [b"%s%s/" % (root, escape(one)) for one in sorted(set(namespaces))] or [root]
    names: list[tuple[str, str]] = []
    for first in roots:
        names += [name async for name in _leaps(client, root, first)]
    found: list[FoundApp] = []
    for at in range(0, len(names), _AT_ONCE):
        found += await _look(client, prefix, names[at : at + _AT_ONCE])
    return sorted(found)


async def find_app(client: EtcdClient, *, prefix: str, namespace: str, app: str) -> FoundApp | None:
    """One app; None when it was never started.  Raises: StoreError."""
    found = await _look(client, prefix, [(namespace, app)])
    return found[0] if found else None


async def _leaps(client: EtcdClient, root: bytes, first: bytes) -> AsyncIterator[tuple[str, str]]:
    """Namespace and app of whatever has keys behind ``first``."""
    key, end = first, prefix_end(first)
    while True:
        page = await client.range(Get(key, end, limit=1, keys_only=True))
        if not page.kvs:
            return
        key = page.kvs[0].key
        parts = key[len(root) :].split(b"/", 2)
        if len(parts) < 3:  # noqa: PLR2004 - namespace, app, rest
            key += b"\0"  # nothing of ours
            continue
        yield unescape(parts[0]), unescape(parts[1])
        key = prefix_end(b"%s%s/%s/" % (root, parts[0], parts[1]))


async def _look(
    client: EtcdClient, prefix: str, names: Iterable[tuple[str, str]]
) -> list[FoundApp]:
    """Those of ``names`` that are apps."""
    wanted = [(name, Keys(*name, prefix=prefix)) for name in names]
    gets = [
        get for _, keys in wanted for get in (Get(keys.meta, keys_only=True), Get(*keys.members))
    ]
    answers, _ = await client.snapshot(gets)
    return [
        FoundApp(*name, served=_served(answers[2 * at + 1]))
        for at, (name, _) in enumerate(wanted)
        if answers[2 * at].kvs
    ]


def _served(members: Range) -> bool:
    for kv in members.kvs:
        try:
            record = msgspec.json.decode(kv.value, type=_Member)
        except msgspec.MsgspecError:  # a later version's: it can do without us
            return True
        if record.workers > 0:
            return True
    return False
