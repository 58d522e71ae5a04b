"""The lines of a watch, one JSON object each, told apart by ``type``."""

from __future__ import annotations

import msgspec

from tenure_sidecar.http.manage.views import ErrorView, InstanceDetails


class Changed(msgspec.Struct, frozen=True, tag_field="type", tag="CHANGED", omit_defaults=True):
    """The instance is now so.  Changes in between may have been skipped, the last one never is.

    Lines before SYNCED have no cursor: a snapshot that breaks off is told again from its beginning.
    """

    instance: InstanceDetails
    cursor: str | None = None


class Deleted(msgspec.Struct, frozen=True, tag_field="type", tag="DELETED", rename="camel"):
    """The instance was deleted."""

    instance_id: str
    cursor: str


class Reset(msgspec.Struct, frozen=True, tag_field="type", tag="RESET"):
    """The cursor was too old: everything that there is follows; what is not in it is gone."""


class Synced(msgspec.Struct, frozen=True, tag_field="type", tag="SYNCED"):
    """Everything that there was has been told; from here on come changes."""

    cursor: str


class Alive(msgspec.Struct, frozen=True, tag_field="type", tag="ALIVE"):
    """Nothing has happened for a while; the stream is alive, and ``cursor`` is up to date."""

    cursor: str


class Broken(msgspec.Struct, frozen=True, tag_field="type", tag="ERROR"):
    """The stream ends here; go on with the last cursor after a pause."""

    error: ErrorView


Line = Changed | Deleted | Reset | Synced | Alive | Broken
