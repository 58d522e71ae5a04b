"""Whatever bytes come in: a record, or a BadRequestError, and never anything else.

In scope: every decoder, on random bytes and on messages with bytes changed, cut off and inserted;
that what was decoded can be stored.  Out of scope: limits on sizes, which the transport enforces.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.actions import Complete, CreateTimer, Rewind
from tenure_sidecar.wire import client
from tenure_sidecar.wire._generated import common_pb2, dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.codec import TurnResult
from tenure_sidecar.wire.dapr import DaprCodec
from tenure_sidecar.wire.flavour import choose
from tenure_sidecar.wire.microsoft import MicrosoftCodec

DAPR = DaprCodec(app_id="shop", namespace="prod")
MICROSOFT = MicrosoftCodec()


def _choose(data: bytes) -> object:
    return choose((), data, default="dapr", forced=None)


def _entity(data: bytes) -> object:
    return client.entity_id(data, method="GetEntity")


DECODERS: dict[str, Callable[[bytes], object]] = {
    "choose": _choose,
    "dapr hello": DAPR.hello,
    "dapr turn": DAPR.turn_result,
    "dapr activity": DAPR.activity_result,
    "microsoft hello": MICROSOFT.hello,
    "microsoft turn": MICROSOFT.turn_result,
    "microsoft activity": MICROSOFT.activity_result,
    "start": client.start,
    "get": client.get,
    "raise": client.raise_event,
    "terminate": client.terminate,
    "suspend": client.suspend,
    "resume": client.resume,
    "rewind": client.rewind,
    "restart": client.restart,
    "rerun": client.rerun,
    "purge": client.purge,
    "query": client.query,
    "list microsoft": client.list_microsoft,
    "list dapr": client.list_dapr,
    "history dapr": client.history_dapr,
    "history microsoft": client.history_microsoft,
    "skip termination": client.skip_termination,
    "create task hub": client.create_task_hub,
    "entity": _entity,
}


def _dapr_turn() -> bytes:
    message = dapr_pb2.WorkflowResponse(instance_id="wf", completion_token="t")
    message.actions.add(id=1).schedule_task.name = "Charge"
    message.actions.add(id=2).create_child.name = "Inner"
    message.actions.add(id=3).create_timer.fire_at.seconds = 5
    message.actions.add(id=4).send_event.name = "Ping"
    message.actions.add(id=5).terminate.instance_id = "old"
    message.actions.add(id=6).create_detached.tags["k"] = "v"
    message.actions.add(id=7).version_not_available.SetInParent()
    complete = message.actions.add(id=8).complete
    complete.failure.inner_failure.error_type = "E"
    complete.carryover_events.add(event_id=-1).event_raised.name = "A"
    complete.carryover_events.add(event_id=2).timer_created.fire_at.nanos = 5
    message.version.patches.append("p")
    return message.SerializeToString()


def _microsoft_turn() -> bytes:
    message = microsoft_pb2.OrchestratorResponse(
        instance_id="wf",
        completion_token="t",
    )
    message.actions.add(id=1).schedule_task.tags["k"] = "v"
    message.actions.add(id=2).create_child.parent_trace.trace_parent = "00"
    message.actions.add(id=3).create_timer.fire_at.seconds = 5
    message.actions.add(id=4).send_entity_message.operation_called.operation = "o"
    rewind = message.actions.add(id=5).rewind.new_history
    rewind.add(event_id=-1).execution_started.parent.instance.instance_id = "p"
    rewind.add(event_id=2).execution_rewound.tags["k"] = "v"
    message.actions.add(id=6).complete.failure.properties["k"].number_value = 1
    message.trace.span_id.value = "s"
    return message.SerializeToString()


def _start() -> bytes:
    message = common_pb2.CreateInstanceRequest(instance_id="wf", name="Flow")
    message.tags["k"] = "v"
    message.scheduled_start.seconds = 5
    message.reuse_policy.statuses.extend([0, 5])
    message.parent_trace.trace_parent = "00"
    return message.SerializeToString()


SEEDS = (
    _dapr_turn(),
    _microsoft_turn(),
    _start(),
    common_pb2.ActivityResponse(
        instance_id="wf", failure=common_pb2.Failure(error_type="E")
    ).SerializeToString(),
    bytes.fromhex("08c80110c801520102"),
    bytes.fromhex("22020302"),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with bytes changed, cut off, doubled or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = draw(st.binary(max_size=12))
            case _:
                data += data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=200) | damaged())
def test_a_record_or_a_refusal(name: str, data: bytes) -> None:
    with suppress(BadRequestError):
        DECODERS[name](data)


def test_undamaged_messages_are_no_refusals() -> None:
    assert len(DAPR.turn_result(SEEDS[0]).response.actions) == 8
    assert len(MICROSOFT.turn_result(SEEDS[1]).response.actions) == 6
    assert client.start(SEEDS[2]).name == "Flow"


@pytest.mark.parametrize("codec", [DAPR, MICROSOFT], ids=["dapr", "microsoft"])
@given(data=damaged())
def test_what_was_decoded_can_be_stored_and_sent(
    codec: DaprCodec | MicrosoftCodec, data: bytes
) -> None:
    try:
        result: TurnResult = codec.turn_result(data)
    except BadRequestError:
        return
    encode: Any = msgspec.msgpack.Encoder().encode
    for action in result.response.actions:
        encode(action)
        events = ()
        if isinstance(action, Complete):
            events = action.carryover
        elif isinstance(action, Rewind):
            events = action.history
        elif isinstance(action, CreateTimer):
            assert 0 <= action.fire_at.nanos < 10**9
        for event in events:
            for each in (DAPR, MICROSOFT):
                each.event(event)
