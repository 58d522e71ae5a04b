"""Verbs that act on instances: run, raise, suspend, resume, terminate, purge, rerun and the like.

Those that can act on many take the filters of ``list`` in place of an id: the server makes a job of
it, which goes on without us, and here its progress is shown.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tenure_cli import shown
from tenure_cli.jobs import followed
from tenure_cli.options import chosen, filtered, formed, limited, tags, value
from tenure_cli.reading import waited
from tenure_cli.ways import connected
from tenure_common.errors import UsageError

if TYPE_CHECKING:
    from tenure_cli.api import Api, Json


def _show(one: Json, form: str) -> None:
    shown.show(
        one,
        form,
        people=lambda: f"{one['instanceId']}  {shown.status(one['status'])}",
        names=[one["instanceId"]],
    )


@click.command(
    epilog="""Example: tenure run Order --id order-42 --input '{"item": "book"}' --wait"""
)
@click.argument("workflow")
@click.option("--id", "instance_id", metavar="ID", help="Its id; else a new one.")
@click.option("--input", "given", metavar="JSON", help="Its input; @FILE, or - for standard input.")
@click.option("--version", metavar="TEXT", help="Version of the code to run.")
@click.option("--start-at", metavar="TIME", help="Not before (RFC 3339).")
@click.option("--tag", multiple=True, metavar="KEY=VALUE", help="A tag; repeatable.")
@click.option("--retention", metavar="DURATION", help="How long it is kept after its end.")
@click.option("--key", metavar="TEXT", help="A repeat with the same key starts nothing more.")
@click.option("--wait", "waits", is_flag=True, help="Wait for its end, as `tenure wait` does.")
@click.option("--timeout", metavar="DURATION", help="With --wait: give up then.")
@formed
@connected
def run(
    api: Api,
    *,
    workflow: str,
    instance_id: str | None,
    given: str | None,
    version: str | None,
    start_at: str | None,
    tag: tuple[str, ...],
    retention: str | None,
    key: str | None,
    waits: bool,
    timeout: str | None,
    form: str,
) -> int:
    """Start an instance of WORKFLOW.

    Exit codes with --wait: 0 COMPLETED, 7 ended otherwise, 8 not in time.
    """
    if timeout is not None and not waits:
        message = "--timeout belongs to --wait"
        raise UsageError(message)
    limited(timeout, flag="--timeout")  # before anything is started
    body: Json = {"workflow": workflow, "tags": tags(tag)}
    optional = {
        "instanceId": instance_id,
        "version": version,
        "startAt": start_at,
        "retention": retention,
        "requestKey": key,
    }
    body |= {name: text for name, text in optional.items() if text is not None}
    body |= value(given, flag="--input", field="input")
    started = api.post("instances", body=body)["instance"]
    if waits:
        return waited(api, started["instanceId"], until="completed", timeout=timeout, form=form)
    _show(started, form)
    return 0


@click.command("raise", epilog="Example: tenure raise order-42 Approve --data true")
@click.argument("instance_id", metavar="ID")
@click.argument("event")
@click.option("--data", metavar="JSON", help="What comes with it; @FILE, or - for standard input.")
@click.option("--key", metavar="TEXT", help="A repeat with the same key raises nothing more.")
@click.option("--start", metavar="WORKFLOW", help="Start it first when there is none of that id.")
@click.option("--input", "given", metavar="JSON", help="With --start: its input.")
@formed
@connected
def raise_(
    api: Api,
    *,
    instance_id: str,
    event: str,
    data: str | None,
    key: str | None,
    start: str | None,
    given: str | None,
    form: str,
) -> None:
    """Raise EVENT on an instance."""
    if given is not None and start is None:
        message = "--input belongs to --start"
        raise UsageError(message)
    body = value(data, flag="--data", field="data")
    if start is not None:
        body["start"] = {"workflow": start, **value(given, flag="--input", field="input")}
    answer = api.post("instances", instance_id, "events", event, body=body, _key=key)
    people = f"{event} raised on {instance_id}"
    shown.show(answer, form, people=lambda: people, names=[instance_id])


def _because(reason: str | None) -> Json:
    return {"reason": reason} if reason else {}


def _many(verb: Any) -> Any:
    """The options of a verb that acts on one instance or on all that match."""
    for option in (
        click.option("--dry-run", is_flag=True, help="With filters: only say what it would be."),
        click.option("--all", "everything", is_flag=True, help="All instances of the app."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        filtered,
        click.argument("instance_id", metavar="[ID]", required=False),
    ):
        verb = option(verb)
    return verb


@click.command(epilog="Example: tenure suspend order-42 --reason 'stock is counted'")
@_many
@click.option("--reason", metavar="TEXT", help="Kept in the history.")
@formed
@connected
def suspend(api: Api, *, reason: str | None, form: str, **given: Any) -> int:
    """Suspend an instance, or all that match: it waits where it is."""
    return _act(api, "suspend", _because(reason), form=form, **given)


@click.command(epilog="Example: tenure resume --status SUSPENDED --workflow Order")
@_many
@click.option("--reason", metavar="TEXT", help="Kept in the history.")
@formed
@connected
def resume(api: Api, *, reason: str | None, form: str, **given: Any) -> int:
    """Resume an instance, or all that match."""
    return _act(api, "resume", _because(reason), form=form, **given)


@click.command(epilog="""Example: tenure terminate order-42 --output '"cancelled"'""")
@_many
@click.option("--output", metavar="JSON", help="What it ends with.")
@click.option("--no-children", is_flag=True, help="Let its children run on.")
@formed
@connected
def terminate(api: Api, *, output: str | None, no_children: bool, form: str, **given: Any) -> int:
    """End an instance, or all that match, as TERMINATED; children too."""
    body = {"recursive": not no_children, **value(output, flag="--output", field="output")}
    return _act(api, "terminate", body, form=form, **given)


@click.command(epilog="Example: tenure purge --status COMPLETED --older-than 30d")
@_many
@click.option("--older-than", metavar="DURATION", help="Ended at least so long ago.")
@click.option("--force", is_flag=True, help="Whether it has ended or not.")
@click.option("--no-children", is_flag=True, help="Leave its children.")
@formed
@connected
def purge(
    api: Api,
    *,
    older_than: str | None,
    force: bool,
    no_children: bool,
    form: str,
    **given: Any,
) -> int:
    """Delete a finished instance, or all that match, with everything that is kept of it."""
    if older_than is not None:
        if given["completed_to"] is not None:
            message = "--older-than is a short form of --completed-to: not both"
            raise UsageError(message)
        limited(older_than, flag="--older-than")
        given["completed_to"] = older_than
    body = {"recursive": not no_children, "force": force}
    return _act(api, "purge", body, form=form, **given)


@click.command(epilog="Example: tenure rerun order-42 --from-event 7")
@click.argument("instance_id", metavar="ID")
@click.option("--from-event", type=click.IntRange(0), required=True, help="Event id to begin at.")
@click.option("--id", "new_id", metavar="ID", help="Id of the new instance.")
@click.option("--input", "given", metavar="JSON", help="Another input of that event.")
@formed
@connected
def rerun(
    api: Api, *, instance_id: str, from_event: int, new_id: str | None, given: str | None, form: str
) -> None:
    """Run a finished instance again from an event of its history on, as a new instance."""
    body: Json = {"eventId": from_event} | ({"instanceId": new_id} if new_id else {})
    body |= value(given, flag="--input", field="input")
    _show(api.post("instances", instance_id, "rerun", body=body)["instance"], form)


@click.command(epilog="Example: tenure restart order-42")
@click.argument("instance_id", metavar="ID")
@click.option("--new-id", is_flag=True, help="Under a new id.")
@formed
@connected
def restart(api: Api, *, instance_id: str, new_id: bool, form: str) -> None:
    """Run a finished instance again with the same input."""
    _show(api.post("instances", instance_id, "restart", body={"newId": new_id})["instance"], form)


@click.command(epilog="Example: tenure rewind order-42 --reason 'the bank is back'")
@click.argument("instance_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Kept in the history.")
@formed
@connected
def rewind(api: Api, *, instance_id: str, reason: str | None, form: str) -> None:
    """Put a failed instance back before its failures and go on."""
    body = _because(reason)
    _show(api.post("instances", instance_id, "rewind", body=body), form)


# --- one or many ----------------------------------------------------------------------------------


def _act(
    api: Api,
    action: str,
    body: Json,
    *,
    instance_id: str | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    form: str,
    **given: Any,
) -> int:
    filters = chosen(given)
    if instance_id is not None:
        if filters or everything or dry_run:
            message = "give an id, or filters for many: not both"
            raise UsageError(message)
        answer = api.post("instances", instance_id, action, body=body)
        if "deleted" in answer:
            shown.show(
                answer,
                form,
                people=lambda: f"{instance_id} deleted ({answer['deleted']} with its children)",
                names=[instance_id],
            )
        else:
            _show(answer, form)
        return 0
    if not filters and not everything:
        message = f"{action} what? Give an id, filters (tenure {action} --help), or --all"
        raise UsageError(message)
    job = {"action": action, "filter": filters, "all": everything, **body}
    plan = api.post("dry-run", body=job)
    if dry_run or not plan["matched"]:
        shown.show(plan, form, people=lambda: _planned(action, plan), names=plan["sample"])
        return 0
    if not yes:
        if not sys.stdin.isatty():
            message = f"{_planned(action, plan)}; say --yes when nobody can be asked"
            raise UsageError(message)
        click.confirm(f"{_planned(action, plan)}. Go on?", abort=True)
    return followed(api, api.post("jobs", body=job), form=form)


def _planned(action: str, plan: Json) -> str:
    statuses = ", ".join(f"{count} {name}" for name, count in plan["byStatus"].items())
    matched = plan["matched"]
    instances = "instance" if matched == 1 else "instances"
    return f"{action} of {matched} {instances}" + (f" ({statuses})" if statuses else "")
