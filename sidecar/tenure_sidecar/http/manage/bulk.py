"""Acting on many instances: jobs that are made from a filter, stored, and worked on in the background.

A job acts on the instances that there are when it is made; what is started later is not touched, not
even by a filter that it fits.  A dry run says what a job would act on and makes none.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import BadRequestError
from tenure_common.times import format_time
from tenure_sidecar.actors import job as records
from tenure_sidecar.http.manage import job_types as types
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.filters import query
from tenure_sidecar.http.manage.queries import Filter
from tenure_sidecar.http.manage.reading import count_by_status
from tenure_sidecar.http.manage.starting import derived, request_key, text
from tenure_sidecar.store.port import Query

if TYPE_CHECKING:
    from tenure_sidecar.http.manage.api import Api, Call
    from tenure_sidecar.http.manage.job_types import JobBody
    from tenure_sidecar.http.manage.queries import JobsQuery, NoQuery

_SAMPLE = 20  # ids shown by a dry run


async def dry_run(call: Call[JobBody, NoQuery]) -> Answer:
    """What a job would act on; nothing is changed.  Raises: BadRequestError."""
    _, wanted, by_status = await _plan(call.api, call.body, now=call.api.clock())
    sample: list[str] = []
    if wanted is not None:
        page = await call.api.store.heads(wanted, limit=_SAMPLE)
        sample = [head.instance_id for head in page.heads]
    return Answer(types.Plan(sum(by_status.values()), by_status, sample))


async def submit(call: Call[JobBody, NoQuery]) -> Answer:
    """Act on every instance that matches a filter, in the background.

    The answer is the job; ask for it again to see how far it has come.  With an Idempotency-Key, a
    repeat is answered with the job that the first request made.

    Raises: BadRequestError, RequestKeyReusedError, TooManyInFlightError.
    """
    api, body, now = call.api, call.body, call.api.clock()
    action, wanted, by_status = await _plan(api, body, now=now)
    matched = sum(by_status.values())
    key = request_key(None, call.key)
    record = records.Job(
        id=derived(api.app_id, f"job\0{key}") if key else api.ids.instance_id(),
        action=action,
        query=wanted or Query(),
        created_at=now,
        updated_at=now,
        matched=matched,
        digest=_digest(body, action),
        state=records.RUNNING if matched else records.COMPLETED,
        finished_at=0 if matched else now,
    )
    found, new = await api.jobs.submit(record)
    return Answer(_view(api, found), 202 if new else 200, location=("jobs", found.id))


async def _plan(
    api: Api, body: JobBody, *, now: int
) -> tuple[records.Action, Query | None, dict[str, int]]:
    """The action, the instances that it is for (None: there cannot be any), their counts."""
    if body.filter == Filter() and not body.all:
        message = "the filter is empty: give a condition, or 'all': true if every instance is meant"
        raise BadRequestError(message, {"field": "filter"})
    asked = query(body.filter, now=now)
    if asked.created_to is None or asked.created_to > now:
        asked = msgspec.structs.replace(asked, created_to=now + 1)
    action = _action(body)
    wanted = records.narrowed(asked, action)
    return action, wanted, {} if wanted is None else await count_by_status(api, wanted)


async def jobs(call: Call[None, JobsQuery]) -> Answer:
    """The newest jobs.  Finished ones are kept for seven days."""
    found = await call.api.jobs.all()
    return Answer(types.JobPage([_view(call.api, one) for one in found[: call.query.limit]]))


async def job(call: Call[None, NoQuery]) -> Answer:
    """One job and how far it has come.  Raises: NoSuchJobError."""
    return Answer(_view(call.api, await call.api.jobs.get(call.job)))


async def cancel(call: Call[None, NoQuery]) -> Answer:
    """Ask a job to end; what it has done stays done.  Raises: NoSuchJobError."""
    return Answer(_view(call.api, await call.api.jobs.cancel(call.job)))


def _action(body: JobBody) -> records.Action:  # noqa: PLR0911 - one return for each kind
    match body:
        case types.SuspendJob():
            return records.Action("suspend", reason=body.reason)
        case types.ResumeJob():
            return records.Action("resume", reason=body.reason)
        case types.TerminateJob():
            return records.Action("terminate", payload=text(body.output), recursive=body.recursive)
        case types.PurgeJob():
            return records.Action("purge", recursive=body.recursive, force=body.force)
        case types.RestartJob():
            return records.Action("restart", new_id=body.new_id)
        case types.RewindJob():
            return records.Action("rewind", reason=body.reason)
        case types.RaiseJob():
            return records.Action("raise", event=body.event, payload=text(body.data))


def _digest(body: JobBody, action: records.Action) -> str:
    # Durations in the filter count as they are written: a repeat comes later.
    return hashlib.sha256(msgspec.json.encode((action, body.filter, body.all))).hexdigest()[:32]


def _view(api: Api, record: records.Job) -> types.Job:
    return types.Job(
        id=record.id,
        app=api.app_id,
        action=record.action.verb,
        state=record.state,
        created_at=format_time(record.created_at),
        updated_at=format_time(record.updated_at),
        finished_at=format_time(record.finished_at) if record.finished_at else None,
        progress=types.Progress(
            matched=record.matched,
            done=record.done,
            skipped=record.skipped,
            failed=record.failed,
        ),
        errors=tuple(types.JobError(f.instance_id, f.code, f.message) for f in record.errors),
    )
