"""docs/compatibility.md, from the suite's own output.

``CONFORMANCE_RECORD=FILE pytest tests/conformance`` writes what happened; ``python -m
conformance.page FILE`` (with ``tests`` on the path) keeps it as ``outcomes.json`` and writes the page.
A test holds the page against the outcomes, the scenarios and the served operations.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from conformance.catalogue import GROUPS, SCENARIOS
from conformance.sdks import DAPR_GO, DAPR_JAVA, SDKS, Sdk
from conformance.suite import Scenario
from tenure_sidecar.rpc.runtime import ACTOR_METHODS, OTHER_METHODS, STAGES
from tenure_sidecar.rpc.service import task_hub

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
OUTCOMES = Path(__file__).with_name("outcomes.json")

Outcomes = Mapping[str, Mapping[str, str]]

# What is not simply served: an operation, and what is to be known of it.
NOTES = {
    "SignalEntity": "UNIMPLEMENTED, [TN0300](errors/TN0300.md): entities",
    "GetEntity": "UNIMPLEMENTED, [TN0300](errors/TN0300.md): entities",
    "QueryEntities": "UNIMPLEMENTED, [TN0300](errors/TN0300.md): entities",
    "CleanEntityStorage": "UNIMPLEMENTED, [TN0300](errors/TN0300.md): entities",
    "CompleteEntityTask": "UNIMPLEMENTED, [TN0300](errors/TN0300.md): entities",
    "AbandonTaskEntityWorkItem": "served; there is never such an item",
    "CreateTaskHub": "served: there is one task hub; `recreateIfExists` is refused, UNIMPLEMENTED",
    "DeleteTaskHub": "served for the Java suites' sake: answers OK and deletes nothing",
    "SkipGracefulOrchestrationTerminations": "served",
    "CompleteWorkflowTask": "served, the same as CompleteOrchestratorTask",
}

FIELDS = (
    ("target app, namespace", "Dapr", "another app than the engine's own is refused, TN0300"),
    ("propagated history", "Dapr", "the scope is kept in the history; nothing is propagated"),
    ("signatures, attestations", "Dapr", "ignored; none are written"),
    ("entity parameters and actions", "Microsoft", "the workflow ends FAILED with TN0300"),
    ("`enforceUniqueInstanceId`", "Dapr", "honoured"),
    ("reuse policy", "Microsoft", "honoured; an impossible one is INVALID_ARGUMENT"),
    ("work item filters", "Microsoft", "honoured for workflows and activities"),
    ("large payloads (capability 3)", "Microsoft", "not used: payloads stay in the messages"),
    ("scheduled tasks (capability 2)", "Microsoft", "not used"),
)


# What Dapr's Configuration says of workflows, and where it is said here.
SETTINGS = (
    (
        "Dapr's `maxConcurrentWorkflowInvocations`",
        "`concurrency.workflows`; can change at run time",
    ),
    (
        "Dapr's `maxConcurrentActivityInvocations`",
        "`concurrency.activities`; can change at run time",
    ),
    (
        "Dapr's `stateRetentionPolicy`",
        "`retention`; `anyTerminal` is called `any`; can change at run time",
    ),
    (
        "the state store",
        "no field: the annotation `tenure.dev/store` says it, and it cannot change at run time",
    ),
    (
        "the number of partitions",
        "`partitions` is compared and never changed: the number is fixed at an app's first start",
    ),
)


def page(outcomes: Outcomes, *, operations: Sequence[str]) -> str:
    """The page.

    Args:
        outcomes: SDK key to scenario to ``passed`` or ``failed``.
        operations: names of the served operations.
    """
    return "\n".join((*_head(outcomes), *_table(outcomes), *_reasons(), *_rest(operations))) + "\n"


def _head(outcomes: Outcomes) -> Iterator[str]:
    yield "# Compatibility"
    yield ""
    yield (
        "Each released SDK, unmodified, runs the same scenarios against the engine, on both "
        "transports. `make test LAYERS=conformance` runs them; this page is written from its output."
    )
    yield ""
    yield (
        "Besides, random programs run through these SDKs (but Dapr's for JavaScript, which pass no "
        "value that is false) end as they do on the engine that `durabletask` ships for tests, also "
        "when ours is killed in the middle (`tests/conformance/test_other_engine.py`)."
    )
    yield ""
    yield "| SDK | flavour | scenarios passed | cannot express |"
    yield "|---|---|---|---|"
    for sdk in SDKS:
        applicable = [one for one in SCENARIOS.values() if one.why_not(sdk) is None]
        passed = sum(outcomes.get(sdk.key, {}).get(one.name) == "passed" for one in applicable)
        rest = len(SCENARIOS) - len(applicable)
        flavour = "Dapr" if sdk.flavour == "dapr" else "Microsoft"
        count = f"{passed} of {len(applicable)}"
        yield f"| `{sdk.package}` {sdk.version} ({sdk.registry}) | {flavour} | {count} | {rest} |"
    yield ""


def _table(outcomes: Outcomes) -> Iterator[str]:
    yield "## Scenarios"
    yield ""
    yield "✓ passed, ✗ failed, a letter: the SDK cannot express it, for the reason below."
    columns = " | ".join(f"{_short(sdk)} {sdk.version}" for sdk in SDKS)
    for group in GROUPS:
        chosen = [one for one in SCENARIOS.values() if one.group == group]
        if not chosen:
            continue
        yield ""
        yield f"### {group.capitalize()}"
        yield ""
        yield f"| scenario | {columns} |"
        yield "|---|" + "---|" * len(SDKS)
        for one in chosen:
            cells = " | ".join(_cell(one, sdk, outcomes) for sdk in SDKS)
            yield f"| {one.shows or one.name} | {cells} |"
    yield ""


def _short(sdk: Sdk) -> str:
    """The package's name without whom it is from."""
    return sdk.package.rsplit(":", 1)[-1].removeprefix("github.com/")


def _cell(scenario: Scenario, sdk: Sdk, outcomes: Outcomes) -> str:
    reason = scenario.why_not(sdk)
    if reason is not None:
        return _letter(reason)
    return {"passed": "✓", "failed": "✗"}[outcomes[sdk.key][scenario.name]]


def _all_reasons() -> list[str]:
    found = (one.why_not(sdk) for one in SCENARIOS.values() for sdk in SDKS)
    return sorted({reason for reason in found if reason is not None})


def _letter(reason: str) -> str:
    number = _all_reasons().index(reason)
    return chr(ord("a") + number % 26) * (1 + number // 26)


def _reasons() -> Iterator[str]:
    for reason in _all_reasons():
        yield f"* {_letter(reason)}: {reason}"
    yield ""


def _rest(operations: Sequence[str]) -> Iterator[str]:
    yield "## Operations"
    yield ""
    yield "Every operation of `TaskHubSidecarService`, of both flavours:"
    yield ""
    yield "| operation | state |"
    yield "|---|---|"
    for name in sorted(operations):
        yield f"| {name} | {NOTES.get(name, 'served')} |"
    yield ""
    yield from _runtime()
    yield "## Fields"
    yield ""
    yield "What is not simply taken over as the SDK sends it:"
    yield ""
    yield "| field | flavour | state |"
    yield "|---|---|---|"
    for name, flavour, state in FIELDS:
        yield f"| {name} | {flavour} | {state} |"
    yield ""
    yield "## Settings of an app"
    yield ""
    yield (
        "The resource [WorkflowApp](how-to/settings-of-an-app.md) has what a Dapr Configuration says of "
        "workflows, as far as it can be changed while an app runs:"
    )
    yield ""
    yield "| setting | state |"
    yield "|---|---|"
    for name, state in SETTINGS:
        yield f"| {name} | {state} |"
    yield ""
    yield (
        "Nothing is dropped in silence: an action that is not supported ends its workflow FAILED with "
        "the code, a request that is not supported is answered UNIMPLEMENTED with it."
    )


def _runtime() -> Iterator[str]:
    yield "## Dapr's runtime service"
    yield ""
    yield "Every unary operation of `dapr.proto.runtime.v1.Dapr` that is known here, on the Dapr port:"
    yield ""
    yield "| operation | state |"
    yield "|---|---|"
    yield (
        "| StartWorkflow, GetWorkflow, RaiseEventWorkflow, PauseWorkflow, ResumeWorkflow, "
        f"TerminateWorkflow, PurgeWorkflow, each with {' and '.join(STAGES)} | served |"
    )
    yield "| GetMetadata, SetMetadata | served |"
    yield (
        f"| {', '.join(ACTOR_METHODS)} | UNIMPLEMENTED, [TN0300](errors/TN0300.md); "
        "PERMISSION_DENIED for the engine's own actor types |"
    )
    yield f"| {', '.join(OTHER_METHODS)} | UNIMPLEMENTED, [TN0300](errors/TN0300.md) |"
    yield ""
    yield (
        "The component's name is ignored, so `ERR_WORKFLOW_COMPONENT_MISSING` and "
        "`ERR_WORKFLOW_COMPONENT_NOT_FOUND` are never answered."
    )
    yield ""
    yield (
        "Checked with the released clients that use it: `DaprClient` of `@dapr/dapr` over HTTP, that of "
        f"`{DAPR_GO.package}` {DAPR_GO.version} over gRPC (later ones have no calls for it). "
        "`DaprClient` of Python and of Java "
        f"(`io.dapr:dapr-sdk` {DAPR_JAVA.version}) has metadata alone; their workflow clients speak to "
        "the task hub."
    )
    yield ""


def served() -> list[str]:
    """Names of the operations that the engine has handlers for."""
    parts: Any = SimpleNamespace(ids=None, clock=None)
    unary, streams = task_hub(
        parts,
        parts,
        {"dapr": parts, "microsoft": parts},
        default_flavour="dapr",
        forced_flavour=None,
        message_bytes=0,
        app_id="app",
    )
    return [path.rsplit("/", 1)[-1] for path in (*unary, *streams)]


def main(arguments: Sequence[str]) -> int:
    """Keep the outcomes and write the page."""
    if arguments:
        outcomes = json.loads(Path(arguments[0]).read_text())
        OUTCOMES.write_text(json.dumps(outcomes, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(json.loads(OUTCOMES.read_text()), operations=served()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
