"""The shapes that messages are made of, against protobuf's own encoder.

In scope: lengths and numbers at the borders of their forms, defaults that are not written.  Out of
scope: messages (the other modules).
"""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int64Value, StringValue, UInt64Value

from tenure_sidecar.wire import frame
from tenure_sidecar.wire._generated import common_pb2

TAG = b"\x0a"


@pytest.mark.parametrize(
    "value",
    [1, 127, 128, 255, 300, 16_383, 16_384, 2_097_151, 2_097_152, 2**31, 2**32, 2**63, 2**64 - 1],
)
def test_numbers(value: int) -> None:
    assert b"\x08" + frame.varint(value) == UInt64Value(value=value).SerializeToString()


@pytest.mark.parametrize("value", [-1, -2, -128, -(2**31), -(2**63)])
def test_negative_numbers(value: int) -> None:
    assert b"\x08" + frame.varint(value) == Int64Value(value=value).SerializeToString()
    assert frame.integer(b"\x08", value) == Int64Value(value=value).SerializeToString()


def test_zero() -> None:
    assert frame.varint(0) == b"\x00"
    assert frame.integer(b"\x08", 0) == b""
    assert frame.integer(b"\x08", value=False) == b""
    assert frame.integer(b"\x08", value=True) == b"\x08\x01"


TEXTS = ["a", "é", "😀", "x" * 127, "x" * 128, "é" * 64, "x" * 16_383, "x" * 16_384, "\x00"]


@pytest.mark.parametrize("text", ["", *TEXTS], ids=lambda t: f"{len(t.encode())} bytes")
def test_strings(text: str) -> None:
    message = common_pb2.CreateInstanceResponse(instance_id=text)
    assert frame.string(TAG, text) == message.SerializeToString()


@pytest.mark.parametrize("text", ["", *TEXTS], ids=lambda t: f"{len(t.encode())} bytes")
def test_wrapped_strings(text: str) -> None:
    message = common_pb2.ContinueAsNewEvent(input=StringValue(value=text))
    assert frame.wrapped(TAG, text) == message.SerializeToString()


def test_no_wrapped_string() -> None:
    assert frame.wrapped(TAG, None) == b""


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_delimited(size: int) -> None:
    body = b"x" * size
    framed = frame.delimited(TAG, body)
    assert framed == TAG + frame.varint(size) + body


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (0, 0),
        (0, 1),
        (1, 0),
        (1_700_000_000, 123_456_789),
        (253_402_300_799, 999_999_999),
        (-1, 999_999_999),
        (-62_135_596_800, 0),
    ],
)
def test_times(seconds: int, nanos: int) -> None:
    body = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    assert frame.timestamp(seconds, nanos) == frame.varint(len(body)) + body
    assert frame.time(seconds * 10**9 + nanos) == frame.timestamp(seconds, nanos)


@pytest.mark.parametrize(
    "items",
    [{}, {"k": "v"}, {"": ""}, {"k": ""}, {"a": "1", "b": "2" * 200}],
    ids=["none", "one", "empty", "empty value", "two"],
)
def test_maps(items: dict[str, str]) -> None:
    data = frame.strings(b"\x42", items)
    assert dict(common_pb2.CreateInstanceRequest.FromString(data).tags) == items


def test_an_unwritten_map_is_nothing() -> None:
    assert frame.strings(b"\x42", {}) == b""
