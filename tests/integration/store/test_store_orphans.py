"""After a purge nothing of an instance is left: no row, no key, whatever it had.

In scope: every store, counted by hand in the durable ones.  Out of scope: who purges when (actors).
"""

from __future__ import annotations

import sqlite3

from integration.store.samples import (
    RETENTION,
    START,
    Hub,
    a_creation,
    a_timer,
    parent_of,
)
from tenure_sidecar.etcd import Get, prefix_end
from tenure_sidecar.store.etcd import EtcdStore
from tenure_sidecar.store.etcd.keys import Keys
from tenure_sidecar.store.sqlite import SqliteStore

LARGE = "x" * 600_000  # more than stands in its place in etcd
# What does not belong to an instance.
OF_THE_APP = {"meta", "owners", "members", "writers"}
TABLES = ("instances", "inputs", "history", "inbox", "timers", "tags", "runnable")


async def test_a_purge_leaves_nothing(hub: Hub) -> None:
    await hub.running("parent", timers_set=(a_timer("parent", 5_000, 1),))
    await hub.commit(
        "parent", creations=(a_creation("kid", parent=parent_of("parent"), tags={"a": "b"}),)
    )
    await hub.create("large", input=LARGE, tags={"team": "red"})
    await hub.deliver("large", "big", input=LARGE)
    await hub.create("later", timer=a_timer("later", 7_000, kind=START))
    ids = ("parent", "kid", "large", "later")
    for one in ids:
        await hub.finish(one, timers_set=(a_timer(one, 9_000, kind=RETENTION),))
    assert (await hub.counts())["instances"] == len(ids)
    for one in ids:
        await hub.purge(one)
    assert set((await hub.counts()).values()) == {0}
    store = hub.store
    if isinstance(store, EtcdStore):
        assert await kinds_left(store) <= OF_THE_APP
    elif isinstance(store, SqliteStore):
        with sqlite3.connect(store.path) as db:
            left = {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
        db.close()
        assert left == dict.fromkeys(TABLES, 0)


async def kinds_left(store: EtcdStore) -> set[str]:
    root = Keys("test", store.app).root
    found = await store.client.range(Get(root, prefix_end(root), keys_only=True))
    return {kv.key[len(root) :].split(b"/")[0].decode() for kv in found.kvs}
