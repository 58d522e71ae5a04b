"""Acting on one instance: events, suspend, resume, terminate, purge, and running it again.

Each answers when its effect is durable.  An instance that has ended takes nothing more: that is a
conflict (409) and not a silent success, except for terminate, which then has nothing left to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import EndedError
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.reading import look, missing
from tenure_sidecar.http.manage.requests import statuses
from tenure_sidecar.http.manage.starting import derived, ensure, request_key, text, wish
from tenure_sidecar.http.manage.views import Purged, Started, instance

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.http.manage.api import Api, Call
    from tenure_sidecar.http.manage.queries import NoQuery
    from tenure_sidecar.http.manage.requests import (
        EventBody,
        PurgeBody,
        ReasonBody,
        RerunBody,
        RestartBody,
        RewindBody,
        TerminateBody,
    )


async def raise_event(call: Call[EventBody, NoQuery]) -> Answer:
    """Raise an event; with ``start``, start the instance first if there is none.

    With an Idempotency-Key, a repeat is answered as the first and raises nothing.

    Raises: NoSuchInstanceError, EndedError, InstanceExistsError, BadRequestError.
    """
    api, start = call.api, call.body.start
    # Refused when it is wrong, also when there is an instance and it is not needed.
    wanted = None if start is None else wish(api, call.id, start)
    created = False
    given = request_key(None, call.key)
    key = None if given is None else f"event-{derived(call.name, given)}"
    head = await api.operations.head(call.id)
    if head is not None and key is not None and await _repeated(api, head, key):
        return Answer(Started(created=False, instance=instance(head, app=api.app_id)), 202)
    replaced = statuses(() if start is None else start.replace)
    if wanted is not None and start is not None and (head is None or head.status in replaced):
        head, created = await ensure(api, wanted, start)
    head = _live(call.id, head, "takes no more events")
    await api.operations.raise_event(call.id, call.name, text(call.body.data), key=key)
    return Answer(Started(created=created, instance=instance(head, app=api.app_id)), 202)


async def _repeated(api: Api, head: Head, key: str) -> bool:
    """Whether it has ended and got the event before; one that goes on finds out by itself."""
    return head.status.terminal and await api.operations.has_event(head.instance_id, key)


async def suspend(call: Call[ReasonBody, NoQuery]) -> Answer:
    """Suspend.  Raises: NoSuchInstanceError, EndedError."""
    api = call.api
    _live(call.id, await api.operations.head(call.id), "cannot be suspended")
    await api.operations.suspend(call.id, call.body.reason)
    return Answer(await look(api, call.id))


async def resume(call: Call[ReasonBody, NoQuery]) -> Answer:
    """Resume.  Raises: NoSuchInstanceError, EndedError."""
    api = call.api
    _live(call.id, await api.operations.head(call.id), "cannot be resumed")
    await api.operations.resume(call.id, call.body.reason)
    return Answer(await look(api, call.id))


async def terminate(call: Call[TerminateBody, NoQuery]) -> Answer:
    """Terminate; nothing happens to one that has ended.  Raises: NoSuchInstanceError."""
    api, body = call.api, call.body
    await api.operations.terminate(call.id, text(body.output), recurse=body.recursive)
    return Answer(await look(api, call.id))


async def purge(call: Call[PurgeBody, NoQuery]) -> Answer:
    """Delete everything of an instance.  Raises: NoSuchInstanceError, NotTerminalError."""
    api, body = call.api, call.body
    deleted = await api.operations.purge(call.id, recursive=body.recursive, force=body.force)
    if not deleted:
        raise missing(call.id)
    return Answer(Purged(deleted))


async def rerun(call: Call[RerunBody, NoQuery]) -> Answer:
    """A new instance that runs on from an event of this one's history.

    Raises: NoSuchInstanceError, BadRerunError, NoSuchEventError, InstanceExistsError.
    """
    body = call.body
    given = body.input
    new_id = await call.api.operations.rerun(
        call.id,
        event_id=body.event_id,
        new_id=body.instance_id,
        overwrite_input=given is not msgspec.UNSET,
        given=text(given),
        child_id=body.child_instance_id,
    )
    return await _started(call.api, new_id)


async def restart(call: Call[RestartBody, NoQuery]) -> Answer:
    """The same workflow with the same input once more.

    Raises: NoSuchInstanceError, NotTerminalError.
    """
    new_id = await call.api.operations.restart(call.id, new_id=call.body.new_id)
    return await _started(call.api, new_id)


async def rewind(call: Call[RewindBody, NoQuery]) -> Answer:
    """Back before its failures.  Raises: NoSuchInstanceError, NotFailedError."""
    await call.api.operations.rewind(call.id, call.body.reason)
    return Answer(await look(call.api, call.id), 202)


async def _started(api: Api, instance_id: str) -> Answer:
    head = await api.operations.head(instance_id)
    if head is None:  # purged between the two calls
        raise missing(instance_id)
    view = Started(created=True, instance=instance(head, app=api.app_id))
    return Answer(view, 201, location=("instances", instance_id))


def _live(instance_id: str, head: Head | None, refusal: str) -> Head:
    if head is None:
        raise missing(instance_id)
    if head.status.terminal:
        message = f"'{instance_id}' has ended ({head.status.name}) and {refusal}"
        raise EndedError(message, {"instanceId": instance_id, "status": head.status.name})
    return head
