"""One round of a WorkflowApp: bring the app's settings and the resource together."""

from __future__ import annotations

import contextlib

import msgspec

from tenure_common.errors import BadResourceError
from tenure_operator.gateway import App, RefusedError
from tenure_operator.reconcile.app import Seen, next_step
from tenure_operator.reconcile.steps import Configure, Confirm, Look, Rest, SetFinalizers, Step
from tenure_operator.resources import Key, Listed, WorkflowApp, decode
from tenure_operator.rounds.desk import MAX_STEPS, Desk


async def app_round(desk: Desk, key: Key) -> None:
    """See the module docstring.

    Raises: ConflictError, GoneError, and the errors of ``Cluster``.
    """
    app = desk.cache.get(key, WorkflowApp)
    if app is None:
        return
    seen = Seen(rivals=desk.cache.rivals(app))
    refused = False
    for _ in range(MAX_STEPS):
        step = next_step(
            app, seen, now=desk.clock(), attempts=desk.tries(key), patience=desk.patience
        )
        match step:
            case Rest():
                settled = await desk.settle(app, step, WorkflowApp)
                if settled is app:
                    break
                app = settled
            case SetFinalizers():
                kept = await desk.set_finalizers(app, step, WorkflowApp)
                if kept is None:
                    desk.forget(key)
                    return
                app = kept
            case Confirm():
                await _confirm(desk, key.namespace)
                app = desk.cache.get(key, WorkflowApp)
                if app is None:
                    return
                seen = seen._replace(rivals=desk.cache.rivals(app), confirmed=True)
            case _:
                seen = await _call(desk, app, step, seen)
                refused = refused or seen.refusal is not None
    else:
        desk.queue.add_after(key, 1.0)
    desk.tried(key, refused=refused)


async def _call(desk: Desk, app: WorkflowApp, step: Step, seen: Seen) -> Seen:
    """Do a step at the gateway; what is known then."""
    where = App(app.metadata.namespace, app.app_id)
    try:
        match step:
            case Look():
                return seen._replace(app=await desk.gateway.app(where), refusal=None)
            case Configure() if seen.app is not None:
                settings = await desk.gateway.configure(where, step)
                view = msgspec.structs.replace(seen.app, settings=settings)
                return seen._replace(app=view, configured=True)
            case _:
                message = f"no such step for a WorkflowApp: {step}"
                raise AssertionError(message)
    except RefusedError as error:
        desk.note(app.key, error.refusal)
        return seen._replace(refusal=error.refusal)


async def _confirm(desk: Desk, namespace: str) -> None:
    """Learn which WorkflowApps there are, from the API server itself."""
    listed = msgspec.json.decode(await desk.cluster.list("WorkflowApp", namespace), type=Listed)
    there: set[Key] = set()
    for item in listed.items:
        with contextlib.suppress(BadResourceError):  # the watch tells of it, too, and it is logged
            one = decode(bytes(item), WorkflowApp)
            there.add(one.key)
            if desk.cache.put(one):
                desk.changed(one)
    if len(there) < len(listed.items):
        return
    for known in desk.cache.those(WorkflowApp, namespace):
        if known.key not in there and not desk.cache.later(known, listed.version):
            desk.forget(known.key)
