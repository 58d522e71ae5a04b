"""A bulk job as a record: what to do, to which instances, and how far it has come.  Pure.

The record is all there is of a job, stored as a document (``Store.put``), so a job survives whatever
happens to the process that works on it.  Progress is saved page by page; a process that dies in the
middle of a page leaves that page to be done again, which changes nothing where the verbs are
idempotent (an instance is suspended once) and raises an event twice at worst.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from tenure_common.errors import StoreCorruptError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Query

PREFIX: Final = "job/"
MAX_ERRORS: Final = 20  # kept in the record

TERMINAL: Final = frozenset(s for s in Status if s.terminal)
LIVE: Final = frozenset(s for s in Status if not s.terminal)

RUNNING: Final = "RUNNING"
COMPLETED: Final = "COMPLETED"
CANCELED: Final = "CANCELED"


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done to each instance; which fields count depends on ``verb``."""

    verb: str  # suspend, resume, terminate, purge, restart, rewind, raise
    reason: str | None = None
    payload: str | None = None  # output of terminate, data of raise
    event: str = ""
    recursive: bool = True
    force: bool = False
    new_id: bool = False

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses in which the verb has something to do."""
        if self.verb == "purge":
            return frozenset(Status) if self.force else TERMINAL
        if self.verb == "restart":
            return frozenset(Status) if self.new_id else TERMINAL
        if self.verb == "rewind":
            return frozenset({Status.FAILED})
        if self.verb == "resume":
            return frozenset({Status.SUSPENDED, Status.STALLED})
        if self.verb == "suspend":
            return LIVE - {Status.SUSPENDED}
        return LIVE


class Fault(msgspec.Struct, frozen=True):
    """Why the action failed on one instance."""

    instance_id: str
    code: str
    message: str


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module docstring.  Times are nanoseconds since the epoch."""

    id: str
    action: Action
    query: Query
    created_at: int
    updated_at: int
    matched: int
    state: str = RUNNING
    digest: str = ""  # of the request, to tell a repeat from another one with the same key
    finished_at: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    errors: tuple[Fault, ...] = ()
    cursor: str | None = None  # where the next page begins
    cancel: bool = False  # asked for; the worker ends the job at the next page


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one page of work came to; ``cursor`` is where the next one begins, None at the end."""

    done: int
    skipped: int
    faults: tuple[Fault, ...]
    cursor: str | None


def narrowed(query: Query, action: Action) -> Query | None:
    """``query`` without the statuses in which there is nothing to do; None when none is left."""
    statuses = query.statuses & action.statuses if query.statuses else action.statuses
    if not statuses:
        return None
    return msgspec.structs.replace(query, statuses=statuses)


def advanced(job: Job, page: Page, *, now: int) -> Job:
    """The job after a page of work.

    At the end, whatever matched and was not found counts as skipped: it was deleted or had changed
    before its page was read, or was done by a try of its page whose progress was lost.
    """
    over = page.cursor is None
    state = COMPLETED if over else CANCELED if job.cancel else RUNNING
    done, failed = job.done + page.done, job.failed + len(page.faults)
    skipped = job.skipped + page.skipped
    if over:
        skipped = max(skipped, job.matched - done - failed)
    return msgspec.structs.replace(
        job,
        done=done,
        skipped=skipped,
        failed=failed,
        errors=(*job.errors, *page.faults)[:MAX_ERRORS],
        cursor=page.cursor,
        updated_at=now,
        state=state,
        finished_at=0 if state == RUNNING else now,
    )


def canceled(job: Job, *, now: int) -> Job:
    """The job with its end asked for; a finished one stays as it is."""
    if job.state != RUNNING:
        return job
    return msgspec.structs.replace(job, cancel=True, updated_at=now)


def child_id(job: Job, instance_id: str) -> str:
    """The id of the new run of ``instance_id``: a repeat of the page makes no second one."""
    return hashlib.sha256(f"{job.id}\0{instance_id}".encode()).hexdigest()[:32]


def encode(job: Job) -> bytes:
    """The stored form."""
    return msgspec.json.encode(job)


def decode(key: str, body: bytes) -> Job:
    """The job of a document.  Raises: StoreCorruptError."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        message = f"document '{key}' is not a job: {error}"
        raise StoreCorruptError(message) from error


_decoder = msgspec.json.Decoder(Job)
