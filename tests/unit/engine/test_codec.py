"""The stored form: round trips, what an older or newer writer left, what is damaged.

In scope: bytes of heads, events and items.  Out of scope: golden files (test_golden), stores.
"""

from __future__ import annotations

import msgspec
import pytest

from support.engine_driver import T0, Driver
from tenure_common.errors import StoreCorruptError, StoreNewerError
from tenure_sidecar.engine import codec
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.head import Head, Stall
from tenure_sidecar.engine.turn import InboxItem

TRACE = ev.TraceContext("00-a-b-01", "b", "s")
FAILURE = ev.Failure("E", "m", "stack", ev.Failure("I", "i"), True, {"k": b"\x00\xff"})
PARENT = ev.Parent("p", "e", 3, "n", "v", "app", "ns")
ORIGIN = ev.TimerOrigin(ev.ORIGIN_ACTIVITY_RETRY, "t")
TAGS = {"k": "v"}

EVERY_EVENT: tuple[ev.Event, ...] = (
    ev.ExecutionStarted(1, "i", "e", "n", "v", "in", PARENT, Instant(5, 6), TRACE, "span", TAGS),
    ev.ExecutionCompleted(1, 2, Status.FAILED, "r", FAILURE),
    ev.ExecutionTerminated(1, "o", recurse=True),
    ev.TaskScheduled(1, 2, "n", "v", "in", "t", TRACE, TAGS, "src", 1),
    ev.TaskCompleted(1, 2, "r", "t"),
    ev.TaskFailed(1, 2, FAILURE, "t"),
    ev.ChildCreated(1, 2, "c", "n", "v", "in", TRACE, TAGS, "src", 1, "rp"),
    ev.ChildCompleted(1, 2, "r"),
    ev.ChildFailed(1, 2, FAILURE),
    ev.TimerCreated(1, 2, Instant(253402300799, 999999999), "n", ORIGIN, "src"),
    ev.TimerFired(1, 2, Instant(3, 4)),
    ev.WorkflowStarted(1, ev.VersionInfo("v", ("p", "q"))),
    ev.EventSent(1, 2, "o", "n", "in"),
    ev.EventRaised(1, "Näme", "in"),
    ev.ExecutionSuspended(1, "r"),
    ev.ExecutionResumed(1, "r"),
    ev.ExecutionRewound(1, "r", "i", "pe", "n", "v", "in", PARENT, TRACE, TAGS),
    ev.ExecutionStalled(1, ev.StallReason.PATCH_MISMATCH, "d"),
    ev.DetachedCreated(1, 2, "d"),
)

FULL_HEAD = Head(
    instance_id="i",
    name="n",
    status=Status.STALLED,
    execution_id="e",
    created_at=1,
    updated_at=2,
    version="v",
    generation=3,
    started_at=4,
    completed_at=5,
    scheduled_start=Instant(253402300799, 999999999),
    parent=PARENT,
    tags=TAGS,
    trace=TRACE,
    span_id="s",
    custom_status="c",
    output="o",
    failure=FAILURE,
    stall=Stall(ev.StallReason.PAYLOAD_SIZE_EXCEEDED, "d"),
    history_length=6,
    history_bytes=7,
    pending=8,
    clock=9,
    code=ev.VersionInfo("v", ("p",)),
    rerun_of="src",
    commit_id="cid",
    suspended=True,
    expires_at=10,
    raised=("key",),
)


def test_every_kind_of_event_is_in_the_table() -> None:
    assert {type(event) for event in EVERY_EVENT} == set(ev.Event.__args__)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda e: type(e).__name__)
def test_an_event_comes_back_as_it_was(event: ev.Event) -> None:
    again = codec.decode_event(codec.encode_event(event))
    assert again == event
    assert type(again) is type(event)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda e: type(e).__name__)
def test_absent_is_not_empty(event: ev.Event) -> None:
    required = {
        field.encode_name: getattr(event, field.name)
        for field in msgspec.structs.fields(event)
        if field.required
    }
    bare = type(event)(**required)
    assert codec.decode_event(codec.encode_event(bare)) == bare


def test_a_batch_comes_back_in_order() -> None:
    assert codec.decode_events(codec.encode_events(EVERY_EVENT)) == EVERY_EVENT
    assert codec.decode_events(codec.encode_events(())) == ()
    assert codec.decode_events(codec.encode_events(list(EVERY_EVENT))) == EVERY_EVENT


def test_a_head_comes_back_as_it_was() -> None:
    again = codec.decode_head(codec.encode_head(FULL_HEAD))
    assert again == FULL_HEAD
    assert isinstance(again.status, Status)
    assert isinstance(again.scheduled_start, Instant)
    for field in msgspec.structs.fields(Head):
        assert getattr(FULL_HEAD, field.name) != field.default, f"{field.name} is not exercised"


def test_an_item_comes_back_as_it_was() -> None:
    item = InboxItem("k", EVERY_EVENT[0], "e", EVERY_EVENT)
    assert codec.decode_item(codec.encode_item(item)) == item


def test_the_first_byte_is_the_format() -> None:
    for data in (
        codec.encode_head(FULL_HEAD),
        codec.encode_events(EVERY_EVENT),
        codec.encode_event(EVERY_EVENT[0]),
        codec.encode_item(InboxItem("k", EVERY_EVENT[0])),
    ):
        assert data[0] == codec.FORMAT == 1


DECODERS = pytest.mark.parametrize(
    "decode", [codec.decode_head, codec.decode_event, codec.decode_events, codec.decode_item]
)


@DECODERS
def test_a_newer_format_is_refused_not_guessed(decode: object) -> None:
    for version in (2, 255):
        with pytest.raises(StoreNewerError, match=f"format {version}") as caught:
            decode(bytes([version]) + codec.encode_head(FULL_HEAD)[1:])  # type: ignore[operator]
        assert caught.value.code == "TN0402"


@DECODERS
@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x01", b"\x01\xc1", b"\x01\x93\x01\x02", b"\x01\x80", b"\x01\x91\x91\xa1x"],
    ids=lambda d: d.hex() or "empty",
)
def test_damage_is_reported_as_damage(decode: object, data: bytes) -> None:
    with pytest.raises(StoreCorruptError) as caught:
        decode(data)  # type: ignore[operator]
    assert caught.value.code == "TN0403"


def test_every_truncation_of_a_record_is_noticed() -> None:
    data = codec.encode_events(EVERY_EVENT)
    for length in range(len(data)):
        with pytest.raises(StoreCorruptError):
            codec.decode_events(data[:length])


def test_fields_that_a_newer_version_appended_are_ignored() -> None:
    for record, encode, decode in (
        (FULL_HEAD, codec.encode_head, codec.decode_head),
        *((event, codec.encode_event, codec.decode_event) for event in EVERY_EVENT),
    ):
        fields = msgspec.msgpack.decode(encode(record)[1:])  # type: ignore[operator]
        data = b"\x01" + msgspec.msgpack.encode([*fields, "new", {"a": 1}])
        assert decode(data) == record  # type: ignore[operator]


def test_fields_that_an_older_version_lacked_take_their_defaults() -> None:
    fields = msgspec.msgpack.decode(codec.encode_head(FULL_HEAD)[1:])
    old = codec.decode_head(b"\x01" + msgspec.msgpack.encode(fields[:6]))
    assert (old.instance_id, old.status, old.generation) == ("i", Status.STALLED, 0)
    event = codec.decode_event(b"\x01" + msgspec.msgpack.encode([17, T0, "name"]))
    assert event == ev.EventRaised(T0, "name")


def test_the_size_is_that_of_the_stored_record() -> None:
    assert codec.size(EVERY_EVENT) == len(codec.encode_events(EVERY_EVENT)) - 1


def test_the_head_counts_the_bytes_of_its_history() -> None:
    driver = Driver()
    turn = driver.run()
    assert turn.head.history_bytes == codec.size(turn.append)
    driver.raised("x")
    second = driver.run()
    assert second.head.history_bytes == codec.size(turn.append) + codec.size(second.append)


def test_the_size_of_a_head_does_not_grow_with_its_history() -> None:
    driver = Driver()
    driver.run()
    before = len(codec.encode_head(driver.state.head))
    for number in range(200):
        driver.raised(f"event-{number}", "x" * 100)
        driver.run()
    assert len(codec.encode_head(driver.state.head)) <= before + 8
