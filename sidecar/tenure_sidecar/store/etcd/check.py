"""Is what etcd holds of an app sound?  For ``tenure doctor``: reads everything, changes nothing.

Heads are the truth.  From each one follows which other keys there must be (state, turns, reminders,
indexes); everything of one revision is compared with that, and every value is read.  What lies
there and follows from no head is reported too, but for what is on its way: staged pieces, which end
with their lease.

Takes some hundred bytes of memory for each key of a head.  Compaction may overtake the read of a
very large app; that is told as EtcdCompactedError, and to try again is all there is to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from tenure_common.clock import monotonic
from tenure_common.errors import StoreCorruptError, StoreError, StoreNewerError
from tenure_sidecar.engine.codec import decode_events, decode_item
from tenure_sidecar.etcd import Get
from tenure_sidecar.store.etcd.birth import delayed, listed, state_of
from tenure_sidecar.store.etcd.cells import Cells
from tenure_sidecar.store.etcd.keys import Keys, span, unescape
from tenure_sidecar.store.etcd.reading import Reader
from tenure_sidecar.store.etcd.values import (
    LAYOUT,
    Blob,
    Body,
    Book,
    DocumentValue,
    InputValue,
    ItemValue,
    Meta,
    OutboxValue,
    TurnValue,
    unpack,
)

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.etcd import EtcdClient, KeyValue
    from tenure_sidecar.store.etcd.address import Address

# Keys that say who is there, and nothing of an instance.
_OF_PROCESSES = ("members", "meta", "owners", "writers")
_PAGE = 100  # keys in one answer: a value has up to 256 KiB


async def examine(address: Address, *, namespace: str, app: str) -> list[str]:
    """``check`` on a connection of its own.  Raises: StoreError."""
    client = address.client(monotonic)
    try:
        return await check(client, Keys(namespace, app, prefix=address.prefix))
    finally:
        await client.close()


async def check(client: EtcdClient, keys: Keys) -> list[str]:
    """Every problem found, one sentence each; empty when all is sound.

    Args:
        client: of the cluster.
        keys: of the app; its ``partitions`` is set here.

    Raises: StoreError when there is no such app, when a newer Tenure wrote it, or when etcd cannot
    be read.
    """
    found = await client.range(Get(keys.meta))
    if not found.kvs:
        message = f"etcd has no app under {keys.root.decode()}: see --namespace and --app-id"
        raise StoreError(message)
    try:
        meta = msgspec.json.decode(found.kvs[0].value, type=Meta)
    except msgspec.MsgspecError as error:
        message = f"etcd key {keys.meta!r} is not one of Tenure's: {error}"
        raise StoreCorruptError(message) from error
    if meta.layout > LAYOUT:
        message = f"the app has layout {meta.layout}, this program knows up to {LAYOUT}"
        raise StoreNewerError(message)
    keys.partitions = meta.partitions
    examination = _Examination(client, keys, found.revision)
    await examination.run()
    return examination.found


class _Examination:
    """One app as of one revision."""

    def __init__(self, client: EtcdClient, keys: Keys, revision: int) -> None:
        self.found: list[str] = []
        self._client = client
        self._keys = keys
        self._revision = revision
        self._reader = Reader(client, keys, Cells())
        self._books: dict[str, Book] = {}  # of every head that can be read
        self._sick: set[str] = set()  # ids of the others
        self._expected: dict[bytes, bytes | None] = {}  # value, None = any
        self._events: dict[str, int] = defaultdict(int)  # by instance, as counted
        self._blobs: set[tuple[str, str]] = set()  # staged values that something names: id, prefix
        self._kinds: dict[str, Callable[[KeyValue, list[str]], Awaitable[None]]] = {
            "doc": self._document,
            "hist": self._turn,
            "inbox": self._item,
            "own": self._item,
            "input": self._input,
            "outbox": self._outbox,
        }

    def _say(self, problem: str) -> None:
        self.found.append(problem)

    async def run(self) -> None:
        """Find everything."""
        await self._heads()
        blobs = span(self._keys.root + b"blob/")
        whole = span(self._keys.root)
        for first, end in ((whole.first, blobs.first), (blobs.end, whole.end)):
            async for page in self._client.scan(first, end, revision=self._revision, page=_PAGE):
                for kv in page.kvs:
                    await self._key(kv)
        # Last, because what names a piece may come after it.
        async for page in self._client.scan(*blobs, revision=self._revision, keys_only=True):
            for kv in page.kvs:
                await self._piece(kv)
        self._compare()

    def _compare(self) -> None:
        """What is missing, and what does not add up."""
        for key in self._expected:
            self._say(f"key {key!r} is missing")
        for instance_id, book in self._books.items():
            if self._events[instance_id] != book.events:
                self._say(
                    f"the history of '{instance_id}' has {self._events[instance_id]} events, "
                    f"not {book.events}"
                )

    # --- heads ------------------------------------------------------------------------------------

    async def _heads(self) -> None:
        heads = self._keys.heads
        async for page in self._client.scan(*heads, revision=self._revision, page=_PAGE):
            for kv in page.kvs:
                instance_id = self._keys.last(kv.key, heads)
                try:
                    head, value = await self._reader.head_of(kv, instance_id, self._revision)
                except StoreError as error:
                    self._sick.add(instance_id)
                    self._say(error.message)
                    continue
                if head.instance_id != instance_id:
                    self._say(f"the head of '{instance_id}' says that it is '{head.instance_id}'")
                self._names(instance_id, value.book.head)
                self._expect(head, value.book, instance_id)

    def _expect(self, head: Head, book: Book, instance_id: str) -> None:
        """What follows from a head."""
        keys = self._keys
        self._books[instance_id] = book
        self._expected[keys.state(instance_id)] = state_of(head.status)
        for key in listed(keys, head):
            self._expected[key] = b""
        for number in range(book.turns):
            self._expected[keys.turn(instance_id, book.run, number)] = None
        for place in book.timers:
            self._expected[keys.place(instance_id, place)] = None
        if delayed(book.timers):
            self._expected[keys.delayed(instance_id)] = b""
        if book.input is not None:
            self._expected[keys.input(instance_id)] = None

    # --- everything else --------------------------------------------------------------------------

    async def _key(self, kv: KeyValue) -> None:
        """What is wrong with one key."""
        try:
            kind, *path = self._path(kv)
            if kind != "head" and kind not in _OF_PROCESSES:
                await self._of_kind(kv, kind, path)
        except StoreError as error:
            self._say(error.message)
        except (ValueError, IndexError):
            self._say(f"key {kv.key!r} is not one of Tenure's")

    async def _of_kind(self, kv: KeyValue, kind: str, path: list[str]) -> None:
        follows = kv.key in self._expected
        wanted = self._expected.pop(kv.key, None)
        if wanted is not None and kv.value != wanted:
            self._say(f"key {kv.key!r} is {kv.value!r}, its instance's head wants {wanted!r}")
        read = self._kinds.get(kind)
        if read is not None:
            await read(kv, path)
        elif not follows and not self._is_sick(kind, path):
            self._say(f"key {kv.key!r} belongs to no instance")

    def _path(self, kv: KeyValue) -> list[str]:
        return kv.key[len(self._keys.root) :].decode().split("/")

    def _is_sick(self, kind: str, path: list[str]) -> bool:
        """Whether the key may follow from a head that cannot be read."""
        if kind in ("timer", "expire"):
            return unescape(path[2].encode()) in self._sick
        return bool(path) and any(one in self._sick for one in ("/".join(path), path[-1]))

    def _known(self, kv: KeyValue, instance_id: str) -> None:
        if instance_id not in self._books and instance_id not in self._sick:
            self._say(f"key {kv.key!r} belongs to no instance")

    async def _body(self, instance_id: str, body: Body) -> bytes:
        if isinstance(body, Blob):
            self._names(instance_id, body)
        return await self._reader.body(instance_id, body, self._revision)

    def _names(self, instance_id: str, blob: Blob | None) -> None:
        if blob is not None:
            self._blobs.add((instance_id, f"{blob.what}/{blob.token}"))

    async def _turn(self, kv: KeyValue, path: list[str]) -> None:
        instance_id = unescape(path[0].encode())
        self._known(kv, instance_id)
        events = decode_events(
            await self._body(instance_id, unpack(kv.key, kv.value, TurnValue).body)
        )
        book = self._books.get(instance_id)
        if book is not None and int(path[1], 16) == book.run:
            self._events[instance_id] += len(events)
            if int(path[2], 16) >= book.turns:
                self._say(
                    f"key {kv.key!r} is one more than the {book.turns} turns of '{instance_id}'"
                )
        elif book is not None:
            self._say(
                f"key {kv.key!r} is of a run that is over, '{instance_id}' is in run {book.run}"
            )

    async def _item(self, kv: KeyValue, path: list[str]) -> None:
        instance_id = unescape(path[1].encode())
        self._known(kv, instance_id)
        if int(path[0]) != self._keys.partition(instance_id):
            self._say(f"key {kv.key!r} is in the wrong partition")
        value = unpack(kv.key, kv.value, ItemValue)
        item = decode_item(await self._body(instance_id, value.body))
        if kv.key not in self._keys.items(instance_id, item.key):
            self._say(f"key {kv.key!r} says that it is '{item.key}'")

    async def _input(self, kv: KeyValue, path: list[str]) -> None:
        instance_id = "/".join(path)
        self._known(kv, instance_id)
        await self._body(instance_id, unpack(kv.key, kv.value, InputValue).body)

    async def _outbox(self, kv: KeyValue, path: list[str]) -> None:
        instance_id = "/".join(path[1:])
        self._known(kv, instance_id)
        await self._body(instance_id, unpack(kv.key, kv.value, OutboxValue).body)

    async def _document(self, kv: KeyValue, _path: list[str]) -> None:
        unpack(kv.key, kv.value, DocumentValue)

    async def _piece(self, kv: KeyValue) -> None:
        """What is wrong with a piece of a staged value; its own value has been read already."""
        _, *path = self._path(kv)
        instance_id, what = unescape(path[0].encode()), "/".join(path[1:-1])
        named = (instance_id, what) in self._blobs
        if not named and not kv.lease and instance_id not in self._sick:
            self._say(f"key {kv.key!r} is a piece of a value that nothing names")
        elif named and kv.lease:
            self._say(f"key {kv.key!r} is a piece of a value in use, and would end with its lease")
