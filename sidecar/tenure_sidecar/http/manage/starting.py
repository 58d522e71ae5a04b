"""Starting instances, each request at most once.

Three ways to make a repeat harmless, from the weakest:

* an instance id: a second start of the same id is refused (409) while the instance is there;
* ``PUT`` with an instance id: "there shall be one"; a repeat finds it (200 instead of 201);
* a request key (field ``requestKey`` or header ``Idempotency-Key``): a repeat of the *request* is
  answered with the instance that the first one started, whatever has become of it since.  The key
  and a digest of the request are tags of the instance, so they live exactly as long as it does, in
  the same transaction.  Without an instance id the id is derived from the key, so that of two
  requests at the same time one wins in the store.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from tenure_common.errors import (
    BadRequestError,
    InstanceExistsError,
    NoSuchInstanceError,
    RequestKeyReusedError,
)
from tenure_common.times import parse_time
from tenure_sidecar.engine import starting
from tenure_sidecar.engine.events import Instant
from tenure_sidecar.engine.retention import RETENTION_TAG, parse_retention
from tenure_sidecar.http.manage.api import Answer
from tenure_sidecar.http.manage.requests import statuses
from tenure_sidecar.http.manage.views import Started, instance

if TYPE_CHECKING:
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.turn import Creation
    from tenure_sidecar.http.manage.api import Api, Call
    from tenure_sidecar.http.manage.queries import NoQuery
    from tenure_sidecar.http.manage.requests import Json, PutBody, StartBody

RESERVED = "tenure.dev/"
KEY_TAG = f"{RESERVED}request-key"
DIGEST_TAG = f"{RESERVED}request-digest"


async def start(call: Call[StartBody, NoQuery]) -> Answer:
    """Start an instance.  Raises: BadRequestError, InstanceExistsError, RequestKeyReusedError."""
    api, body = call.api, call.body
    key = request_key(body.request_key, call.key)
    if key is not None and body.replace:
        message = "'replace' and a request key exclude each other: a repeat would replace its own"
        raise BadRequestError(message, {"field": "replace"})
    tags = _own(body.tags)
    instance_id = body.instance_id
    if key is not None:
        tags = {**tags, KEY_TAG: key, DIGEST_TAG: _digest(body)}
        instance_id = instance_id or derived(api.app_id, key)
    try:
        head = await api.operations.start(
            creation(api, body, instance_id=instance_id, tags=tags),
            replace=statuses(body.replace),
        )
    except InstanceExistsError as error:
        found = None if key is None else await api.operations.head(instance_id)
        if found is None:
            raise InstanceExistsError(error.message, {"instanceId": instance_id}) from error
        return _repeat(api, found, tags)
    return _answer(api, head, created=True)


async def put(call: Call[PutBody, NoQuery]) -> Answer:
    """Make sure that there is an instance.  Raises: BadRequestError, InstanceExistsError."""
    wanted = wish(call.api, call.id, call.body)
    head, created = await ensure(call.api, wanted, call.body)
    return _answer(call.api, head, created=created)


def wish(api: Api, instance_id: str, body: PutBody) -> Creation:
    """What ``body`` would create.  Raises: BadRequestError."""
    return creation(api, body, instance_id=instance_id, tags=_own(body.tags))


async def ensure(api: Api, wanted: Creation, body: PutBody) -> tuple[Head, bool]:
    """The instance with that id, started if there was none; and whether it was.

    Raises: InstanceExistsError when the id belongs to another workflow.
    """
    instance_id = wanted.head.instance_id
    try:
        return await api.operations.start(wanted, replace=statuses(body.replace)), True
    except InstanceExistsError:
        head = await api.operations.head(instance_id)
    if head is None:
        message = f"'{instance_id}' was deleted while it was being started; try again"
        raise NoSuchInstanceError(message, {"instanceId": instance_id})
    if head.name != body.workflow:
        message = (
            f"'{instance_id}' is taken by an instance of '{head.name}', not of '{body.workflow}'"
        )
        raise InstanceExistsError(message, {"instanceId": instance_id})
    return head, False


def creation(
    api: Api, body: StartBody | PutBody, *, instance_id: str, tags: dict[str, str]
) -> Creation:
    """The engine's creation.  Raises: BadRequestError."""
    if body.retention is not None:
        tags = {**tags, RETENTION_TAG: _kept(body.retention)}
    return starting.start(
        body.workflow,
        instance_id=instance_id,
        input=text(body.input),
        version=body.version,
        scheduled_start=_start_at(body.start_at),
        tags=tags,
        now=api.clock(),
        ids=api.ids,
    )


def _kept(value: str) -> str:
    try:
        parse_retention(value)
    except BadRequestError as error:
        message = f"retention: {error.message}, or 'forever'"
        raise BadRequestError(message, {"field": "retention"}) from error
    return value


def text(value: Json) -> str | None:
    """A JSON value of a body as the text that the engine keeps: exactly as it was written."""
    return None if isinstance(value, msgspec.UnsetType) else bytes(value).decode()


def _start_at(value: str | None) -> Instant | None:
    if value is None:
        return None
    try:
        return Instant.of(parse_time(value))
    except BadRequestError as error:
        message = f"startAt: {error.message}"
        raise BadRequestError(message, {"field": "startAt"}) from error


def request_key(field: str | None, header: str | None) -> str | None:
    """The request's key: of the body, or of the header.  Raises: BadRequestError."""
    if header is not None and not 0 < len(header) <= 256:  # noqa: PLR2004 - as the field's bound
        message = "the Idempotency-Key header has 1 to 256 characters"
        raise BadRequestError(message, {"field": "Idempotency-Key"})
    if field is not None and header is not None and field != header:
        message = "'requestKey' and the Idempotency-Key header differ; give one of them"
        raise BadRequestError(message, {"field": "requestKey"})
    return field if field is not None else header


def _own(tags: dict[str, str]) -> dict[str, str]:
    for tag in tags:
        if tag.startswith(RESERVED):
            message = f"tag '{tag}': names that begin with '{RESERVED}' belong to Tenure"
            raise BadRequestError(message, {"field": "tags"})
    return tags


def derived(app_id: str, key: str) -> str:
    """The id that a request key stands for when the request has none."""
    return hashlib.sha256(f"{app_id}\0{key}".encode()).hexdigest()[:32]


def _digest(body: StartBody) -> str:
    parts = (
        body.workflow,
        body.instance_id,
        text(body.input),
        body.version,
        body.start_at,
        body.retention,
        sorted(body.tags.items()),
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _repeat(api: Api, found: Head, tags: dict[str, str]) -> Answer:
    taken = {"instanceId": found.instance_id}
    if found.tags.get(KEY_TAG) != tags[KEY_TAG]:
        message = f"'{found.instance_id}' was started by another request"
        raise InstanceExistsError(message, taken)
    if found.tags.get(DIGEST_TAG) != tags[DIGEST_TAG]:
        message = (
            f"request key '{tags[KEY_TAG]}' started '{found.instance_id}' with another request; "
            "use a new key for a new request"
        )
        raise RequestKeyReusedError(message, taken)
    return _answer(api, found, created=False)


def _answer(api: Api, head: Head, *, created: bool) -> Answer:
    view = Started(created=created, instance=instance(head, app=api.app_id))
    return Answer(view, 201 if created else 200, location=("instances", head.instance_id))
