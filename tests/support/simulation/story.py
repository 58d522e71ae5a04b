"""What etcd was made to say, from its first revision to its last, in Tenure's terms.

The model keeps every write (the compactions that the cluster sees do not reach it), so nothing has to
be recorded while a seed is played: afterwards the story is read once, and each invariant is a
question about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenure_sidecar.actors.sharing.records import OwnerRecord
from tenure_sidecar.engine.codec import decode_events, decode_head, decode_item
from tenure_sidecar.engine.events import Event
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.store.etcd.keys import unescape
from tenure_sidecar.store.etcd.values import Blob, HeadValue, ItemValue, TurnValue, unpack

import msgspec  # isort: skip

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import InboxItem
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.etcd.values import Body

PROCESS = 12  # hex digits of a commit's id that name the process
_owner = msgspec.json.Decoder(OwnerRecord)


@dataclass(frozen=True)
class Version:
    """A head as it was written; ``head`` None = the instance was deleted."""

    revision: int
    head: Head | None
    life: int  # of the id: another one for each use
    count: int  # turns in this life; 0 = it was created
    run: int  # of the history


@dataclass
class Item:
    """An inbox item that was put, and the revision at which it went; 0 = it is there."""

    revision: int
    item: InboxItem
    gone: int = 0


@dataclass
class Run:
    """One history, from its beginning to its end or to where it was replaced."""

    instance_id: str
    events: list[Event] = field(default_factory=list[Event])
    at: list[int] = field(default_factory=list[int])  # revision of each event
    begins: list[int] = field(default_factory=list[int])  # number of each turn's first event

    @property
    def turns(self) -> int:
        """How many there are."""
        return len(self.begins)

    def spans(self) -> Iterable[tuple[int, int]]:
        """Of each turn, the number of its first event and that of the one after its last."""
        return zip(self.begins, (*self.begins[1:], len(self.events)), strict=True)


@dataclass
class Story:
    """See the module docstring.

    Attributes:
        heads: of each instance, in order.
        runs: histories by instance, life and run.
        items: inbox items of each instance, in order.
        commits: turns: revision, instance, partition, process, and the owner's name then.
        wrong: writes that no sound store makes.
    """

    heads: dict[str, list[Version]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[tuple[str, int, int], Run] = field(default_factory=dict[tuple[str, int, int], Run])
    items: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    commits: list[tuple[int, str, int, str, str]] = field(
        default_factory=list[tuple[int, str, int, str, str]]
    )
    takeovers: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def at(self, instance_id: str, revision: int) -> Version | None:
        """The head as of a revision; None when there was none."""
        found: Version | None = None
        for one in self.heads.get(instance_id, ()):
            if one.revision > revision:
                break
            found = one
        return None if found is None or found.head is None else found

    def final(self) -> dict[str, Version]:
        """The heads that are there in the end."""
        return {name: one[-1] for name, one in self.heads.items() if one[-1].head is not None}


class _Reader:
    def __init__(self, keys: Keys) -> None:
        self.story = Story()
        self._keys = keys
        self._owners: dict[int, str] = {}
        self._last: dict[int, str] = {}
        self._turns: set[bytes] = set()
        self._items: dict[bytes, Item] = {}
        self._pieces: dict[bytes, bytes] = {}  # of large values, by key; whatever became of them

    def change(self, revision: int, event: pb.Event) -> None:
        key = event.kv.key
        deleted = event.type == pb.Event.DELETE
        kind, *path = key[len(self._keys.root) :].decode().split("/")
        if kind == "owners" and len(path) == 1:  # beside it is what former owners still run
            self._owner(int(path[0]), "" if deleted else _owner.decode(event.kv.value).name)
        elif kind == "head":
            self._head(revision, "/".join(path), None if deleted else event.kv)
        elif kind == "hist":
            self._hist(revision, unescape(path[0].encode()), path, event.kv, deleted=deleted)
        elif kind == "blob" and not deleted:
            self._pieces[key] = event.kv.value
        elif kind in ("inbox", "own") and deleted:
            self._items.pop(key).gone = revision
        elif kind in ("inbox", "own"):
            if (before := self._items.get(key)) is not None:  # the id is used again
                before.gone = revision
            value = unpack(key, event.kv.value, ItemValue)
            instance_id = unescape(path[1].encode())
            item = Item(revision, decode_item(self._body(instance_id, value.body)))
            self._items[key] = item
            self.story.items[instance_id].append(item)

    def _body(self, instance_id: str, body: Body) -> bytes:
        if not isinstance(body, Blob):
            return body
        first = self._keys.blobs(instance_id, f"{body.what}/{body.token}/").first
        return b"".join(self._pieces[b"%s%06d" % (first, n)] for n in range(body.pieces))

    def _owner(self, partition: int, name: str) -> None:
        self._owners[partition] = name
        if name:
            self.story.takeovers += self._last.get(partition, name) != name
            self._last[partition] = name

    def _head(self, revision: int, instance_id: str, kv: pb.KeyValue | None) -> None:
        if kv is None:
            self.story.heads[instance_id].append(Version(revision, None, 0, 0, 0))
            return
        value = unpack(kv.key, kv.value, HeadValue)
        book = value.book
        head = decode_head(self._body(instance_id, book.head or value.head))
        version = Version(revision, head, book.life, book.count, book.run)
        self.story.heads[instance_id].append(version)
        if book.count:
            partition = self._keys.partition(instance_id)
            owner = self._owners.get(partition, "")
            process = head.commit_id[:PROCESS]
            self.story.commits.append((revision, instance_id, partition, process, owner))

    def _hist(
        self, revision: int, instance_id: str, path: list[str], kv: pb.KeyValue, *, deleted: bool
    ) -> None:
        if deleted:
            self._turns.discard(kv.key)
            return
        if kv.key in self._turns:
            self.story.wrong.append(f"history of '{instance_id}' overwritten at {revision}")
        self._turns.add(kv.key)
        self._pending.append((revision, instance_id, int(path[1], 16), int(path[2], 16), kv))

    _pending: list[tuple[int, str, int, int, pb.KeyValue]]

    def read(self, changes: Iterable[tuple[int, tuple[pb.Event, ...]]]) -> Story:
        for revision, events in changes:
            self._pending = []
            for event in events:
                if event.kv.key.startswith(self._keys.root):
                    self.change(revision, event)
            for turn in self._pending:  # the head of the same write says whose life it is
                self._turn(*turn)
        return self.story

    def _turn(self, revision: int, instance_id: str, run: int, turn: int, kv: pb.KeyValue) -> None:
        version = self.story.at(instance_id, revision)
        if version is None:
            self.story.wrong.append(f"history of '{instance_id}' without a head at {revision}")
            return
        if (version.revision, version.run) != (revision, run):
            self.story.wrong.append(f"history of '{instance_id}' without its head at {revision}")
        key = (instance_id, version.life, run)
        there = self.story.runs.setdefault(key, Run(instance_id))
        if turn != there.turns:
            self.story.wrong.append(f"history of '{instance_id}' has a gap at {revision}")
        there.begins.append(len(there.events))
        value = unpack(kv.key, kv.value, TurnValue)
        for event in decode_events(self._body(instance_id, value.body)):
            there.events.append(event)
            there.at.append(revision)


def read(changes: Iterable[tuple[int, tuple[pb.Event, ...]]], keys: Keys) -> Story:
    """The story of the app whose keys these are."""
    return _Reader(keys).read(changes)
