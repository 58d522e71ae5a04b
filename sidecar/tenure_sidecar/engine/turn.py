"""A turn: everything that must become true at once, and what may be done after it is durable.

The engine computes turns and never performs them (raft's ``Ready`` is the model).  The order is
fixed: the store makes all of ``head`` .. ``creations`` true in one transaction (law W1); only then
``activities`` are dispatched, targets of ``messages`` and ``creations`` are woken, and waiters are
told.
"""

from __future__ import annotations

import msgspec

from tenure_sidecar.engine.events import Event, ExecutionStarted, TaskScheduled
from tenure_sidecar.engine.head import Head

START_KEY = "start"  # inbox key of the first event of a generation

TIMER = 0
START = 1
RETENTION = 2


class InboxItem(msgspec.Struct, frozen=True, array_like=True):
    """One event on its way into an instance.

    ``key`` is unique in the instance's inbox; engine messages use deterministic keys, so that a
    repeat is the same item.  ``execution_id``, when not empty, names the only execution that may
    receive the event.  ``seed``, of a start item only, is the history that the new instance begins
    with (rerun).  A ``WorkflowStarted`` as the event asks for a turn without a new event.
    """

    key: str
    event: Event
    execution_id: str = ""
    seed: tuple[Event, ...] = ()


class Message(msgspec.Struct, frozen=True, array_like=True):
    """An inbox item for another instance; dropped when that instance is missing or terminal (but a
    FAILED instance takes ``ExecutionRewound``)."""

    target: str
    item: InboxItem


class Timer(msgspec.Struct, frozen=True, array_like=True):
    """A reminder in the store's index.  ``due`` is nanoseconds since the epoch; ``kind`` is TIMER,
    START or RETENTION; a timer of another ``generation`` than the instance's is stale."""

    due: int
    instance_id: str
    timer_id: int
    kind: int = TIMER
    generation: int = 0


class Creation(msgspec.Struct, frozen=True, array_like=True):
    """A new instance: its head (PENDING), its first event, and a timer when it starts later.

    The store puts ``item`` (the start, under ``START_KEY``) into the new inbox.

    When a live instance holds the id already: nothing happens if it was created by the same parent,
    execution and task; otherwise ``rejection`` (if any) is delivered.  A terminal instance is
    replaced, its generation counted on; but a FAILED one that was created by the same parent,
    execution and task stays and gets ``rewind`` into its inbox, if there is a ``rewind``.
    """

    head: Head
    start: ExecutionStarted
    timer: Timer | None = None
    rejection: Message | None = None
    rewind: InboxItem | None = None
    seed: tuple[Event, ...] = ()

    @property
    def item(self) -> InboxItem:
        """The first inbox item of the new instance."""
        return InboxItem(START_KEY, self.start, seed=self.seed)


class Turn(msgspec.Struct, frozen=True):
    """The outcome of ``advance``; see the module docstring."""

    head: Head
    append: tuple[Event, ...] = ()  # to this generation's history, in order
    restart: bool = False  # the history is replaced by ``append`` (a new generation or a rewind)
    input: str | None = None  # of the new generation; only with ``restart``
    consumed: tuple[str, ...] = ()  # keys of inbox items that are done with
    carryover: tuple[InboxItem, ...] = ()  # put back into the inbox, before what is there
    timers_set: tuple[Timer, ...] = ()
    timers_cleared: tuple[Timer, ...] = ()
    messages: tuple[Message, ...] = ()
    creations: tuple[Creation, ...] = ()
    activities: tuple[TaskScheduled, ...] = ()  # dispatch when durable
