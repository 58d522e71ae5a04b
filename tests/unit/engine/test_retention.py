"""How long an ended instance is kept: the settings, its own tag, and the reminder of its turn. Pure.

Out of scope: carrying it out (tests/sim/test_retention.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tenure_common.errors import BadRequestError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.head import Head
from tenure_sidecar.engine.retention import (
    NEVER,
    RETENTION_TAG,
    Retention,
    parse_retention,
    settled,
)
from tenure_sidecar.engine.turn import RETENTION, Timer, Turn

HOUR = 3_600 * 10**9
ENDED_AT = 1_000_000


def head(status: Status = Status.RUNNING, **fields: Any) -> Head:
    values: dict[str, Any] = {
        "name": "w",
        "execution_id": "e",
        "created_at": 1,
        "updated_at": 1,
        "completed_at": ENDED_AT if status.terminal else 0,
        "generation": 3,
        **fields,
    }
    return Head(instance_id="i", status=status, **values)


def end(status: Status, retention: Retention, **fields: Any) -> Turn:
    """A turn that ends the instance, settled."""
    turn = Turn(head=head(status, **fields))
    return settled(turn, before=head(**fields), retention=retention)


def reminder(due: int, generation: int = 3) -> Timer:
    return Timer(due, "i", 0, RETENTION, generation)


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (Status.COMPLETED, HOUR),
        (Status.FAILED, None),
        (Status.TERMINATED, 2 * HOUR),
        (Status.CANCELED, 2 * HOUR),
    ],
)
def test_a_status_of_its_own_goes_before_the_rest(status: Status, kept: int | None) -> None:
    retention = Retention(any=2 * HOUR, by_status={Status.COMPLETED: HOUR, Status.FAILED: None})
    assert retention.of(status, {}) == kept


@pytest.mark.parametrize(
    ("tag", "kept"),
    [("30m", HOUR // 2), ("0s", 0), ("forever", None), ("1d12h", 36 * HOUR)],
)
def test_the_instances_own_tag_goes_before_all(tag: str, kept: int | None) -> None:
    retention = Retention(any=HOUR, by_status={Status.COMPLETED: 5})
    assert retention.of(Status.COMPLETED, {RETENTION_TAG: tag}) == kept


@pytest.mark.parametrize("tag", ["", "soon", "-1d", "9" * 400 + "d", "300000w"])
def test_a_tag_that_cannot_be_read_counts_as_none(tag: str) -> None:
    assert Retention(any=HOUR).of(Status.COMPLETED, {RETENTION_TAG: tag}) == HOUR


def test_bad_texts_are_refused() -> None:
    with pytest.raises(BadRequestError):
        parse_retention("Forever")


@pytest.mark.parametrize("kept", [0, 1, HOUR])
def test_the_turn_that_ends_it_sets_the_reminder(kept: int) -> None:
    turn = end(Status.COMPLETED, Retention(any=kept))
    assert turn.head.expires_at == ENDED_AT + kept
    assert turn.timers_set == (reminder(ENDED_AT + kept),)


def test_what_is_kept_for_ever_has_none() -> None:
    turn = end(Status.COMPLETED, Retention())
    assert turn == Turn(head=head(Status.COMPLETED))


def test_beyond_the_stores_time_is_for_ever() -> None:
    turn = end(Status.COMPLETED, Retention(any=NEVER))
    assert (turn.head.expires_at, turn.timers_set) == (0, ())


def test_timers_of_the_turn_stay() -> None:
    other = Timer(5, "i", 7)
    turn = Turn(head=head(Status.FAILED), timers_set=(other,), timers_cleared=(other,))
    after = settled(turn, before=head(), retention=Retention(any=1))
    assert after.timers_set == (other, reminder(ENDED_AT + 1))
    assert after.timers_cleared == (other,)


def test_a_turn_of_an_ended_instance_changes_nothing() -> None:
    # Only what came too late was dropped; a change of the settings since does not reach back.
    ended = head(Status.COMPLETED, expires_at=77)
    turn = Turn(head=msgspec.structs.replace(ended, commit_id="c"), consumed=("k",))
    assert settled(turn, before=ended, retention=Retention(any=1)) == turn


def test_a_rewind_clears_the_reminder() -> None:
    ended = head(Status.FAILED, expires_at=77)
    turn = Turn(head=msgspec.structs.replace(ended, status=Status.RUNNING, generation=4))
    after = settled(turn, before=ended, retention=Retention(any=1))
    assert after.head.expires_at == 0
    assert after.timers_cleared == (reminder(77, generation=3),)
    assert after.timers_set == ()


def test_a_turn_under_way_is_left_as_it_is() -> None:
    turn = Turn(head=head())
    assert settled(turn, before=head(), retention=Retention(any=1)) is turn
