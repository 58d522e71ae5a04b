"""The names of keys: where everything lies under ``/<prefix>/<namespace>/<app>/``.

=================================  ===============================================================
``meta``                           layout version and partition count, written once
``head/<id>``                      the head and the instance's book (see ``values``)
``state/<id>``                     one byte: may others send to it?  Written when that changes
``input/<id>``                     input of the present generation
``hist/<ID>/<run>/<n>``            the events of one turn
``inbox/<p>/<ID>/<key>``           an inbox item; the partition's owner watches these
``own/<p>/<ID>/<key>``             an inbox item that the owner put there, and need not be told of
``timer/<p>/<due>/<ID>/<n>/<k>``   a reminder: when, whose, its number and kind
``expire/<p>/<due>/<ID>/<n>/<k>``  the same, of retention
``active/<p>/<id>``                present while activities are pending
``delayed/<p>/<id>``               present while the scheduled start is still to come
``created/<time>/<id>``            for listings, and ``completed/…`` of ended instances
``child/<PARENT>/<id>``            for listings of children
``blob/<ID>/<what>/<token>/<n>``   a piece of a value that is too large to stand in its place
``outbox/<p>/<id>``                what a very large turn still has to send
``doc/<key>``                      a document
``owners/<p>``                     who owns the partition; its mod revision is the fence
``owners/<p>/<name>``              what a former owner still runs of it
``members/<name>``                 who is there
``writers/<handle>``               see ``barrier``
=================================  ===============================================================

``<id>`` stands at the end and is the id itself, so that keys are in id order.  ``<ID>`` has
something behind it: its slashes are escaped, so that no id's range holds another's keys.
``<p>`` is the partition; times are hex digits of nanoseconds, as many as keep them in order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tenure_sidecar.engine.turn import RETENTION, Timer
from tenure_sidecar.etcd import prefix_end
from tenure_sidecar.store.partition import partition_of


class Span(NamedTuple):
    """The keys in [first, end)."""

    first: bytes
    end: bytes


@lru_cache(maxsize=8192)
def escape(text: str) -> bytes:
    """``text`` without slashes, unlike any other text."""
    return text.replace("%", "%25").replace("/", "%2F").encode()


def unescape(text: bytes) -> str:
    """What was escaped."""
    return text.decode().replace("%2F", "/").replace("%25", "%")


def span(prefix: bytes) -> Span:
    """All keys that begin with ``prefix``."""
    return Span(prefix, prefix_end(prefix))


def _reminders(retention: bool) -> bytes:  # noqa: FBT001 - two kinds of keys
    return b"expire" if retention else b"timer"


class Keys:
    """The keys of one app.  ``partitions`` is P, known once the store is open."""

    def __init__(
        self, namespace: str, app: str, *, prefix: str = "tenure", partitions: int = 0
    ) -> None:
        self.root = b"/%s/%s/%s/" % (prefix.encode(), escape(namespace), escape(app))
        self.partitions = partitions
        self.meta = self.root + b"meta"
        self.heads = span(self.root + b"head/")
        self.created_all = span(self.root + b"created/")
        self.completed_all = span(self.root + b"completed/")
        self.documents = span(self.root + b"doc/")
        self.owners = span(self.root + b"owners/")
        self.members = span(self.root + b"members/")

    def partition(self, instance_id: str) -> int:
        """The partition that the instance lives in."""
        return partition_of(instance_id, self.partitions)

    # --- of one instance --------------------------------------------------------------------------

    def head(self, instance_id: str) -> bytes:
        """Head and book."""
        return self.heads.first + instance_id.encode()

    def state(self, instance_id: str) -> bytes:
        """Whether others may send to it."""
        return self.root + b"state/" + instance_id.encode()

    def input(self, instance_id: str) -> bytes:
        """The input."""
        return self.root + b"input/" + instance_id.encode()

    def history(self, instance_id: str, run: int | None = None) -> Span:
        """All turns, or those of one run."""
        prefix = b"%shist/%s/" % (self.root, escape(instance_id))
        return span(prefix if run is None else b"%s%08x/" % (prefix, run))

    def turn(self, instance_id: str, run: int, number: int) -> bytes:
        """One turn's events."""
        return b"%s%08x" % (self.history(instance_id, run).first, number)

    def inbox(self, instance_id: str, *, own: bool = False) -> Span:
        """All its items: those that the owner is told of, or (``own``) those that it put itself."""
        partition, kind = self.partition(instance_id), b"own" if own else b"inbox"
        return span(b"%s%s/%d/%s/" % (self.root, kind, partition, escape(instance_id)))

    def item(self, instance_id: str, key: str, *, own: bool = False) -> bytes:
        """One item."""
        return self.inbox(instance_id, own=own).first + key.encode()

    def items(self, instance_id: str, key: str) -> tuple[bytes, bytes]:
        """Where the item may be."""
        return self.item(instance_id, key), self.item(instance_id, key, own=True)

    def timer(self, timer: Timer) -> bytes:
        """A reminder; its generation is the value."""
        return self.place(timer.instance_id, (timer.due, timer.timer_id, timer.kind))

    def place(self, instance_id: str, place: tuple[int, int, int]) -> bytes:
        """The reminder at this place: due, number, kind."""
        partition = self.partition(instance_id)
        due, number, kind = place
        return b"%s%s/%d/%020x/%s/%d/%d" % (
            self.root,
            _reminders(kind == RETENTION),
            partition,
            due,
            escape(instance_id),
            number,
            kind,
        )

    def active(self, instance_id: str) -> bytes:
        """Activities are pending."""
        return self._of_partition(b"active", instance_id)

    def delayed(self, instance_id: str) -> bytes:
        """The scheduled start is still to come."""
        return self._of_partition(b"delayed", instance_id)

    def outbox(self, instance_id: str) -> bytes:
        """What a very large turn still has to send."""
        return self._of_partition(b"outbox", instance_id)

    def _of_partition(self, kind: bytes, instance_id: str) -> bytes:
        partition = self.partition(instance_id)
        return b"%s%s/%d/%s" % (self.root, kind, partition, instance_id.encode())

    def created(self, at: int, instance_id: str) -> bytes:
        """Listed by creation."""
        return b"%s%016x/%s" % (self.created_all.first, at, instance_id.encode())

    def completed(self, at: int, instance_id: str) -> bytes:
        """Listed by completion."""
        return b"%s%016x/%s" % (self.completed_all.first, at, instance_id.encode())

    def children(self, parent: str) -> Span:
        """All children of an instance."""
        return span(b"%schild/%s/" % (self.root, escape(parent)))

    def child(self, parent: str, instance_id: str) -> bytes:
        """One child."""
        return self.children(parent).first + instance_id.encode()

    def blobs(self, instance_id: str, what: str = "") -> Span:
        """Pieces of large values: of everything, or of ``what``."""
        return span(b"%sblob/%s/%s" % (self.root, escape(instance_id), what.encode()))

    # --- of one partition -------------------------------------------------------------------------

    def owner(self, partition: int) -> bytes:
        """Who owns it."""
        return b"%s%d" % (self.owners.first, partition)

    def running(self, partition: int, name: str) -> bytes:
        """What a former owner still runs of it."""
        return b"%s%d/%s" % (self.owners.first, partition, name.encode())

    def of_partition(self, kind: str, partition: int) -> Span:
        """All keys of a kind: ``inbox``, ``timer``, ``active``, ..."""
        return span(b"%s%s/%d/" % (self.root, kind.encode(), partition))

    def due(self, partition: int, since: int, until: int, *, retention: bool = False) -> Span:
        """Its reminders with ``since <= due <= until``: those of workflows, or of retention."""
        prefix = b"%s%s/%d/" % (self.root, _reminders(retention), partition)
        return Span(b"%s%020x" % (prefix, since), b"%s%020x" % (prefix, until + 1))

    # --- of this process --------------------------------------------------------------------------

    def member(self, name: str) -> bytes:
        """Who is there."""
        return self.members.first + name.encode()

    def writer(self, handle: str) -> bytes:
        """See ``barrier``."""
        return b"%swriters/%s" % (self.root, handle.encode())

    # --- what a key says --------------------------------------------------------------------------

    def last(self, key: bytes, within: Span) -> str:
        """The rest of ``key`` behind the prefix of ``within``."""
        return key[len(within.first) :].decode()

    def waits(self, key: bytes) -> str:
        """The instance that an inbox key belongs to."""
        return self.waiting(key)[0]

    def waiting(self, key: bytes) -> tuple[str, str]:
        """The instance that an inbox key belongs to, and the item's own key."""
        _, _, instance_id, item = key[len(self.root) :].split(b"/", 3)
        return unescape(instance_id), item.decode()

    def reminder(self, key: bytes, generation: bytes) -> Timer:
        """The reminder of a key and its value."""
        due, instance_id, number, kind = key[len(self.root) :].split(b"/")[2:]
        return Timer(int(due, 16), unescape(instance_id), int(number), int(kind), int(generation))

    def indexed(self, key: bytes) -> tuple[int, str]:
        """Time and id of a key of ``created`` or ``completed``."""
        time, instance_id = key[len(self.root) :].split(b"/", 2)[1:]
        return int(time, 16), instance_id.decode()
