"""Bulk jobs of the server: made by verbs that act on many (``control``), looked at here.

A job goes on whatever becomes of the command that made it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import click

from tenure_cli import shown
from tenure_cli.options import formed
from tenure_cli.patience import Patience
from tenure_cli.ways import connected
from tenure_common.clock import pause, wall_ns
from tenure_common.errors import UsageError
from tenure_common.times import format_duration, parse_time

if TYPE_CHECKING:
    from tenure_cli.api import Api, Json

JOB_FAILED: Final = 9  # exit code: the action failed on some of the instances
_LOOK: Final = 0.2  # seconds between looks at a job


@click.command("jobs", epilog="Example: tenure jobs")
@click.argument("job_id", metavar="[JOB]", required=False)
@click.option("--cancel", is_flag=True, help="Ask the job to end; what it has done stays done.")
@click.option("--wait", "waits", is_flag=True, help="Wait for the job's end.")
@formed
@connected
def jobs(api: Api, *, job_id: str | None, cancel: bool, waits: bool, form: str) -> int:
    """List the bulk jobs of the last days, the newest first; or show one.

    Exit codes for one: 9 when it failed on some of the instances.
    """
    if job_id is None:
        if cancel or waits:
            message = "which job? `tenure jobs` lists them"
            raise UsageError(message)
        found = api.get("jobs")
        now = wall_ns()
        shown.show(
            found,
            form,
            people=lambda: _table(found["jobs"], now=now) if found["jobs"] else "no jobs",
            names=[one["id"] for one in found["jobs"]],
        )
        return 0
    job = api.post("jobs", job_id, "cancel", body=None) if cancel else api.get("jobs", job_id)
    if waits:
        return followed(api, job, form=form)
    shown.show(job, form, people=lambda: _details(job), names=[job["id"]])
    return _verdict(job)


def _table(found: list[Json], *, now: int) -> str:
    rows = [
        (
            one["id"],
            one["action"],
            one["state"],
            f"{one['progress']['done']} of {one['progress']['matched']}",
            str(one["progress"]["failed"]),
            f"{format_duration(now - parse_time(one['createdAt']))} ago",
        )
        for one in found
    ]
    return shown.table(("JOB", "ACTION", "STATE", "DONE", "FAILED", "CREATED"), rows)


def _details(job: Json) -> str:
    pairs = (
        ("job", job["id"]),
        ("app", job["app"]),
        ("state", job["state"]),
        ("created", job["createdAt"]),
        ("finished", job.get("finishedAt")),
        ("progress", _progress(job)),
    )
    return "\n".join(f"{name:<10} {text}" for name, text in pairs if text)


def followed(api: Api, job: Json, *, form: str) -> int:
    """Show the job's progress until it is over; the exit code."""
    begun = wall_ns()
    patience = Patience(answered=True)
    try:
        while job["state"] == "RUNNING":
            shown.passing(_progress(job))
            pause(_LOOK)
            job = patience.ask(partial(api.get, "jobs", job["id"]))
    except KeyboardInterrupt:
        shown.passing("")
        click.echo(f"the server goes on with it: tenure jobs {job['id']}", err=True)
        raise
    shown.passing("")
    took = (wall_ns() - begun) / 1e9
    shown.show(job, form, people=lambda: f"{_progress(job)} in {took:.1f} s", names=[job["id"]])
    return _verdict(job)


def _verdict(job: Json) -> int:
    """Say on standard error on which instances the job failed; the exit code."""
    for error in job.get("errors", ()):
        text = f"{error['instanceId']}: {error['code']}: {error['message']}"
        click.echo(shown.visible(text), err=True)
    return JOB_FAILED if job["progress"]["failed"] else 0


def _progress(job: Json) -> str:
    progress = job["progress"]
    parts = [f"{job['action']}: {progress['done']} of {progress['matched']} done"]
    if job["state"] == "CANCELED":
        parts.append("canceled")
    parts += [f"{progress[what]} {what}" for what in ("skipped", "failed") if progress[what]]
    return ", ".join(parts)
