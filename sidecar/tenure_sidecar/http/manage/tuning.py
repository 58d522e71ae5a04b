"""The settings of an app, which all its sidecars and gateways follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from tenure_sidecar.engine.settings import KeptFor, Settings
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


class SettingsBody(Request, frozen=True, kw_only=True):
    """All settings of the app; what is absent is as the flags of the sidecars say.

    With `version`, only that version is replaced.
    """

    retention: RetentionBody = RetentionBody()
    version: Version | None = None


class UnsetQuery(Request, frozen=True, kw_only=True):
    """With `version`, only that version is taken away."""

    version: Version | msgspec.UnsetType = msgspec.UNSET  # with None, the text `null` would be one


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an app.  `version` is another one after every change."""

    version: Version
    retention: KeptFor


async def settings(call: Call[None, NoQuery]) -> Answer:
    """What is set for the app; nothing in it when nothing is."""
    return _answer(await call.api.settings.look())


async def set_settings(call: Call[SettingsBody, NoQuery]) -> Answer:
    """Set the app's settings.

    They are durable when answered.  Its other sidecars and gateways follow within 15 seconds; they
    hold for instances that end after that, and not for those that have ended before.

    Raises: BadRequestError, SettingsChangedError.
    """
    given = call.body.retention
    kept = KeptFor(
        any=given.any, completed=given.completed, failed=given.failed, terminated=given.terminated
    )
    wanted = Settings(retention=kept)
    return _answer(await call.api.settings.put(wanted, version=call.body.version))


async def unset_settings(call: Call[None, UnsetQuery]) -> Answer:
    """Take the app's settings away, so that the flags of the sidecars hold.

    Raises: SettingsChangedError.
    """
    version = call.query.version
    only = None if isinstance(version, msgspec.UnsetType) else version
    return _answer(await call.api.settings.put(Settings(), version=only))


def _answer(found: Versioned) -> Answer:
    return Answer(SettingsView(version=found.version, retention=found.settings.retention))
