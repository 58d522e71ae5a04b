"""Instances that begin and that go: all their keys at once, in the plan of whoever does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.engine.codec import encode_head
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.turn import START
from tenure_sidecar.store.etcd.cells import Cell
from tenure_sidecar.store.etcd.values import (
    ENDED,
    FAILED,
    OPEN,
    Blob,
    Book,
    HeadValue,
    InputValue,
    Place,
    pack,
)

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Creation, Timer
    from tenure_sidecar.store.etcd.keys import Keys
    from tenure_sidecar.store.etcd.plan import Draft

_LIFE_BITS = 31  # so that a version fits into 64 bits


def state_of(status: Status) -> bytes:
    """Whether an instance with this status takes messages; see ``values``."""
    if not status.terminal:
        return OPEN
    return FAILED if status is Status.FAILED else ENDED


def place_of(timer: Timer) -> Place:
    """What tells a reminder from the others of its instance."""
    return timer.due, timer.timer_id, timer.kind


def delayed(timers: tuple[Place, ...]) -> bool:
    """Whether the scheduled start is still to come."""
    return any(kind == START for _, _, kind in timers)


def listed(keys: Keys, head: Head) -> list[bytes]:
    """Keys without a value that say something of the head, for listings and new owners."""
    instance_id = head.instance_id
    found = [keys.created(head.created_at, instance_id)]
    if head.completed_at:
        found.append(keys.completed(head.completed_at, instance_id))
    if head.parent is not None:
        found.append(keys.child(head.parent.instance_id, instance_id))
    if head.active:
        found.append(keys.active(instance_id))
    return found


def insert(draft: Draft, creation: Creation, given: str | None, *, before: Cell | None) -> Cell:
    """Put a new instance in, in place of ``before`` (whose keys go).

    The cell that is returned has no revisions yet.
    """
    keys, effects = draft.keys, draft.effects
    head = creation.head
    life = draft.site.nonce() >> (64 - _LIFE_BITS)
    if before is not None:
        head = msgspec.structs.replace(head, generation=before.head.generation + 1)
        wipe(draft, before)
        life = life if life != before.book.life else life ^ 1
    instance_id = head.instance_id
    book = Book(life)
    if creation.timer is not None:
        timer = msgspec.structs.replace(creation.timer, generation=head.generation)
        book = msgspec.structs.replace(book, timers=(place_of(timer),))
        effects.put(keys.timer(timer), b"%d" % timer.generation)
        if delayed(book.timers):
            effects.put(keys.delayed(instance_id), b"")
    book = put_input(draft, instance_id, book, given)
    draft.put(draft.item(instance_id, creation.item))
    for key in listed(keys, head):
        effects.put(key, b"")
    state = state_of(head.status)
    effects.put(keys.state(instance_id), state)
    book = put_head(draft, head, book)
    return Cell(head, book, state, 0, 0)


def put_head(draft: Draft, head: Head, book: Book) -> Book:
    """Write head and book; the book as written."""
    draft.unstage(head.instance_id, book.head)
    body = draft.stage(head.instance_id, "d", encode_head(head))
    large = body if isinstance(body, Blob) else None
    if large is not book.head:
        book = msgspec.structs.replace(book, head=large)
    key = draft.keys.head(head.instance_id)
    value = HeadValue(book, b"" if isinstance(body, Blob) else body)
    draft.effects.put(key, pack(key, value))
    return book


def put_input(draft: Draft, instance_id: str, book: Book, given: str | None) -> Book:
    """Write or delete the input; the book with what it must know of that."""
    draft.unstage(instance_id, book.input)
    key = draft.keys.input(instance_id)
    large: Blob | None = None
    if given is None:
        draft.effects.delete(key)
    else:
        body = draft.stage(instance_id, "n", given.encode())
        large = body if isinstance(body, Blob) else None
        draft.effects.put(key, pack(key, InputValue(body)))
    return msgspec.structs.replace(book, input=large)


def wipe(draft: Draft, cell: Cell) -> None:
    """Everything of an instance goes."""
    keys, effects, head = draft.keys, draft.effects, cell.head
    instance_id = head.instance_id
    for key in (keys.head, keys.state, keys.input, keys.delayed):
        effects.delete(key(instance_id))
    for name in listed(keys, head):
        effects.delete(name)
    inboxes = (keys.inbox(instance_id, own=own) for own in (False, True))
    for span in (keys.history(instance_id), *inboxes, keys.blobs(instance_id)):
        effects.clear(span)
    for place in cell.book.timers:
        effects.delete(keys.place(instance_id, place))
