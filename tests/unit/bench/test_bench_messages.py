"""The messages of the benchmark, and the framing of ready-made pieces.

Not in scope: that SDKs understand them; every benchmark run shows that.
"""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from messages import framed, new, parse


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 16_383, 16_384, 70_000])
def test_a_turn_from_pieces_is_the_turn(size: int) -> None:
    events = [
        new("HistoryEvent", eventId=-1, turnStarted=new("Empty")),
        new("HistoryEvent", eventId=3, eventRaised=new("EventRaised", name="x" * size)),
    ]
    whole = new("TurnRequest", instanceId="i", pastEvents=events[:1], newEvents=events[1:])
    item = new("WorkItem", turn=whole, completionToken="t")
    turn = (
        new("TurnRequest", instanceId="i").SerializeToString()
        + framed(b"\x1a", events[0].SerializeToString())
        + framed(b"\x22", events[1].SerializeToString())
    )
    assert parse("WorkItem", framed(b"\x0a", turn) + framed(b"\x52", b"t")) == item


def test_unknown_fields_are_carried_not_refused() -> None:
    assert parse("GetInstance", framed(b"\x0a", b"i") + framed(b"\x7a", b"?")).instanceId == "i"


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda: new("Nothing"), KeyError),
        (lambda: new("Text", nothing=1), ValueError),
        (lambda: parse("Text", b"\xff"), DecodeError),
    ],
    ids=["no such message", "no such field", "not a message"],
)
def test_mistakes_are_errors(act: object, error: type[Exception]) -> None:
    assert callable(act)
    with pytest.raises(error):
        act()


def test_capabilities_packed_and_unpacked_are_read() -> None:
    assert list(parse("GetWorkItems", bytes.fromhex("22020302")).capabilities) == [3, 2]
    assert list(parse("GetWorkItems", bytes.fromhex("2002")).capabilities) == [2]
