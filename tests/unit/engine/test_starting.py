"""What clients send: starts and messages, and what is refused before anything is stored."""

from __future__ import annotations

import pytest

from support.engine_driver import T0, Driver
from support.seeded import SeededIds
from tenure_common.errors import BadRequestError
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine import starting
from tenure_sidecar.engine.events import Instant, Status
from tenure_sidecar.engine.limits import Limits
from tenure_sidecar.engine.turn import START, InboxItem, Timer

IDS = SeededIds(5)


def test_a_start_has_everything_the_client_said() -> None:
    trace = ev.TraceContext("00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    creation = starting.start(
        "flow",
        instance_id="wf",
        input="",
        version="3",
        tags={"k": "v"},
        trace=trace,
        execution_id="e" * 32,
        now=T0,
        ids=IDS,
    )
    head, first = creation.head, creation.start
    assert head.status is Status.PENDING
    for record in (head, first):
        assert record.instance_id == "wf"
        assert record.name == "flow"
        assert record.version == "3"
        assert record.tags == {"k": "v"}
        assert record.trace == trace
        assert record.execution_id == "e" * 32
        assert record.span_id is not None
        assert len(record.span_id) == 16
        assert record.parent is None
    assert first.input == ""
    assert first.at == head.created_at == head.updated_at == T0
    assert head.started_at == head.generation == 0
    assert head.commit_id
    assert creation.timer is None
    assert creation.rejection is None
    assert creation.item == InboxItem("start", first)


def test_ids_are_chosen_when_the_client_does_not() -> None:
    one, two = (starting.start("f", now=T0, ids=IDS).head for _ in range(2))
    assert len(one.instance_id) == len(one.execution_id) == 32
    assert len({one.instance_id, two.instance_id, one.execution_id, two.execution_id}) == 4


def test_an_empty_version_is_none() -> None:
    assert starting.start("f", version="", now=T0, ids=IDS).head.version is None


@pytest.mark.parametrize(
    ("when", "due"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param(Instant(0), None, id="epoch-as-some-sdks-send-for-now"),
        pytest.param(Instant(-62135596800), None, id="year-one"),
        pytest.param(Instant.of(T0), None, id="now"),
        pytest.param(Instant.of(T0 + 1), T0 + 1, id="future"),
        pytest.param(Instant(253402300799), 2**63 - 1, id="never"),
    ],
)
def test_a_scheduled_start_counts_if_it_is_in_the_future(
    when: Instant | None, due: int | None
) -> None:
    creation = starting.start("f", instance_id="wf", scheduled_start=when, now=T0, ids=IDS)
    expected = None if due is None else Timer(due, "wf", 0, START, 0)
    assert creation.timer == expected
    assert (creation.head.scheduled_start is None) is (due is None)
    assert creation.head.scheduled_start == creation.start.scheduled_start


@pytest.mark.parametrize(
    ("name", "instance_id", "text"),
    [
        pytest.param("", "i", "needs a name", id="no-name"),
        pytest.param("n" * 513, "i", "513 characters, at most 512", id="long-name"),
        pytest.param("n", "i" * 513, "instance id", id="long-id"),
    ],
)
def test_bad_starts_are_refused(name: str, instance_id: str, text: str) -> None:
    with pytest.raises(BadRequestError, match=text):
        starting.start(name, instance_id=instance_id, now=T0, ids=IDS)


def test_the_limits_are_an_argument_and_exact() -> None:
    limits = Limits(max_name_length=3, max_id_length=2)
    starting.start("abc", instance_id="ab", now=T0, ids=IDS, limits=limits)
    with pytest.raises(BadRequestError):
        starting.start("abcd", now=T0, ids=IDS, limits=limits)
    with pytest.raises(BadRequestError):
        starting.start("abc", instance_id="abc", now=T0, ids=IDS, limits=limits)
    with pytest.raises(BadRequestError):
        starting.raise_event("abcd", None, now=T0, ids=IDS, limits=limits)


def test_tags_are_copied() -> None:
    tags = {"k": "v"}
    creation = starting.start("f", tags=tags, now=T0, ids=IDS)
    tags["k"] = "changed"
    assert creation.head.tags == {"k": "v"}


def test_an_event_without_a_name_is_refused() -> None:
    with pytest.raises(BadRequestError, match="needs a name"):
        starting.raise_event("", None, now=T0, ids=IDS)


def test_messages_carry_what_was_said() -> None:
    assert starting.raise_event("Go", "1", now=T0, ids=IDS).event == ev.EventRaised(T0, "Go", "1")
    assert starting.suspend("s", now=T0, ids=IDS).event == ev.ExecutionSuspended(T0, "s")
    assert starting.resume("r", now=T0, ids=IDS).event == ev.ExecutionResumed(T0, "r")
    assert starting.terminate("o", recurse=True, now=T0, ids=IDS).event == ev.ExecutionTerminated(
        T0, output="o", recurse=True
    )


def test_the_same_request_twice_is_two_messages() -> None:
    build = [
        lambda: starting.raise_event("e", None, now=T0, ids=IDS),
        lambda: starting.suspend(None, now=T0, ids=IDS),
        lambda: starting.resume(None, now=T0, ids=IDS),
        lambda: starting.terminate(None, recurse=False, now=T0, ids=IDS),
    ]
    keys = {make().key for make in build for _ in range(3)}
    assert len(keys) == 12


def test_n_raised_events_are_n_received_events() -> None:
    driver = Driver()
    for _ in range(5):
        driver.put(starting.raise_event("e", "same", now=T0, ids=driver.ids))
    assert [type(e) for e in driver.batch().events].count(ev.EventRaised) == 5
