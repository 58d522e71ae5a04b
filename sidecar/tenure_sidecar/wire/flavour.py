"""Which flavour a work stream speaks, found from its first message and its headers.

Nothing in the protocol names the flavour, and the two cannot read each other's work items.
Evidence is taken in this order: what was configured, headers and fields that only one flavour has,
user agents that only one flavour has, and last the port.  Only SDKs that send the very same bytes
and headers in both flavours (Python with nothing but concurrency limits, Java and .NET with nothing
at all) depend on the port; ``guessed`` says so, and a later answer may prove the guess wrong.

The choice also carries what is known of the SDK's ways, which it does not announce.
"""

from __future__ import annotations

import msgspec

from tenure_common.errors import BadRequestError
from tenure_sidecar.wire._generated import dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.values_in import parse

Metadata = tuple[tuple[str, str | bytes], ...]  # request headers, lower-case keys

DAPR = "dapr"
MICROSOFT = "microsoft"
HEADER = "tenure-flavour"  # a client's own word

_IN_FLIGHT = 100  # turns, and activities, of a worker that announces no limit
_DAPR_JS_TOTAL = 10  # @dapr/dapr drops what it cannot start at once
_GRPC_DEFAULT = 4 * 1024 * 1024  # receive limit of gRPC clients that do not change it
_RAISED = 128 * 1024 * 1024  # @dapr/dapr says so; the others that raise the limit have none

_DAPR_AGENTS = ("dapr-sdk-dotnet", "dapr-sdk-java", "dapr-sdk-go")


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How to talk to a worker.

    ``max_total`` bounds turns and activities together; ``message_bytes`` is the largest message
    that the worker accepts; ``reason`` tells a person why; ``guessed``: only the port spoke for it.
    """

    flavour: str
    reason: str
    health_ping: bool
    max_turns: int = _IN_FLIGHT
    max_activities: int = _IN_FLIGHT
    max_total: int
    message_bytes: int = _GRPC_DEFAULT
    guessed: bool = False


def choose(metadata: Metadata, request: bytes, *, default: str, forced: str | None) -> Choice:
    """The flavour of a GetWorkItems stream.

    Args:
        metadata: request headers with lower-case keys.
        request: the GetWorkItemsRequest.
        default: what the port stands for.
        forced: the server's setting for all streams.

    Raises: BadRequestError when the request is not one, or the header is wrong.
    """
    headers = {key: value for key, value in metadata if isinstance(value, str)}
    agent = headers.get("user-agent", "")
    dapr = parse(dapr_pb2.GetWorkItemsRequest, request, method="GetWorkItems")
    microsoft = parse(microsoft_pb2.GetWorkItemsRequest, request, method="GetWorkItems")
    capable = bool(dapr.capabilities)
    known = (
        _configured(headers, forced)
        or _by_header(headers)
        or _by_field(microsoft, capable=capable)
        or _by_agent(headers, agent)
    )
    flavour, reason = known or (
        default,
        f"nothing tells the flavour, and this port is for {default}",
    )

    dapr_js = agent.startswith("dapr-js-sdk")
    javascript = dapr_js or agent.startswith("durabletask-js")
    if flavour == DAPR:
        health_ping = dapr_pb2.CAPABILITY_HEALTH_PING in dapr.capabilities
    else:
        health_ping = not javascript  # some of them take it for an unknown item
    # dapr 1.19 for Python was the first to lift its limit, and to announce capabilities.
    raised = javascript or (capable and agent.startswith("grpc-python"))
    announced = [n if n > 0 else _IN_FLIGHT for n in (dapr.max_workflows, dapr.max_activities)]
    return Choice(
        flavour=flavour,
        reason=reason,
        health_ping=health_ping,
        max_total=_DAPR_JS_TOTAL if dapr_js else sum(announced),
        message_bytes=_RAISED if raised else _GRPC_DEFAULT,
        guessed=known is None,
    )


_Verdict = tuple[str, str] | None


def _configured(headers: dict[str, str], forced: str | None) -> _Verdict:
    named = headers.get(HEADER)
    if named is not None:
        if named not in (DAPR, MICROSOFT):
            message = f"GetWorkItems: header {HEADER} is '{named}', must be {DAPR} or {MICROSOFT}"
            raise BadRequestError(message)
        return named, f"the worker's header {HEADER} says so"
    return (forced, "the server is set to it") if forced else None


def _by_header(headers: dict[str, str]) -> _Verdict:
    if "taskhub" in headers:
        return MICROSOFT, "header taskhub"
    if headers.get("x-user-agent", "").startswith("durabletask-"):
        return MICROSOFT, "header x-user-agent"
    return None


def _by_field(request: microsoft_pb2.GetWorkItemsRequest, *, capable: bool) -> _Verdict:
    if capable:
        return DAPR, "capabilities in field 4"
    for found, what in (
        (request.max_entities, "entities in field 3"),
        (request.capabilities, "capabilities in field 10"),
        (request.HasField("filters"), "work item filters in field 11"),
        (request.worker_instance_id, "worker instance id in field 12"),
    ):
        if found:
            return MICROSOFT, what
    return None


def _by_agent(headers: dict[str, str], agent: str) -> _Verdict:
    if agent.startswith("dapr-js-sdk"):
        return DAPR, "user agent dapr-js-sdk"
    if agent.startswith("durabletask-js"):
        # @dapr/durabletask-js has the same agent; it knows only what both flavours share.
        return MICROSOFT, "user agent durabletask-js"
    if "dapr-api-token" in headers:
        return DAPR, "header dapr-api-token"
    for known in _DAPR_AGENTS:
        if agent.startswith(known):
            return DAPR, f"user agent {known}"
    return None
