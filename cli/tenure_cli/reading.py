"""Verbs that look: list, get, history, wait, watch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from tenure_cli import shown, story
from tenure_cli.options import STATUSES, chosen, filtered, formed, kept, limited
from tenure_cli.patience import AGAIN, Patience
from tenure_cli.ways import connected
from tenure_common.clock import pause, wall_ns
from tenure_common.errors import TransportError, UsageError
from tenure_common.times import NANOS, format_duration

if TYPE_CHECKING:
    from tenure_cli.api import Api, Json

ENDED_BADLY: Final = 7  # exit code: the workflow ended, and not as COMPLETED
NOT_YET: Final = 8  # exit code: it has not ended in time
_PAGE: Final = 500
_WAIT: Final = 60.0  # seconds of one request


@click.command("list", epilog="Example: tenure list --status FAILED --created-from 1d")
@filtered
@click.option(
    "--limit", type=click.IntRange(1), default=50, help="Most of them.", show_default=True
)
@click.option("--all", "everything", is_flag=True, help="All of them, however many.")
@click.option(
    "--order",
    type=click.Choice(["newest", "created", "completed", "id"]),
    default="newest",
    help="Which first.",
    show_default=True,
)
@click.option("--count", is_flag=True, help="Only how many, by status.")
@formed
@connected
def listing(
    api: Api, *, limit: int, everything: bool, order: str, count: bool, form: str, **given: Any
) -> None:
    """List instances, the newest first."""
    filters = chosen(given)
    if count:
        counts = api.get("counts", **filters)
        found = sorted(counts["byStatus"].items(), key=lambda one: _place(one[0]))
        rows = [(name, str(number)) for name, number in found]
        shown.show(
            counts,
            form,
            people=lambda: shown.table(("STATUS", "COUNT"), [*rows, ("", str(counts["total"]))]),
            names=[str(counts["total"])],
        )
        return
    listed: list[Json] = []
    more: str | None = None
    while everything or len(listed) < limit:
        size = _PAGE if everything else min(_PAGE, limit - len(listed))
        page = api.get("instances", limit=size, order=order, cursor=more, **filters)
        listed += page["instances"]
        more = page.get("cursor")
        if more is None:
            break
    shown.show(
        {"instances": listed},
        form,
        people=lambda: shown.instances(listed, now=wall_ns()) if listed else "no instances",
        names=[one["instanceId"] for one in listed],
    )
    if more is not None:
        click.echo(f"the first {len(listed)}; --limit or --all shows more", err=True)


def _place(status: str) -> int:
    """Where a status stands in the life of an instance."""
    return STATUSES.index(status) if status in STATUSES else len(STATUSES)


@click.command(epilog="Example: tenure get order-42 -o json")
@click.argument("instance_id", metavar="ID")
@formed
@connected
def get(api: Api, *, instance_id: str, form: str) -> None:
    """Show one instance."""
    one = api.get("instances", instance_id)
    shown.show(
        one, form, people=lambda: shown.details(one, now=wall_ns()), names=[one["instanceId"]]
    )


@click.command(epilog="Example: tenure history order-42")
@click.argument("instance_id", metavar="ID")
@formed
@connected
def history(api: Api, *, instance_id: str, form: str) -> None:
    """Tell what happened in an instance, and what it waits for."""
    events: list[Json] = []
    more: str | None = None
    while True:
        page = api.get("instances", instance_id, "history", limit=1000, cursor=more)
        events += page["events"]
        more = page.get("cursor")
        if more is None:
            break
    shown.show(
        {"events": events},
        form,
        people=lambda: _story(events),
        names=[event["type"] for event in events],
    )


def _story(events: list[Json]) -> str:
    colours = {True: "green", False: "red", None: None}
    rows = [
        (
            format_duration(line.at),
            "" if line.event_id is None else str(line.event_id),
            shown.told(line.what),
            click.style(shown.told(line.outcome), fg=colours[line.good]),
            "" if line.took is None else f"after {format_duration(line.took)}",
        )
        for line in story.tell(events, now=wall_ns())
    ]
    if not rows:
        return "nothing has happened yet"
    heads = ("AT", "EVENT", "WHAT", "OUTCOME", "")
    return shown.table(heads, rows, give=(2, 3), room=shown.room())


@click.command(epilog="Example: tenure wait order-42 --timeout 5m")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--for",
    "until",
    type=click.Choice(["completed", "started"]),
    default="completed",
    help="What to wait for.",
    show_default=True,
)
@click.option("--timeout", metavar="DURATION", help="Give up then; without it, never.")
@formed
@connected
def wait(api: Api, *, instance_id: str, until: str, timeout: str | None, form: str) -> int:
    """Wait until an instance has ended (or started).

    A server that goes away meanwhile is waited for, a minute at most.

    Exit codes: 0 COMPLETED (or started), 7 ended otherwise, 8 not in time.
    """
    return waited(api, instance_id, until=until, timeout=timeout, form=form)


def waited(api: Api, instance_id: str, *, until: str, timeout: str | None, form: str) -> int:
    """Wait, with a line that shows it; the exit code."""
    begun = wall_ns()
    limit = limited(timeout, flag="--timeout")
    patience = Patience()
    while True:
        past = (wall_ns() - begun) / NANOS
        left = _WAIT if limit is None else max(0.0, min(_WAIT, limit - past))
        step = min(left, 2.0) if sys.stderr.isatty() else left
        ask = partial(api.get, "instances", instance_id, "wait", until=until)
        answer = patience.ask(partial(ask, timeout=step, _lasting=step + 30))
        one = answer["instance"]
        if answer["reached"]:
            break
        if limit is not None and (wall_ns() - begun) / NANOS >= limit:
            shown.passing("")
            click.echo(f"'{instance_id}' is {one['status']} after {timeout}", err=True)
            return NOT_YET
        shown.passing(f"{instance_id} is {one['status']}, {format_duration(wall_ns() - begun)}")
    shown.passing("")
    shown.show(
        one, form, people=lambda: shown.details(one, now=wall_ns()), names=[one["instanceId"]]
    )
    well = until == "started" or one["status"] == "COMPLETED"
    return 0 if well else ENDED_BADLY


@click.command(epilog="Example: tenure watch --status FAILED -o json")
@click.argument("instance_id", metavar="[ID]", required=False)
@kept
@click.option("--new", is_flag=True, help="Only what happens from now on.")
@formed
@connected
def watch(api: Api, *, instance_id: str | None, new: bool, form: str, **given: Any) -> None:
    """Follow all instances until interrupted, or one until it has ended; JSON is one object a line.

    A connection that breaks is taken up again where it was.
    """
    filters = chosen(given)
    if instance_id is not None and (filters or new):
        message = "give an id, or filters and --new for many: not both"
        raise UsageError(message)
    lines = _followed(api, instance_id, filters, snapshot=not new)
    for line in lines if instance_id is None else _missed(instance_id, lines):
        if form in {"json", "yaml"}:
            compact = json.dumps(line, ensure_ascii=False)
            click.echo(compact if form == "json" else f"{shown.document(line, form)}\n---")
        elif line["type"] == "CHANGED":
            one = line["instance"]
            if form == "name":
                click.echo(one["instanceId"])
            else:
                state = shown.status(one["status"])
                name = shown.told(one["instanceId"])
                click.echo(f"{one['updatedAt']}  {name}  {state}  {shown.problem(one)}".rstrip())
        elif line["type"] == "DELETED" and form == "table":
            click.echo(f"{'':30}  {shown.told(line['instanceId'])}  deleted")


def _missed(instance_id: str, lines: Iterator[Json]) -> Iterator[Json]:
    """The lines; says when there is no such instance: the id may be mistyped."""
    seen = False
    for line in lines:
        seen = seen or line["type"] == "CHANGED"
        if line["type"] == "SYNCED" and not seen:
            click.echo(f"there is no '{instance_id}' yet: waiting for it", err=True)
        yield line


def _followed(
    api: Api, instance_id: str | None, filters: dict[str, Any], *, snapshot: bool
) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        try:
            if instance_id is not None:
                lines = api.lines("instances", instance_id, "watch", cursor=cursor)
            else:
                lines = api.lines("watch", cursor=cursor, snapshot=snapshot, **filters)
            for line in lines:
                cursor = line.get("cursor") or cursor
                if line["type"] == "ERROR":
                    break
                if line["type"] != "ALIVE":
                    yield line
                gone = line["type"] == "DELETED"
                if instance_id is not None and (gone or _ended(line)):
                    return
        except (TransportError, OSError):
            if cursor is None:
                raise
        pause(AGAIN)


def _ended(line: Json) -> bool:
    return line["type"] == "CHANGED" and bool(line["instance"].get("completedAt"))
