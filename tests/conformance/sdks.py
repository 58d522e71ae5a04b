"""The SDKs under test, as data: package, flavour, and what each cannot express.

``lacks`` maps a feature to the reason why the SDK has no way to ask for it.  A scenario names the
features it needs; where one is lacking the pair is not applicable, and docs/compatibility.md shows
the reason.  Nothing is skipped in any other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Flavour = Literal["dapr", "microsoft"]

FEATURES: Mapping[str, str] = {
    "activity-info": "an activity sees its workflow's id and its own number",
    "caps": "the worker can limit how much it runs at once",
    "custom-status-cleared": "a custom status can be set to nothing again",
    "determinism-check": "the SDK compares the names of its actions with the history",
    "entities": "durable entities",
    "event-case": "the SDK ignores the case of event names",
    "event-timeout": "the wait for an event can have a timeout of its own",
    "failure-details": "the client sees why a workflow failed",
    "failure-stack": "a failure carries the stack",
    "failure-type": "a workflow sees the type of a task's failure",
    "fan-in-after-failure": "a fan-in takes results that come after its first failure",
    "falsy-payloads": "an event or termination can carry a value such as 0 or an empty list",
    "filters": "the worker announces which names it runs",
    "first-of": "a workflow can wait for the first of several tasks",
    "history": "the client can read the history",
    "history-not-found": "the SDK tells a missing history from an empty one",
    "inner-failure": "a failure carries its cause",
    "list-ids": "the client can list instance ids, page by page",
    "list-ids-by-status": "the listing of ids can be limited to statuses",
    "named-versions": "several versions of a workflow under one name",
    "null-status": "a workflow's custom status can be JSON null",
    "object-status": "a custom status can be any JSON value",
    "ordered-carryover": "events carried over come once and in order",
    "parallel": "a worker runs several activities at once",
    "parent-info": "a workflow sees its parent",
    "patches": "code paths guarded by patches",
    "purge-count": "a purge says how many instances went",
    "purge-filter": "purge by time and status",
    "purge-recursive": "the client chooses whether a purge takes the children",
    "query": "the client can query instances",
    "reconnects": "the worker connects again when the engine dies",
    "replay-logger": "a logger that is silent in replay",
    "rerun": "rerun from an event of the history",
    "restart": "restart of an instance",
    "retry": "retry policies",
    "reuse-by-default": "a start without a policy may use an ended instance's id again",
    "reuse-policy": "the client chooses which ended instances may be replaced",
    "reuse-rules": "a policy may name statuses that make no sense together",
    "rewind": "rewind of a failed instance",
    "schedule": "a start at a later time",
    "send-event": "a workflow can send an event to another",
    "tags": "tags on instances",
    "task-execution-id": "an activity sees an id that stays the same over its retries",
    "terminate-recursive": "the client chooses whether a termination takes the children",
    "trace": "a workflow sees whether it is replaying",
    "typed-retry": "errors can be excluded from retries by their type",
    "unknown-name": "the failure of an unknown workflow has its name",
    "uuid": "deterministic UUIDs",
    "version-info": "a workflow sees its version",
    "versions": "worker and client name versions of workflows",
    "wait-timeout": "a client's wait has a deadline that the server sees",
}


@dataclass(frozen=True)
class Sdk:
    """One SDK package at one version."""

    key: str
    package: str
    version: str
    registry: str
    language: Literal["python", "js", "java", "go"]
    flavour: Flavour
    adapter: str
    """Name of the adapter in the language's driver."""
    lacks: Mapping[str, str]

    @property
    def title(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version}"


_MS = {
    "event-timeout": "a race of event and timer does it",
    "named-versions": "Dapr only",
    "patches": "Dapr only",
    "rerun": "Dapr only",
    "task-execution-id": "Dapr only",
    "typed-retry": "the policy has no such option",
}
_DAPR = {
    "entities": "Microsoft only",
    "falsy-payloads": "the SDK leaves out values that are false",
    "filters": "Microsoft only",
    "inner-failure": "the SDK's failure details have no inner failure",
    "list-ids-by-status": "Microsoft only",
    "parent-info": "not in the workflow's context",
    "purge-count": "the SDK drops the answer",
    "purge-filter": "Microsoft only",
    "query": "Microsoft only",
    "replay-logger": "the SDK has none",
    "restart": "Microsoft only",
    "reuse-policy": "the option was removed from the protocol",
    "rewind": "Microsoft only",
    "send-event": "the SDK has no such call",
    "tags": "the SDK has no such option",
    "version-info": "not in the workflow's context",
    "versions": "Dapr uses named versions instead",
}


_JAVA = {
    "activity-info": "not in the activity's context",
    "determinism-check": "the SDK does not compare names with the history",
    "event-case": "the SDK tells upper from lower case in event names",
    "caps": "the worker has no such option",
    "filters": "the worker has no such option",
    "history": "the client has no such call",
    "inner-failure": "the SDK's failure details have no inner failure",
    "list-ids": "the client has no such call",
    "parent-info": "not in the workflow's context",
    "purge-recursive": "the client has no such option",
    "replay-logger": "the SDK has none",
    "rerun": "the client has no such call",
    "reuse-policy": "the client has no such option",
    "rewind": "the client has no such call",
    "tags": "the client has no such option",
    "terminate-recursive": "the client has no such option",
    "typed-retry": "the policy has no such option",
    "version-info": "not in the workflow's context",
    "versions": "the worker has no such option",
}
_DAPR_JS = {
    "caps": "the worker has no such option",
    "event-timeout": "a race of event and timer does it",
    "fan-in-after-failure": "the SDK fails the workflow when it gets such a result",
    "history": "the client has no such call",
    "list-ids": "the client has no such call",
    "named-versions": "the SDK has no versions",
    "object-status": "the SDK takes texts only",
    "ordered-carryover": "the SDK drops events that come after the one it was waiting for",
    "patches": "the SDK has no patches",
    "purge-recursive": "the client has no such option",
    "rerun": "the client has no such call",
    "retry": "the SDK has no retry policies",
    "task-execution-id": "not in the activity's context",
    "terminate-recursive": "the client has no such option",
    "typed-retry": "the SDK has no retry policies",
    "uuid": "the SDK has no such call",
}


_GO = {
    "activity-info": "not in the activity's context",
    "caps": "the worker has no such option",
    "determinism-check": "the SDK does not compare names with the history",
    "failure-stack": "the SDK sends no stacks",
    "failure-type": "the SDK gives the message alone",
    "filters": "the worker has no such option",
    "first-of": "the SDK has no such call",
    "inner-failure": "the SDK's failure details have no inner failure",
    "object-status": "the SDK takes texts only",
    "parent-info": "not in the workflow's context",
    "replay-logger": "the SDK has none",
    "typed-retry": "the policy has no such option",
    "uuid": "the SDK has no such call",
    "version-info": "not in the workflow's context",
}


def _without(lacks: Mapping[str, str], *features: str, **more: str) -> dict[str, str]:
    kept = {name: why for name, why in lacks.items() if name not in features and why}
    return kept | {name.replace("_", "-"): why for name, why in more.items()}


SDKS: tuple[Sdk, ...] = (
    Sdk(
        key="ms-py",
        package="durabletask",
        version="1.12.0",
        registry="PyPI",
        language="python",
        flavour="microsoft",
        adapter="ms",
        lacks=_without(_MS, tags="the SDK sends tags but does not show them"),
    ),
    Sdk(
        key="dapr-py-1.19",
        package="dapr[workflow]",
        version="1.19.0",
        registry="PyPI",
        language="python",
        flavour="dapr",
        adapter="dapr_wf",
        lacks=_without(_DAPR, typed_retry="the public policy has no such option"),
    ),
    Sdk(
        key="dapr-py-1.18",
        package="dapr + dapr-ext-workflow",
        version="1.18.3",
        registry="PyPI",
        language="python",
        flavour="dapr",
        adapter="dapr_wf",
        lacks=_without(
            _DAPR,
            typed_retry="the public policy has no such option",
            history="the client has no such call",
            list_ids="the client has no such call",
            rerun="the client has no such call",
        ),
    ),
    Sdk(
        key="dt-dapr-py",
        package="durabletask-dapr",
        version="0.17.4",
        registry="PyPI",
        language="python",
        flavour="dapr",
        adapter="d17",
        lacks=_without(
            _DAPR,
            event_timeout="a race of event and timer does it",
            fan_in_after_failure="the SDK fails the workflow when it gets such a result",
            history="the client has no such call",
            list_ids="the client has no such call",
            rerun="the client has no such call",
        ),
    ),
    Sdk(
        key="ms-js",
        package="@microsoft/durabletask-js",
        version="0.4.0",
        registry="npm",
        language="js",
        flavour="microsoft",
        adapter="ms",
        lacks=_without(
            _MS,
            "typed-retry",
            caps="the worker has no such option",
            history_not_found="the SDK shows a missing history as an empty one",
            fan_in_after_failure="the SDK fails the workflow when it gets such a result",
            inner_failure="the SDK's failure details have no inner failure",
            reuse_policy="the client has no such option",
        ),
    ),
    Sdk(
        key="dt-dapr-js",
        package="@dapr/durabletask-js",
        version="1.0.0",
        registry="npm",
        language="js",
        flavour="dapr",
        adapter="dt",
        lacks=_without(_DAPR, "purge-count") | _DAPR_JS,
    ),
    Sdk(
        key="dapr-js",
        package="@dapr/dapr",
        version="3.18.0",
        registry="npm",
        language="js",
        flavour="dapr",
        adapter="dapr",
        lacks=_DAPR | _DAPR_JS | {"reconnects": "the worker gives up when its first stream breaks"},
    ),
    Sdk(
        key="ms-java",
        package="com.microsoft:durabletask-client",
        version="1.5.0",
        registry="Maven Central",
        language="java",
        flavour="microsoft",
        adapter="ms",
        lacks=_without(_MS, "event-timeout", entities="the SDK has no entities")
        | _JAVA
        | {
            "ordered-carryover": "the SDK carries events over again that it has received",
            "parallel": "the worker does one item after another",
            "unknown-name": "the SDK fails it without the name",
        },
    ),
    Sdk(
        key="dt-dapr-java",
        package="io.dapr:durabletask-client",
        version="1.17.1",
        registry="Maven Central",
        language="java",
        flavour="dapr",
        adapter="dapr",
        lacks=_without(
            _DAPR, "falsy-payloads", "purge-count", "purge-filter", "query", "restart", "send-event"
        )
        | _JAVA
        | {"ordered-carryover": "the SDK keeps them in a set, which has no order"},
    ),
    Sdk(
        key="dapr-go",
        package="github.com/dapr/go-sdk",
        version="1.15.0",
        registry="the Go module proxy",
        language="go",
        flavour="dapr",
        adapter="dapr",
        lacks=_without(_DAPR, "falsy-payloads") | _GO,
    ),
    Sdk(
        key="ms-go",
        package="github.com/microsoft/durabletask-go",
        version="0.6.0",
        registry="the Go module proxy",
        language="go",
        flavour="microsoft",
        adapter="ms",
        lacks=_without(_MS, "event-timeout", "typed-retry")
        | _GO
        | {
            "entities": "the SDK has no entities",
            "failure-details": "the client does not show them",
            "history": "the client has no such call",
            "list-ids": "the client has no such call",
            "purge-count": "the SDK drops the answer",
            "purge-filter": "the client has no such call",
            "query": "the client has no such call",
            "restart": "the client has no such call",
            "reuse-rules": "the policy has an action instead",
            "rewind": "the client has no such call",
            "send-event": "the SDK has no such call",
            "tags": "the client has no such option",
            "versions": "the worker has no such option",
        },
    ),
)
BY_KEY = {sdk.key: sdk for sdk in SDKS}

# The last release whose client has calls of its own for Dapr's workflow API; ``dapr-go`` speaks to the
# task hub instead.
DAPR_GO = Sdk(
    key="dapr-go-client",
    package="github.com/dapr/go-sdk",
    version="1.11.0",
    registry="the Go module proxy",
    language="go",
    flavour="dapr",
    adapter="client",
    lacks={},
)

# What Java's apps use: clients and a worker over the task hub, which ``dt-dapr-java`` runs through all
# scenarios.  1.18.1 lacks its parent in Maven Central and cannot be resolved.
DAPR_JAVA = Sdk(
    key="dapr-java",
    package="io.dapr:dapr-sdk + dapr-sdk-workflows",
    version="1.17.1",
    registry="Maven Central",
    language="java",
    flavour="dapr",
    adapter="client",
    lacks={},
)
CLIENTS = (DAPR_GO, DAPR_JAVA)
