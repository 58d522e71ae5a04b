"""Reading fields of protobuf bytes without a schema: a token, and what gives a flavour away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_common.errors import BadRequestError
from tenure_sidecar.wire._generated import dapr_pb2, microsoft_pb2
from tenure_sidecar.wire.peek import has_routers, peek_string


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


MIXED = (
    field(1, b"instance")
    + varint(2 << 3)
    + varint(2**63)
    + varint(3 << 3 | 1)
    + bytes(8)
    + varint(5 << 3 | 5)
    + bytes(4)
    + field(4, "tokén".encode())
    + field(900, b"x" * 300)
)


@pytest.mark.parametrize(
    ("message", "number", "expected"),
    [
        pytest.param(b"", 4, "", id="empty message"),
        pytest.param(MIXED, 1, "instance", id="first"),
        pytest.param(MIXED, 4, "tokén", id="behind every wire type"),
        pytest.param(MIXED, 900, "x" * 300, id="long tag and length"),
        pytest.param(MIXED, 7, "", id="absent"),
        pytest.param(field(4, b"a") + field(4, b"b"), 4, "b", id="last one wins"),
        pytest.param(field(4, b""), 4, "", id="present and empty"),
    ],
)
def test_finds(message: bytes, number: int, expected: str) -> None:
    assert peek_string(message, number) == expected


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x22", id="length missing"),
        pytest.param(b"\x22\x05ab", id="value cut off"),
        pytest.param(b"\x23", id="group, long gone from protobuf"),
        pytest.param(b"\xff" * 11, id="endless varint"),
        pytest.param(b"\x19\x00", id="fixed64 cut off"),
        pytest.param(field(4, b"\xff\xfe"), id="not UTF-8"),
    ],
)
def test_refuses(message: bytes) -> None:
    with pytest.raises(BadRequestError, match="broken at byte"):
        peek_string(message, 4)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_string_or_a_coded_error(message: bytes) -> None:
    try:
        assert isinstance(peek_string(message, 4), str)
    except BadRequestError:
        pass


def test_an_action_with_a_router_is_daprs() -> None:
    answer = dapr_pb2.WorkflowResponse(instance_id="a", completion_token="t")
    answer.actions.add(id=1).schedule_task.name = "one"
    assert not has_routers(answer.SerializeToString())
    action = answer.actions.add(id=2)
    action.create_timer.fire_at.seconds = 1
    action.router.source_app_id = "shop"
    assert has_routers(answer.SerializeToString())


def test_a_rewind_of_microsofts_is_no_router() -> None:
    answer = microsoft_pb2.OrchestratorResponse(instance_id="a", completion_token="t")
    answer.actions.add(id=1).schedule_task.name = "one"
    answer.actions.add(id=2).rewind.new_history.add(event_id=1)
    assert not has_routers(answer.SerializeToString())


def test_broken_bytes_are_refused_by_both() -> None:
    with pytest.raises(BadRequestError):
        has_routers(b"\x12\xff")
    with pytest.raises(BadRequestError):
        has_routers(field(2, b"\x4a\x05x"))
