"""Bulk jobs as the management API takes and shows them.

The bodies are told apart by ``action``.
"""

from __future__ import annotations

import msgspec

from tenure_sidecar.http.manage.queries import Filter
from tenure_sidecar.http.manage.requests import Json, Name, Request


class JobBase(Request, frozen=True, kw_only=True, tag_field="action"):
    """Act on every instance that matches ``filter`` when the job is made.

    An empty filter is refused unless ``all`` says that it is meant.
    """

    filter: Filter = Filter()
    all: bool = False


class SuspendJob(JobBase, frozen=True, kw_only=True, tag="suspend"):
    """Suspend every instance that matches and runs."""

    reason: str | None = None


class ResumeJob(JobBase, frozen=True, kw_only=True, tag="resume"):
    """Resume every instance that matches and is suspended."""

    reason: str | None = None


class TerminateJob(JobBase, frozen=True, kw_only=True, tag="terminate"):
    """Terminate every instance that matches and has not ended."""

    output: Json = msgspec.UNSET
    recursive: bool = True


class PurgeJob(JobBase, frozen=True, kw_only=True, tag="purge"):
    """Delete every instance that matches and has ended; ``force``: whether it has ended or not."""

    recursive: bool = True
    force: bool = False


class RestartJob(JobBase, frozen=True, kw_only=True, tag="restart"):
    """Run every instance that matches and has ended once more, under new ids when ``newId``."""

    new_id: bool = False


class RewindJob(JobBase, frozen=True, kw_only=True, tag="rewind"):
    """Put every instance that matches and has failed back before its failures."""

    reason: str | None = None


class RaiseJob(JobBase, frozen=True, kw_only=True, tag="raise"):
    """Raise an event on every instance that matches and has not ended."""

    event: Name
    data: Json = msgspec.UNSET


JobBody = SuspendJob | ResumeJob | TerminateJob | PurgeJob | RestartJob | RewindJob | RaiseJob


class Progress(msgspec.Struct, frozen=True):
    """``matched`` when the job was made; of these ``done``, ``skipped`` (deleted or in another
    state by then, perhaps by a try of the job itself that a crash cut short) and ``failed`` so far."""

    matched: int
    done: int = 0
    skipped: int = 0
    failed: int = 0


class JobError(msgspec.Struct, frozen=True, rename="camel"):
    """Why the action failed on one instance."""

    instance_id: str
    code: str
    message: str


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One bulk job.  ``errors`` are the first few."""

    id: str
    app: str
    action: str
    state: str  # RUNNING, COMPLETED, CANCELED
    created_at: str
    updated_at: str
    progress: Progress
    finished_at: str | None = None
    errors: tuple[JobError, ...] = ()


class JobPage(msgspec.Struct, frozen=True):
    """The jobs of an app, newest first."""

    jobs: list[Job]


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    """What a job would act on: how many, in which statuses, and some of their ids."""

    matched: int
    by_status: dict[str, int]
    sample: list[str]
