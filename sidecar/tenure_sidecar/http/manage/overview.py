"""One app at a glance: how it is kept, who works for it, what is set for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure_sidecar.actors.sharing.crew import crew
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.tuning import SettingsView, view

if TYPE_CHECKING:
    from tenure_sidecar.http.manage.api import Call
    from tenure_sidecar.http.manage.queries import NoQuery


class AppStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One app.

    `partitions` were fixed when it was started for the first time; `ownedPartitions` of them have an
    owner now.  `workers` are connections of the app's own processes to its `sidecars`.
    """

    app: str
    store: str
    partitions: int
    owned_partitions: int
    sidecars: int
    workers: int
    settings: SettingsView


async def status(call: Call[None, NoQuery]) -> Answer:
    """The app's store, its sidecars and workers, and its settings."""
    api = call.api
    found = await crew(api.store, workers=api.workers())
    return Answer(
        AppStatus(
            app=api.app_id,
            store=api.store.name,
            partitions=api.store.partitions,
            owned_partitions=found.owned,
            sidecars=found.sidecars,
            workers=found.workers,
            settings=view(await api.settings.look()),
        )
    )
