"""What to do about a WorkflowApp: the next step.  Pure.

The resource has all settings of its app.  What it leaves out is as the flags of the sidecars say, and
what somebody else sets is set back at the next look: every ``LOOK_EVERY``, because nothing tells of
settings.  Of several resources of one app the oldest has it; the others say so and change nothing.

The order of things: the finalizer, so that a deletion waits for us; the settings; the status.  Before
settings are written the API server is asked which resources of the app there are, since a watch that has
just begun, or was broken, knows too few or too many.

A resource that is deleted takes the settings back, unless another one is there that will do so in its
turn: it has the finalizer, and is not being deleted.  So no settings are left behind, and none are away
for a moment when one resource follows another.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from tenure_common.times import NANOS, parse_time
from tenure_operator.app import AppView, Settings
from tenure_operator.reconcile.backoff import LAST
from tenure_operator.reconcile.conditions import MAX_MESSAGE, Wanted, conditions, stamp
from tenure_operator.reconcile.refusals import Refusal, retry_in
from tenure_operator.reconcile.steps import (
    Announcement,
    Configure,
    Confirm,
    Look,
    Rest,
    SetFinalizers,
    Step,
)
from tenure_operator.reconcile.workflow import GIVE_UP_AFTER
from tenure_operator.resources import (
    FINALIZER_SETTINGS,
    AppStatus,
    Concurrency,
    KeptFor,
    WorkflowApp,
)

LOOK_EVERY: Final = 30 * NANOS
_NO_APP: Final = "TN0109"
_CHANGED: Final = "TN0112"  # somebody else set them since they were read


class Seen(NamedTuple):
    """What is known: the other resources of the app, and whether they are ``confirmed`` to be all; the
    app, whether it was ``configured`` in this round, and why the last call did not work."""

    rivals: tuple[WorkflowApp, ...] = ()
    confirmed: bool = False
    app: AppView | None = None
    configured: bool = False
    refusal: Refusal | None = None


def next_step(  # noqa: PLR0911 - one answer for each state of things
    app: WorkflowApp, seen: Seen, *, now: int, attempts: int = 0, patience: int = GIVE_UP_AFTER
) -> Step:
    """What to do now.

    Args:
        app: the resource as it was last told of.
        seen: what is known beside it.
        now: nanoseconds since the epoch.
        attempts: how many rounds in a row have ended in a refusal.
        patience: nanoseconds that a deletion waits for a gateway that does not do its part.
    """
    if app.metadata.deleted:
        return _leave(app, seen, now=now, attempts=attempts, patience=patience)
    if not _held(app):
        return SetFinalizers((*app.metadata.finalizers, FINALIZER_SETTINGS))
    other = _older(app, seen.rivals)
    if other is not None:
        return _lost(app, other, now=now) if seen.confirmed else Confirm()
    if seen.refusal is not None and seen.refusal.code != _CHANGED:
        return _refused(app, seen.refusal, now=now, attempts=attempts)
    if seen.app is None or seen.refusal is not None:
        return Look()
    if _differs(app, seen.app.settings) and not seen.configured:
        if not seen.confirmed:
            return Confirm()
        version = seen.app.settings.version
        return Configure(version, app.spec.retention, app.spec.concurrency)
    return _rest(app, _status(app, seen.app, now=now), wake_at=now + LOOK_EVERY)


# --- the status -----------------------------------------------------------------------------------


def _status(app: WorkflowApp, view: AppView, *, now: int) -> AppStatus:
    served = Wanted("Served", holds=True, reason="WorkerConnected")
    if not view.workers:
        text = f"no worker of app '{app.app_id}' is connected: what needs its code waits"
        served = Wanted("Served", holds=False, reason="NoWorker", message=text)
    return AppStatus(
        observed_generation=app.metadata.generation,
        app_id=app.app_id,
        store=view.store,
        partitions=view.partitions,
        owned_partitions=view.owned_partitions,
        sidecars=view.sidecars,
        workers=view.workers,
        settings_version=view.settings.version,
        conditions=conditions(
            app.status.conditions,
            (_ready(app, view), served),
            generation=app.metadata.generation,
            now=now,
        ),
    )


def _ready(app: WorkflowApp, view: AppView) -> Wanted:
    wanted = app.spec.partitions
    if _differs(app, view.settings):
        return _not("Refused", "the gateway did not take the settings as they were sent")
    if wanted is not None and wanted != view.partitions:
        text = (
            f"app '{app.app_id}' has {view.partitions} partitions since its first start, and that "
            f"cannot change: set spec.partitions to {view.partitions}, or leave it out"
        )
        return _not("PartitionsDiffer", text)
    return Wanted("Ready", holds=True, reason="Applied", message=_words(app))


def _not(reason: str, message: str) -> Wanted:
    return Wanted("Ready", holds=False, reason=reason, message=message)


def _words(app: WorkflowApp) -> str:
    """The settings, for people."""
    kept = msgspec.to_builtins(app.spec.retention)
    most = msgspec.to_builtins(app.spec.concurrency)
    said = [f"{name} runs are kept {_time(time)}" for name, time in kept.items()]
    said += [f"a sidecar works on {count} {name} at a time" for name, count in most.items()]
    return "; ".join(said) or "nothing is set: all is as the flags of the sidecars say"


def _time(text: str) -> str:
    return text if text == "forever" else f"for {text}"


def _refused(app: WorkflowApp, refusal: Refusal, *, now: int, attempts: int) -> Rest:
    """Why the app is not known, or not set; what was known of it stands, unless there is none."""
    holds = None if refusal.transient else False
    wanted = [Wanted("Ready", holds=holds, reason=refusal.reason, message=refusal.message)]
    if refusal.code == _NO_APP:
        wanted.append(wanted[0]._replace(type="Served"))
        pause, old = LOOK_EVERY, AppStatus(conditions=app.status.conditions)
    else:
        old = app.status
        pause = LAST
        if refusal.transient:
            pause = retry_in(refusal, attempts, seed=app.metadata.uid)
    return _rest(app, _beside(app, old, *wanted, now=now), wake_at=now + pause)


def _lost(app: WorkflowApp, other: WorkflowApp, *, now: int) -> Rest:
    text = (
        f"WorkflowApp '{other.metadata.name}' is older and has app '{app.app_id}': an app has one; "
        "delete one of the two"
    )
    old = AppStatus(conditions=tuple(one for one in app.status.conditions if one.type != "Served"))
    status = _beside(app, old, _not("AppIDInUse", text), now=now)
    return _rest(app, status, wake_at=now + LOOK_EVERY)


def _beside(app: WorkflowApp, old: AppStatus, *wanted: Wanted, now: int) -> AppStatus:
    """The status with these conditions, and the rest as it was."""
    generation = app.metadata.generation
    return msgspec.structs.replace(
        old,
        observed_generation=generation,
        app_id=app.app_id,
        conditions=conditions(old.conditions, wanted, generation=generation, now=now),
    )


# --- the end of the resource ----------------------------------------------------------------------


def _leave(  # noqa: PLR0911 - one answer for each state of things
    app: WorkflowApp, seen: Seen, *, now: int, attempts: int, patience: int
) -> Step:
    """The app goes back to its sidecars' flags, unless another resource has it."""
    refusal = seen.refusal
    if not _held(app):
        return Rest()
    if not seen.confirmed:
        return Confirm()
    if any(_held(rival) and not rival.metadata.deleted for rival in seen.rivals):
        return _released(app)
    if refusal is not None and refusal.code == _NO_APP:
        return _released(app)
    if refusal is not None and refusal.code != _CHANGED:
        return _held_up(app, refusal, now=now, attempts=attempts, patience=patience)
    if seen.app is None or refusal is not None:
        return Look()
    if _set(seen.app.settings) and not seen.configured:
        return Configure(seen.app.settings.version)
    text = f"Deleted; app '{app.app_id}' is as the flags of its sidecars say"
    return _released(app, Announcement("SettingsReset", text))


def _held_up(app: WorkflowApp, refusal: Refusal, *, now: int, attempts: int, patience: int) -> Step:
    """Try again later; but a deletion does not wait for ever."""
    limit = parse_time(app.metadata.deletion_timestamp or "") + patience
    if now >= limit:
        text = f"Deleted, and app '{app.app_id}' keeps the settings: {refusal.message}"
        return _released(app, Announcement("SettingsKept", text, warning=True))
    text = (
        f"deleted as soon as the settings of app '{app.app_id}' are taken back, or at "
        f"{stamp(limit)} without: {refusal.message}"
    )
    waits = _not("WaitsForReset", text[:MAX_MESSAGE])
    pause = retry_in(refusal, attempts, seed=app.metadata.uid)
    return _rest(app, _beside(app, app.status, waits, now=now), wake_at=min(now + pause, limit))


def _released(app: WorkflowApp, *announcements: Announcement) -> SetFinalizers:
    kept = tuple(one for one in app.metadata.finalizers if one != FINALIZER_SETTINGS)
    return SetFinalizers(kept, announcements)


# --- small questions ------------------------------------------------------------------------------


def _held(app: WorkflowApp) -> bool:
    return FINALIZER_SETTINGS in app.metadata.finalizers


def _older(app: WorkflowApp, rivals: tuple[WorkflowApp, ...]) -> WorkflowApp | None:
    """The resource that has the app, unless it is this one; one that is being deleted still has it."""
    oldest = min((app, *rivals), key=_age)
    return None if oldest is app else oldest


def _age(app: WorkflowApp) -> tuple[str, str]:
    return app.metadata.creation_timestamp, app.metadata.name


def _differs(app: WorkflowApp, settings: Settings) -> bool:
    wanted = app.spec.retention, app.spec.concurrency
    return (settings.retention, settings.concurrency) != wanted


def _set(settings: Settings) -> bool:
    return (settings.retention, settings.concurrency) != (KeptFor(), Concurrency())


def _rest(app: WorkflowApp, status: AppStatus, *, wake_at: int) -> Rest:
    return Rest(status, tuple(_stories(app.status, status)), wake_at)


def _stories(old: AppStatus, new: AppStatus) -> list[Announcement]:
    """The Events of one change of status."""
    told: list[Announcement] = []
    before, ready = _of(old), _of(new)
    if (ready.status, ready.reason) != (before.status, before.reason) and ready.status != "True":
        told.append(Announcement(ready.reason, ready.message, warning=True))
    written = new.settings_version != old.settings_version
    if ready.status == "True" and written and (new.settings_version or old.settings_version):
        told.append(Announcement("Configured", f"Set for app '{new.app_id}': {ready.message}"))
    return told


class _Nothing(NamedTuple):
    status: str = ""
    reason: str = ""
    message: str = ""


def _of(status: AppStatus) -> _Nothing:
    found = [one for one in status.conditions if one.type == "Ready"]
    return _Nothing(found[0].status, found[0].reason, found[0].message) if found else _Nothing()
