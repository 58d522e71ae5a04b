"""The fair queue: order within a key, rounds over keys, removal.  Pure; no dispatcher here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.dispatch.fair import FairQueue


def drain(queue: FairQueue[str, int]) -> list[tuple[str, int]]:
    return [queue.pop() for _ in range(len(queue))]


def test_one_key_is_first_in_first_out() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("a", [1, 2])
    queue.push("a", [3])
    assert drain(queue) == [("a", 1), ("a", 2), ("a", 3)]


def test_a_hot_key_gets_one_place_in_the_round() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("hot", range(100))
    queue.push("cold", [1])
    queue.push("mild", [1, 2])
    assert [key for key, _ in drain(queue)][:6] == ["hot", "cold", "mild", "hot", "mild", "hot"]


def test_what_was_put_back_is_next_of_all() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("a", [1, 2])
    queue.push("b", [3])
    key, value = queue.pop()
    queue.push_front(key, value)
    assert queue.pop() == ("a", 1)
    assert queue.pop() == ("b", 3)
    assert queue.pop() == ("a", 2)


def test_put_back_of_a_key_that_is_gone() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("b", [9])
    queue.push_front("a", 1)
    assert drain(queue) == [("a", 1), ("b", 9)]


def test_remove_takes_only_its_key() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("a", [1, 2])
    queue.push("b", [3])
    assert queue.remove("a") == 2
    assert queue.remove("a") == 0
    assert drain(queue) == [("b", 3)]


def test_pop_of_an_empty_queue() -> None:
    queue: FairQueue[str, int] = FairQueue()
    queue.push("a", [])
    assert len(queue) == 0
    with pytest.raises(KeyError):
        queue.pop()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), max_size=60))
def test_nobody_waits_longer_than_a_round(pushes: list[tuple[str, int]]) -> None:
    """Between two pops of one key, every other waiting key is popped once."""
    queue: FairQueue[str, int] = FairQueue()
    for key, count in pushes:
        queue.push(key, range(count))
    total = sum(count for _, count in pushes)
    assert len(queue) == total
    left: dict[str, int] = {}
    for key, count in pushes:
        left[key] = left.get(key, 0) + count
    order = [key for key, _ in drain(queue)]
    assert len(order) == total
    for index, key in enumerate(order):
        left[key] -= 1
        try:
            again = order.index(key, index + 1)
        except ValueError:
            continue
        between = set(order[index + 1 : again])
        waiting = {other for other, count in left.items() if count > 0 and other != key}
        assert waiting <= between
