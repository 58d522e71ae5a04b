"""What etcd remembers of an app, from its first revision on, held against the promises.

etcd keeps every version of every key until it is compacted, in the one order in which they were
written.  So nothing has to be recorded while a test does its worst: afterwards the whole story is
read, and each promise is a question about it.

* *One writer.*  A commit carries an id that begins with the process that made it, and an owner key
  carries the lease of the process that it names.  A lease is one process's, so all commits that are
  made under an owner key must be of one process.  A commit that an old owner got in after all is
  of another one.
* *History only grows.*  A turn is written once and never again; what has ended stays as it is.
* *Everything once.*  Each task of a history is resolved once at most, and not before it was
  scheduled; timers are never early; a parent was told what its child returned.
* *Nothing is stuck.*  Every instance has ended.
* *The store is sound*, as ``tenure doctor`` sees it.

What is compacted must have been read before: a ``Story`` can be read on at any time.  Only for apps
that purge, restart and rewind nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic

from tenure_sidecar.engine.codec import decode_head
from tenure_sidecar.engine.events import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    ExecutionCompleted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from tenure_sidecar.engine.head import Head
from tenure_sidecar.etcd import EtcdClient, Tls
from tenure_sidecar.etcd.watch import Event as Change
from tenure_sidecar.store.etcd import check
from tenure_sidecar.store.etcd.cells import Cells
from tenure_sidecar.store.etcd.keys import Keys, span, unescape
from tenure_sidecar.store.etcd.reading import Reader
from tenure_sidecar.store.etcd.values import HeadValue, unpack

_PROCESS = 12  # hex digits of a commit's id that name the process
_NOBODY = 0


@dataclass
class Audit:
    """What came of it.

    Attributes:
        wrong: one sentence each; empty when all promises were kept.
        instances: how many there are.
        commits: turns that were written.
        takeovers: times that a partition went from one process to another.
        stale: commits of a process that was not the owner.
        due: of each instance with timers, when the last one was due (nanoseconds since the Unix
            epoch).
        times: of each instance's events, likewise.
        partitions: how many the app has.
    """

    wrong: list[str] = field(default_factory=list[str])
    instances: int = 0
    commits: int = 0
    takeovers: int = 0
    stale: int = 0
    due: dict[str, int] = field(default_factory=dict[str, int])
    times: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    partitions: int = 0


async def audit(
    urls: Iterable[str],
    *,
    app: str,
    namespace: str = "default",
    story: Story | None = None,
    tls: Tls | None = None,
) -> Audit:
    """Read and judge everything; ``story`` is what was read of it already.  Raises: StoreError."""
    client = EtcdClient(tuple(urls), clock=monotonic, tls=tls)
    try:
        story = story or Story(app=app, namespace=namespace)
        found, keys = story.found, story.keys
        found.wrong += await check(client, keys)
        found.partitions = keys.partitions
        await story.read(client)
        await _histories(client, keys, found)
        return found
    finally:
        await client.close()


class Story:
    """Every change of the app's keys, in order."""

    def __init__(self, *, app: str, namespace: str = "default", partitions: int = 0) -> None:
        self.keys = Keys(namespace, app, partitions=partitions)
        self.found = Audit()
        self.next = 1  # revision
        self._owners: dict[int, int] = {}  # partition -> lease
        self._before: dict[int, int] = {}  # the same, of the last owner there was
        self._process: dict[int, str] = {}  # lease -> who commits under it
        self._ended: dict[str, Head] = {}
        self._turns: set[bytes] = set()

    async def read(self, client: EtcdClient) -> None:
        """On to the newest revision that is still of a key.  Raises: StoreError."""
        newest = 0
        async for page in client.scan(*span(self.keys.root), keys_only=True):
            newest = max([newest, *(kv.mod_revision for kv in page.kvs)])
        if newest < self.next:
            return
        watch = client.watch(*span(self.keys.root), revision=self.next)
        async for batch in watch:
            assert not batch.gap, "the store was compacted: its story is not known"
            for change in batch.events:
                self._change(change)
            self.next = batch.revision + 1
            if batch.revision >= newest:
                break
        watch.close()

    def _change(self, change: Change) -> None:
        kind, *path = change.kv.key[len(self.keys.root) :].decode().split("/")
        if kind == "owners" and len(path) == 1:
            self._owner(int(path[0]), _NOBODY if change.deleted else change.kv.lease)
        elif kind == "head":
            self._head(change, "/".join(path))
        elif kind == "hist":
            self._turn(change, unescape(path[0].encode()))

    def _owner(self, partition: int, lease: int) -> None:
        self._owners[partition] = lease
        if lease != _NOBODY:
            self.found.takeovers += self._before.get(partition, lease) != lease
            self._before[partition] = lease

    def _head(self, change: Change, instance_id: str) -> None:
        if change.deleted:
            self.found.wrong.append(f"'{instance_id}' was deleted")
            return
        value = unpack(change.kv.key, change.kv.value, HeadValue)
        if not value.head:
            return  # it is too large for its key; the check of the store reads it
        head = decode_head(value.head)
        last = self._ended.get(instance_id)
        if last is not None and (last.status, last.output) != (head.status, head.output):
            self.found.wrong.append(f"'{instance_id}' had ended, and changed")
        if head.status.terminal:
            self._ended[instance_id] = head
        if value.book.count:  # an instance is made by whoever was asked to
            self._commit(instance_id, head.commit_id[:_PROCESS], change.kv.mod_revision)

    def _commit(self, instance_id: str, process: str, revision: int) -> None:
        self.found.commits += 1
        lease = self._owners.get(self.keys.partition(instance_id), _NOBODY)
        if lease == _NOBODY:
            self.found.stale += 1
            self.found.wrong.append(f"'{instance_id}' has a commit without owner at {revision}")
        elif self._process.setdefault(lease, process) != process:
            self.found.stale += 1
            self.found.wrong.append(f"'{instance_id}' has a commit of an old owner at {revision}")

    def _turn(self, change: Change, instance_id: str) -> None:
        if change.deleted or change.kv.key in self._turns:
            self.found.wrong.append(f"the history of '{instance_id}' was changed afterwards")
        self._turns.add(change.kv.key)


async def _histories(client: EtcdClient, keys: Keys, found: Audit) -> None:
    """Every instance as it is in the end."""
    reader = Reader(client, keys, Cells())
    ids: list[str] = []
    async for page in client.scan(*keys.heads, keys_only=True):
        ids += [keys.last(kv.key, keys.heads) for kv in page.kvs]
    found.instances = len(ids)
    results: dict[str, str | None] = {}
    told: list[tuple[str, str, str | None]] = []  # parent, child, what the parent was told
    for instance_id in ids:
        loaded = await reader.load(instance_id)
        assert loaded is not None, instance_id
        if not loaded.head.status.terminal:
            found.wrong.append(f"'{instance_id}' is stuck: it is {loaded.head.status.name}")
        results[instance_id] = loaded.head.output
        found.wrong += [f"'{instance_id}': {one}" for one in problems(loaded.history)]
        found.times[instance_id] = [one.at for one in loaded.history]
        due = [one.fire_at.nanoseconds for one in loaded.history if isinstance(one, TimerCreated)]
        if due:
            found.due[instance_id] = max(due)
        made = {
            one.task_id: one.instance_id for one in loaded.history if isinstance(one, ChildCreated)
        }
        told += [
            (instance_id, made[one.task_id], one.result)
            for one in loaded.history
            if isinstance(one, ChildCompleted) and one.task_id in made
        ]
    for parent, child, result in told:
        if results.get(child) != result:
            found.wrong.append(f"'{parent}' was told another result than '{child}' has")


def problems(history: Iterable[Event]) -> list[str]:
    """What is wrong with the history of one instance in one generation."""
    wrong: list[str] = []
    open_tasks: set[int] = set()
    resolved: dict[int, int] = defaultdict(int)
    last = 0
    over = False
    for event in history:
        if event.at < last:
            wrong.append(f"time goes backwards to {event.at}")
        last = event.at
        if over:
            wrong.append(f"{type(event).__name__} after its end")
        if isinstance(event, TaskScheduled | ChildCreated | TimerCreated):
            if event.task_id in open_tasks:
                wrong.append(f"task {event.task_id} was scheduled twice")
            open_tasks.add(event.task_id)
        elif isinstance(event, TaskCompleted | TaskFailed | ChildCompleted | ChildFailed):
            resolved[event.task_id] += 1
        elif isinstance(event, TimerFired):
            resolved[event.timer_id] += 1
            if event.at < event.fire_at.nanoseconds:
                wrong.append(f"timer {event.timer_id} fired early")
        over = isinstance(event, ExecutionCompleted)
    wrong += [f"task {one} was resolved {n} times" for one, n in resolved.items() if n > 1]
    return wrong + [f"task {one} was never scheduled" for one in resolved if one not in open_tasks]
