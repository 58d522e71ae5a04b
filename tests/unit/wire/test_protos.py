"""Our protocol sources against the message types of released SDKs, field by field.

In scope: that what an SDK can say has the same number and type with us, that what we can say some
SDK understands, that the generated modules are what the sources say, and that they can be loaded in
one process with an SDK's.  Out of scope: what the codecs make of the fields (the other modules).
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from support.peers import D17, D18, D19, FOLDER, MS, RUNTIME, peer
from tenure_sidecar.engine.events import StallReason, Status
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2, runtime_pb2

ROOT = Path(__file__).parents[3]

# Message types at the two ends of each RPC; what they contain is followed field by field.
COMMON = {
    "CreateInstanceRequest": "CreateInstanceRequest",
    "CreateInstanceResponse": "CreateInstanceResponse",
    "GetInstanceRequest": "GetInstanceRequest",
    "GetInstanceResponse": "GetInstanceResponse",
    "RaiseEventRequest": "RaiseEventRequest",
    "RaiseEventResponse": "RaiseEventResponse",
    "TerminateRequest": "TerminateRequest",
    "TerminateResponse": "TerminateResponse",
    "SuspendRequest": "SuspendRequest",
    "SuspendResponse": "SuspendResponse",
    "ResumeRequest": "ResumeRequest",
    "ResumeResponse": "ResumeResponse",
    "PurgeInstancesResponse": "PurgeInstancesResponse",
    "ActivityResponse": "ActivityResponse",
    "CompleteTaskResponse": "CompleteTaskResponse",
}
DAPR_17 = {
    "GetWorkItemsRequest": "GetWorkItemsRequest",
    "WorkItem": "WorkItem",
    "PurgeInstancesRequest": "PurgeInstancesRequest",
    "RerunRequest": "RerunWorkflowFromEventRequest",
    "RerunResponse": "RerunWorkflowFromEventResponse",
    "ListInstanceIdsRequest": "ListInstanceIDsRequest",
    "ListInstanceIdsResponse": "ListInstanceIDsResponse",
    "GetInstanceHistoryRequest": "GetInstanceHistoryRequest",
    "GetInstanceHistoryResponse": "GetInstanceHistoryResponse",
    "WorkflowResponse": "OrchestratorResponse",
}
DAPR = DAPR_17 | {"WorkflowResponse": "WorkflowResponse"}
MICROSOFT = {
    "GetWorkItemsRequest": "GetWorkItemsRequest",
    "WorkItem": "WorkItem",
    "OrchestratorResponse": "OrchestratorResponse",
    "EntityBatchResult": "EntityBatchResult",
    "PurgeInstancesRequest": "PurgeInstancesRequest",
    "RewindInstanceRequest": "RewindInstanceRequest",
    "RewindInstanceResponse": "RewindInstanceResponse",
    "RestartInstanceRequest": "RestartInstanceRequest",
    "RestartInstanceResponse": "RestartInstanceResponse",
    "QueryInstancesRequest": "QueryInstancesRequest",
    "QueryInstancesResponse": "QueryInstancesResponse",
    "ListInstanceIdsRequest": "ListInstanceIdsRequest",
    "ListInstanceIdsResponse": "ListInstanceIdsResponse",
    "StreamInstanceHistoryRequest": "StreamInstanceHistoryRequest",
    "HistoryChunk": "HistoryChunk",
    "CreateTaskHubRequest": "CreateTaskHubRequest",
    "CreateTaskHubResponse": "CreateTaskHubResponse",
    "DeleteTaskHubRequest": "DeleteTaskHubRequest",
    "DeleteTaskHubResponse": "DeleteTaskHubResponse",
    "SkipGracefulTerminationsRequest": "SkipGracefulOrchestrationTerminationsRequest",
    "SkipGracefulTerminationsResponse": "SkipGracefulOrchestrationTerminationsResponse",
    "SignalEntityRequest": "SignalEntityRequest",
    "SignalEntityResponse": "SignalEntityResponse",
    "GetEntityRequest": "GetEntityRequest",
    "GetEntityResponse": "GetEntityResponse",
    "QueryEntitiesRequest": "QueryEntitiesRequest",
    "QueryEntitiesResponse": "QueryEntitiesResponse",
    "CleanEntityStorageRequest": "CleanEntityStorageRequest",
    "CleanEntityStorageResponse": "CleanEntityStorageResponse",
    "AbandonActivityTaskRequest": "AbandonActivityTaskRequest",
    "AbandonActivityTaskResponse": "AbandonActivityTaskResponse",
    "AbandonOrchestrationTaskRequest": "AbandonOrchestrationTaskRequest",
    "AbandonOrchestrationTaskResponse": "AbandonOrchestrationTaskResponse",
    "AbandonEntityTaskRequest": "AbandonEntityTaskRequest",
    "AbandonEntityTaskResponse": "AbandonEntityTaskResponse",
}
RUNTIME_TYPES = {
    name: name
    for name in runtime_pb2.DESCRIPTOR.message_types_by_name
    if name.endswith(("Request", "Response"))
}

# Fields of an SDK that we leave out (or read as something else), by our message and number.
LEFT_OUT = {
    D17: {
        # Microsoft messages that came along in the copy of the sources, and that the SDK never
        # sends: the health ping moved to 6, the capabilities to 4.
        ("WorkItem", 3),
        ("WorkItem", 4),
        ("WorkItem", 5),
        ("GetWorkItemsRequest", 10),
        ("WorkflowRequest", 5),
        ("WorkflowAction", 8),
        *(("HistoryEvent", number) for number in (18, 19, *range(23, 30))),
        ("ScheduleTaskAction", 4),  # a router that is never read
        ("CreateChildAction", 5),
    },
    D18: {
        ("ScheduleTaskAction", 4),
        ("CreateChildAction", 5),
        ("CreateDetachedAction", 9),
    },
    D19: set(),
    MS: {("CreateInstanceRequest", 10)},  # when the client asked
    RUNTIME: {("GetMetadataResponse", number) for number in (3, 5, 6, 7, 11, 13, 15)},
}
# Fields of ours that the newest SDK of the flavour does not have: those of the other flavour or of
# an older SDK, in messages that all share.
OURS = {
    D19: {
        ("Failure", 6),
        ("CreateInstanceRequest", 6),
        ("PurgeInstanceFilter", 4),
        ("GetWorkItemsRequest", 1),
        ("GetWorkItemsRequest", 2),
        ("GetWorkItemsRequest", 3),
    },
    MS: {
        ("Parent", 5),
        ("Parent", 6),
        ("WorkflowState", 16),
        ("WorkflowState", 17),
        ("CreateInstanceRequest", 10),
        ("CreateInstanceRequest", 11),
        ("ReusePolicy", 2),
        ("GetInstanceRequest", 3),
        ("RaiseEventRequest", 4),
        ("TerminateRequest", 4),
        ("SuspendRequest", 3),
        ("ResumeRequest", 3),
    },
    RUNTIME: set(),
}

PEERS = [
    pytest.param(D17, dapr_pb2, DAPR_17 | COMMON, id="durabletask-dapr 0.17"),
    pytest.param(D18, dapr_pb2, DAPR | COMMON, id="dapr 1.18"),
    pytest.param(D19, dapr_pb2, DAPR | COMMON, id="dapr 1.19"),
    pytest.param(MS, microsoft_pb2, MICROSOFT | COMMON, id="durabletask 1.12"),
    pytest.param(RUNTIME, runtime_pb2, RUNTIME_TYPES, id="dapr runtime 1.19"),
]
NEWEST = [p for p in PEERS if p.values[0] not in (D17, D18)]


def own(module: ModuleType, name: str) -> Descriptor:
    types = module.DESCRIPTOR.message_types_by_name
    return types[name] if name in types else common_pb2.DESCRIPTOR.message_types_by_name[name]


def pairs(
    sdk: str, module: ModuleType, roots: dict[str, str]
) -> Iterator[tuple[Descriptor, Descriptor]]:
    """Our and the SDK's type of every message that can be reached from the roots."""
    there = peer(sdk)
    todo = [
        (own(module, ours), there.descriptor(theirs))
        for ours, theirs in roots.items()
        if theirs in known(sdk)
    ]
    seen = set()
    while todo:
        pair = todo.pop()
        if pair[0].full_name in seen:
            continue
        seen.add(pair[0].full_name)
        yield pair
        for number, field in pair[0].fields_by_number.items():
            other = pair[1].fields_by_number.get(number)
            if other is None or field.message_type is None or other.message_type is None:
                continue
            if not field.message_type.full_name.startswith("google."):
                todo.append((field.message_type, other.message_type))


def known(sdk: str) -> set[str]:
    return {message.name for file in peer(sdk).files for message in file.message_type}


def shape(field: FieldDescriptor) -> tuple[object, ...]:
    """What decides about the bytes of a field, and what they mean."""
    kind = field.message_type
    name = kind.full_name if kind is not None and kind.full_name.startswith("google.") else ""
    entry: tuple[object, ...] = ()
    if kind is not None and kind.GetOptions().map_entry:
        entry = tuple(shape(kind.fields_by_number[n]) for n in (1, 2))
    return (field.type, field.is_repeated, name, entry)


@pytest.mark.parametrize(("sdk", "module", "roots"), PEERS)
def test_what_an_sdk_says_has_our_number_and_type(
    sdk: str, module: ModuleType, roots: dict[str, str]
) -> None:
    wrong = []
    for ours, theirs in pairs(sdk, module, roots):
        for number, field in theirs.fields_by_number.items():
            if (ours.name, number) in LEFT_OUT[sdk]:
                continue
            mine = ours.fields_by_number.get(number)
            if mine is None or shape(mine) != shape(field):
                wrong.append(f"{ours.name} #{number} ({theirs.name}.{field.name})")
    assert wrong == []


@pytest.mark.parametrize(("sdk", "module", "roots"), NEWEST)
def test_what_we_say_the_newest_sdk_knows(
    sdk: str, module: ModuleType, roots: dict[str, str]
) -> None:
    wrong = [
        f"{ours.name} #{number}"
        for ours, theirs in pairs(sdk, module, roots)
        for number in ours.fields_by_number
        if number not in theirs.fields_by_number and (ours.name, number) not in OURS[sdk]
    ]
    assert wrong == []


@pytest.mark.parametrize(("sdk", "module", "roots"), NEWEST)
def test_every_exception_is_still_needed(
    sdk: str, module: ModuleType, roots: dict[str, str]
) -> None:
    types = {o.name: (o, t) for o, t in pairs(sdk, module, roots)}
    for name, number in LEFT_OUT[sdk]:
        ours, theirs = types[name]
        mine, other = ours.fields_by_number.get(number), theirs.fields_by_number[number]
        assert mine is None or shape(mine) != shape(other), (name, number)
    for name, number in OURS[sdk]:
        ours, theirs = types[name]
        assert number in ours.fields_by_number, (name, number)
        other = theirs.fields_by_number.get(number)
        assert other is None or shape(ours.fields_by_number[number]) != shape(other)


@pytest.mark.parametrize(("sdk", "module", "roots"), PEERS)
def test_every_root_exists_somewhere(sdk: str, module: ModuleType, roots: dict[str, str]) -> None:
    absent = set(roots.values()) - known(sdk)
    old = {"ListInstanceIDsRequest", "ListInstanceIDsResponse"}
    assert absent <= (old if sdk in (D17, D18) else set())


@pytest.mark.parametrize(("sdk", "module", "roots"), NEWEST)
def test_every_message_of_ours_can_be_reached(
    sdk: str, module: ModuleType, roots: dict[str, str]
) -> None:
    # A type that nothing refers to would be compared with nothing.
    reached = {ours.name for ours, _ in pairs(sdk, module, roots)}
    assert set(module.DESCRIPTOR.message_types_by_name) - reached == set()


def values(kind: EnumDescriptor) -> dict[str, int]:
    return {value.name: value.number for value in kind.values}


@pytest.mark.parametrize(
    ("prefix", "ours", "sdk", "theirs", "strip"),
    [
        ("STATUS_", common_pb2.Status, D19, "OrchestrationStatus", "ORCHESTRATION_STATUS_"),
        ("", dapr_pb2.StalledReason, D19, "StalledReason", ""),
        (
            "SCOPE_",
            dapr_pb2.HistoryPropagationScope,
            D19,
            "HistoryPropagationScope",
            "HISTORY_PROPAGATION_SCOPE_",
        ),
        (
            "CAPABILITY_",
            dapr_pb2.WorkerCapability,
            D19,
            "WorkerCapability",
            "WORKER_CAPABILITY_",
        ),
        (
            "CAPABILITY_",
            microsoft_pb2.WorkerCapability,
            MS,
            "WorkerCapability",
            "WORKER_CAPABILITY_",
        ),
    ],
    ids=["status", "stall", "scope", "dapr capability", "microsoft capability"],
)
def test_enums_have_the_sdk_s_numbers(
    prefix: str, ours: Any, sdk: str, theirs: str, strip: str
) -> None:
    there = peer(sdk).pool.FindEnumTypeByName(theirs)
    mine = {k.removeprefix(prefix): v for k, v in values(ours.DESCRIPTOR).items()}
    assert mine == {k.removeprefix(strip): v for k, v in values(there).items()}


def test_the_engine_s_numbers_are_the_protocol_s() -> None:
    status = {f"STATUS_{s.name}": s.value for s in Status}
    assert status == values(common_pb2.Status.DESCRIPTOR)
    assert {r.name: r.value for r in StallReason} == values(dapr_pb2.StalledReason.DESCRIPTOR)


def test_generated_modules_are_what_the_sources_say() -> None:
    script = runpy.run_path(str(ROOT / "proto" / "generate.py"))
    assert script["stale"]() == []


@pytest.mark.parametrize("sdk", [D17, D18, D19, MS, RUNTIME])
def test_our_modules_load_beside_an_sdk_s(sdk: str) -> None:
    # The SDKs register their types in the process-wide pool; so do we.
    program = f"""
from google.protobuf import descriptor_pool, duration_pb2, empty_pb2, struct_pb2
from google.protobuf import timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
data = open({str(FOLDER / f"{sdk}.binpb")!r}, "rb").read()
for file in FileDescriptorSet.FromString(data).file:
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2, runtime_pb2
print(dapr_pb2.WorkItem.DESCRIPTOR.full_name, microsoft_pb2.WorkItem.DESCRIPTOR.full_name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(ROOT / "sidecar")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [
        "tenure.wire.dapr.v1.WorkItem",
        "tenure.wire.microsoft.v1.WorkItem",
    ], done.stderr
