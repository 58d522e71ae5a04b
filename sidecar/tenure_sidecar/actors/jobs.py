"""Bulk jobs: one worker per process that takes the running jobs it owns forward, page by page.

A job belongs to the owner of the partition that its id hashes to, as an instance does.  Two owners at
once (one of them does not know yet that it is none) do no harm: progress is saved by compare and
swap, the loser reads the record again, and the verbs may be repeated.

Jobs give way: one page at a time, a few instances at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import (
    InstanceExistsError,
    NoSuchJobError,
    OutcomeUnknownError,
    RequestKeyReusedError,
    StateError,
    StoreError,
    TenureError,
    TooManyInFlightError,
    TransportError,
)
from tenure_sidecar.actors.job import (
    PREFIX,
    RUNNING,
    Fault,
    Job,
    Page,
    advanced,
    canceled,
    child_id,
    decode,
    encode,
)
from tenure_sidecar.engine.events import NANOS
from tenure_sidecar.store.calm import Calm

if TYPE_CHECKING:
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.store.port import Store

PAGE = 100  # instances between two saves of the progress
AT_ONCE = 8  # instances at a time
KEPT_NS = 7 * 86_400 * NANOS  # a finished job is removed this long after its end
MAX_KEPT = 500  # finished jobs; the oldest go earlier when there are more
MAX_RUNNING = 100
_SWEEP = 30.0  # seconds between looks for jobs that another process made
_SKIPS = 120  # looks left out in a row while nothing changes: old jobs go an hour late at most
_RETRY = 1.0  # seconds after the store failed
_ACT = 60.0  # seconds for one instance

_log = structlog.get_logger(__name__)


class Jobs:
    """See the module docstring.

    Args:
        owned: whether this process owns the partition of a job's id.
    """

    def __init__(
        self,
        store: Store,
        *,
        operations: Operations,
        clock: Clock,
        owned: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._owned = owned
        self._news = asyncio.Event()

    # --- for callers ----------------------------------------------------------------------------

    async def submit(self, job: Job) -> tuple[Job, bool]:
        """Store a job, which begins then; and whether it is new (False: a repeat).

        Raises: RequestKeyReusedError when another request made a job with that id,
            TooManyInFlightError.
        """
        if sum(one.state == RUNNING for one in await self.all()) >= MAX_RUNNING:
            message = f"{MAX_RUNNING} bulk jobs are running already; try again later"
            raise TooManyInFlightError(message)
        if await self._store.put(PREFIX + job.id, encode(job), version=0) is not None:
            self._news.set()
            return job, True
        found, _ = await self._read(job.id)
        if found.digest != job.digest:
            message = f"the request key made job '{job.id}' with another request; use a new key"
            raise RequestKeyReusedError(message, {"job": job.id})
        return found, False

    async def get(self, job_id: str) -> Job:
        """The job as it is.  Raises: NoSuchJobError."""
        job, _ = await self._read(job_id)
        return job

    async def all(self) -> list[Job]:
        """All jobs, newest first."""
        found = [decode(d.key, d.body) for d in await self._store.documents(PREFIX)]
        return sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)

    async def cancel(self, job_id: str) -> Job:
        """Ask for the end of a job; the page under way is finished.  Raises: NoSuchJobError."""
        while True:
            job, version = await self._read(job_id)
            asked = canceled(job, now=self._clock())
            if asked is job or await self._put(asked, version) is not None:
                self._news.set()
                return asked

    async def _read(self, job_id: str) -> tuple[Job, int]:
        key = PREFIX + job_id
        for document in await self._store.documents(key):
            if document.key == key:
                return decode(key, document.body), document.version
        message = f"there is no job '{job_id[:100]}'"
        raise NoSuchJobError(message, {"job": job_id[:100]})

    async def _put(self, job: Job, version: int) -> int | None:
        return await self._store.put(PREFIX + job.id, encode(job), version=version)

    # --- the worker -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        calm = Calm(self._store, skips=_SKIPS)
        while True:
            told = self._news.is_set()
            self._news.clear()
            try:
                working = (not calm.lasts() or told) and await self.sweep()
            except (StoreError, TransportError) as error:
                calm.end()
                _log.warning("bulk jobs wait for the store", error=str(error))
                await asyncio.sleep(_RETRY)
                continue
            if working:
                calm.end()
                continue
            try:
                async with asyncio.timeout(_SWEEP):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def sweep(self) -> bool:
        """One page of each running job of this process; remove what is old.

        Returns whether any job is still running.  Raises: StoreError, TransportError.
        """
        documents = await self._store.documents(PREFIX)
        found = [(decode(d.key, d.body), d.version) for d in documents]
        mine = [(job, version) for job, version in found if self._owned(job.id)]
        working = False
        for job, version in mine:
            if job.state == RUNNING:
                working = await self._step(job, version) or working
        old = sorted(
            ((job, version) for job, version in mine if job.state != RUNNING),
            key=lambda one: -one[0].finished_at,
        )
        for place, (job, version) in enumerate(old):
            if place >= MAX_KEPT or job.finished_at + KEPT_NS <= self._clock():
                await self._store.put(PREFIX + job.id, None, version=version)
        return working

    async def _step(self, job: Job, version: int) -> bool:
        """One page; whether there is more to do."""
        if job.cancel:
            page = Page(done=0, skipped=0, faults=(), cursor=job.cursor or "")
        else:
            page = await self._page(job)
        new = advanced(job, page, now=self._clock())
        while await self._put(new, version) is None:
            # Somebody asked for the end, or took the job over.
            try:
                there, version = await self._read(job.id)
            except NoSuchJobError:
                return False
            if there.state != RUNNING or there.cursor != job.cursor:
                return there.state == RUNNING
            new = advanced(there, page, now=self._clock())
        if new.state != RUNNING:
            _log.info("bulk job ended", job=job.id, verb=job.action.verb, state=new.state)
        return new.state == RUNNING

    async def _page(self, job: Job) -> Page:
        """Raises: StoreError, TransportError: the page must be done again."""
        found = await self._store.heads(job.query, limit=PAGE, cursor=job.cursor)
        slots = asyncio.Semaphore(AT_ONCE)

        async def act(head: Head) -> Fault | bool:
            async with slots:
                return await self._try(job, head)

        results = await asyncio.gather(*map(act, found.heads), return_exceptions=True)
        faults: list[Fault] = []
        done = 0
        for result in results:
            if isinstance(result, BaseException):
                raise result
            if isinstance(result, Fault):
                faults.append(result)
            else:
                done += result
        skipped = len(results) - done - len(faults)
        return Page(done=done, skipped=skipped, faults=tuple(faults), cursor=found.cursor)

    async def _try(self, job: Job, head: Head) -> Fault | bool:
        """True when it was done, False when there was nothing to do."""
        try:
            async with asyncio.timeout(_ACT):
                return await self._act(job, head)
        except TimeoutError:
            text = f"no answer within {_ACT:.0f} s; the action may yet be carried out"
            return Fault(head.instance_id, OutcomeUnknownError.code, text)
        except StateError:
            return False  # deleted, or in another state by now
        except (StoreError, TransportError):
            raise
        except TenureError as error:
            return Fault(head.instance_id, error.code, error.message)

    async def _act(self, job: Job, head: Head) -> bool:
        action, verbs, instance_id = job.action, self._operations, head.instance_id
        match action.verb:
            case "suspend":
                await verbs.suspend(instance_id, action.reason)
            case "resume":
                if not head.suspended:
                    return False
                await verbs.resume(instance_id, action.reason)
            case "terminate":
                await verbs.terminate(instance_id, action.payload, recurse=action.recursive)
            case "raise":
                await verbs.raise_event(
                    instance_id, action.event, action.payload, key=f"event-{job.id}"
                )
            case "purge":
                return bool(
                    await verbs.purge(instance_id, recursive=action.recursive, force=action.force)
                )
            case "rewind":
                await verbs.rewind(instance_id, action.reason)
            case "restart":
                return await self._restart(job, instance_id)
            case _:
                message = f"this version knows no bulk action '{action.verb}'"
                raise TenureError(message)
        return True

    async def _restart(self, job: Job, instance_id: str) -> bool:
        new_id = child_id(job, instance_id) if job.action.new_id else None
        try:
            await self._operations.restart(instance_id, new_id=job.action.new_id, as_id=new_id)
        except InstanceExistsError:
            return new_id is not None  # an earlier try of this page started it
        return True
