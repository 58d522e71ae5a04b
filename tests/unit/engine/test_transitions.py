"""The state table: what is legal, that turns are held to it, and that the docs show it."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from support.engine_driver import T0, Driver
from tenure_common.errors import IllegalTransitionError
from tenure_sidecar.engine import transitions
from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import Status

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "state-machine.md"
LIVE = {Status.PENDING, Status.RUNNING, Status.SUSPENDED, Status.STALLED}
ENDED = {Status.COMPLETED, Status.FAILED, Status.TERMINATED}
REAL = LIVE | ENDED


def legal(source: Status, target: Status) -> bool:
    try:
        transitions.check(source, target, instance_id="wf")
    except IllegalTransitionError:
        return False
    return True


def test_terminal_is_final_but_for_rewind() -> None:
    left = {(s, t) for s in ENDED for t in REAL if s is not t and legal(s, t)}
    assert left == {(Status.FAILED, Status.RUNNING)}


def test_every_live_state_can_be_terminated() -> None:
    assert all(legal(source, Status.TERMINATED) for source in LIVE)


def test_every_state_is_reachable_and_only_real_ones_are() -> None:
    reached = {Status.PENDING}
    while more := {t.target for t in transitions.TABLE if t.source in reached} - reached:
        reached |= more
    assert reached == REAL


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(Status.SUSPENDED, Status.COMPLETED, id="suspended-runs-no-code"),
        pytest.param(Status.SUSPENDED, Status.STALLED, id="suspended-cannot-stall"),
        pytest.param(Status.RUNNING, Status.PENDING, id="started-stays-started"),
        pytest.param(Status.RUNNING, Status.CANCELED, id="canceled-is-never-made"),
        pytest.param(Status.RUNNING, Status.CONTINUED_AS_NEW, id="no-status-of-an-instance"),
        pytest.param(Status.TERMINATED, Status.RUNNING, id="terminated"),
    ],
)
def test_no_such_arrow(source: Status, target: Status) -> None:
    with pytest.raises(IllegalTransitionError) as caught:
        transitions.check(source, target, instance_id="wf")
    assert caught.value.code == "TN0104"
    assert "'wf'" in str(caught.value)
    assert source.name in str(caught.value)
    assert target.name in str(caught.value)


@pytest.mark.parametrize(("source", "target"), [*itertools.product(sorted(REAL), repeat=2)])
def test_a_turn_is_held_to_the_table(source: Status, target: Status) -> None:
    driver = Driver()
    driver.state.head = msgspec.structs.replace(driver.state.head, status=source)
    draft = Draft(driver.state, now=T0, ids=driver.ids)
    if legal(source, target):
        assert draft.turn(status=target).head.status is target
    else:
        with pytest.raises(IllegalTransitionError):
            draft.turn(status=target)


def test_no_arrow_is_drawn_twice() -> None:
    pairs = [(t.source, t.target) for t in transitions.TABLE]
    assert len(set(pairs)) == len(pairs)
    assert all(t.cause for t in transitions.TABLE)


def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert transitions.page(text) == text, "write transitions.page(text) to the page"


def test_the_diagram_has_every_arrow() -> None:
    lines = [line.strip() for line in transitions.diagram().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    for arrow in transitions.TABLE:
        assert f"{arrow.source.name} --> {arrow.target.name}: {arrow.cause}" in lines
    assert sum("[*]" in line for line in lines) == 4


def test_a_page_without_a_diagram_is_refused() -> None:
    with pytest.raises(ValueError, match="mermaid"):
        transitions.page("# nothing\n")
