"""The settings of an app, which all its sidecars and gateways follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from tenure_sidecar.engine.settings import MOST, Concurrency, KeptFor, Settings
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.requests import Request, Retention

if TYPE_CHECKING:
    from tenure_sidecar.actors.settings import Versioned
    from tenure_sidecar.http.manage.api import Call
    from tenure_sidecar.http.manage.queries import NoQuery

Version = Annotated[int, msgspec.Meta(ge=0, description="0 = there are none")]


class RetentionBody(Request, frozen=True, kw_only=True):
    """How long instances are kept after their end, by status.

    `any` is for those whose status has no time of its own.  What is absent is as the flags of the
    sidecars say; with `any`, none of their flags counts.
    """

    any: Retention | None = None
    completed: Retention | None = None
    failed: Retention | None = None
    terminated: Retention | None = None


Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST, description="that many at a time")]


class ConcurrencyBody(Request, frozen=True, kw_only=True):
    """How much the workers of one sidecar may work on at a time, however many connections they have.

    A workflow counts while its code runs, not while it waits for an activity, a timer or an event.
    What is absent is as the workers themselves say, which holds in any case.
    """

    workflows: Limit | None = None
    activities: Limit | None = None


class SettingsBody(Request, frozen=True, kw_only=True):
    """All settings of the app; what is absent is as the flags of the sidecars say.

    With `version`, only that version is replaced.
    """

    retention: RetentionBody = RetentionBody()
    concurrency: ConcurrencyBody = ConcurrencyBody()
    version: Version | None = None


class UnsetQuery(Request, frozen=True, kw_only=True):
    """With `version`, only that version is taken away."""

    version: Version | msgspec.UnsetType = msgspec.UNSET  # with None, the text `null` would be one


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an app.  `version` is another one after every change."""

    version: Version
    retention: KeptFor
    concurrency: Concurrency


async def settings(call: Call[None, NoQuery]) -> Answer:
    """What is set for the app; nothing in it when nothing is."""
    return _answer(await call.api.settings.look())


async def set_settings(call: Call[SettingsBody, NoQuery]) -> Answer:
    """Set the app's settings.

    They are durable when answered.  Its other sidecars and gateways follow within 15 seconds.
    Retention holds for instances that end after that, and not for those that have ended before;
    with a lower limit, what is under way is finished.

    Raises: BadRequestError, SettingsChangedError.
    """
    given, most = call.body.retention, call.body.concurrency
    kept = KeptFor(
        any=given.any, completed=given.completed, failed=given.failed, terminated=given.terminated
    )
    limits = Concurrency(workflows=most.workflows, activities=most.activities)
    wanted = Settings(retention=kept, concurrency=limits)
    return _answer(await call.api.settings.put(wanted, version=call.body.version))


async def unset_settings(call: Call[None, UnsetQuery]) -> Answer:
    """Take the app's settings away, so that the flags of the sidecars hold.

    Raises: SettingsChangedError.
    """
    version = call.query.version
    only = None if isinstance(version, msgspec.UnsetType) else version
    return _answer(await call.api.settings.put(Settings(), version=only))


def view(found: Versioned) -> SettingsView:
    """As the API shows them."""
    settings = found.settings
    return SettingsView(
        version=found.version, retention=settings.retention, concurrency=settings.concurrency
    )


def _answer(found: Versioned) -> Answer:
    return Answer(view(found))
