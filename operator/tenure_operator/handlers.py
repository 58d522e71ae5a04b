"""kopf watches; what it tells goes to the controller, and that is all that kopf does here.

kopf's own machinery for handlers (diffs, progress in annotations, retries, finalizers) is not used: a
level-triggered controller needs none of it, and it would write to every resource.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf

from tenure_common.names import API_GROUP, API_VERSION
from tenure_operator.watching import Breaks, Session, session

Told = Callable[[str, str | None, Mapping[str, Any]], None]
FINALIZER: Final = f"{API_GROUP}/kopf"  # never set: no handler here asks for one


def registry(told: Told, login: Callable[[], kopf.ConnectionInfo]) -> kopf.OperatorRegistry:
    """The handlers; ``login`` gives the credentials, anew each time."""
    handlers, breaks = kopf.OperatorRegistry(), Breaks()

    @kopf.on.login(registry=handlers)
    async def credentials(**_: object) -> Session:
        return session(login(), breaks)

    @kopf.on.event(API_GROUP, API_VERSION, "workflows", registry=handlers)
    async def workflow(event: Mapping[str, Any], **_: object) -> None:
        told("Workflow", event["type"], event["object"])

    @kopf.on.event(API_GROUP, API_VERSION, "workflowschedules", registry=handlers)
    async def workflow_schedule(event: Mapping[str, Any], **_: object) -> None:
        told("WorkflowSchedule", event["type"], event["object"])

    @kopf.on.event(API_GROUP, API_VERSION, "workflowevents", registry=handlers)
    async def workflow_event(event: Mapping[str, Any], **_: object) -> None:
        told("WorkflowEvent", event["type"], event["object"])

    @kopf.on.event(API_GROUP, API_VERSION, "workflowapps", registry=handlers)
    async def workflow_app(event: Mapping[str, Any], **_: object) -> None:
        told("WorkflowApp", event["type"], event["object"])

    return handlers


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf compares nothing: it would copy each object several times to find out what changed."""

    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        """Nothing to keep."""


def settings() -> kopf.OperatorSettings:
    """How kopf shall watch."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.diffbase_storage = _NoDiffs()
    # "Handler succeeded", for each change of each object, is no news.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    chosen.posting.enabled = False  # Events are the announcer's
    # kopf would follow namespaces and resource definitions, for which the operator has no rights.
    chosen.scanning.disabled = True
    chosen.persistence.finalizer = FINALIZER
    # Each object has a worker that lives on for so long; with a limit of workers it would throttle.
    chosen.queueing.idle_timeout = 0.1
    chosen.watching.reconnect_backoff = 0.5
    # Two minutes of refusals; then the process ends, and its pod begins anew.
    chosen.networking.error_backoffs = (0.5, 1, 2, *(4 for _ in range(30)))
    chosen.networking.request_timeout = 30.0
    chosen.networking.connect_timeout = 5.0
    chosen.watching.connect_timeout = 5.0
    return chosen
