"""Who gets how much, and whom one connects to: the pure half of lending."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.peers.lend import LINKS_MAX, limits, links, together

LENDERS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 20), min_size=1)


@given(LENDERS, st.integers(-3, 50), st.integers(0, 9), st.data())
def test_no_more_is_promised_than_is_free_and_no_less(
    loans: dict[str, int], free: int, turn: int, data: st.DataObject
) -> None:
    wanting = data.draw(st.sets(st.sampled_from(sorted(loans))))
    found = limits(free, loans, wanting, turn=turn)
    given = {name: found[name] - loans[name] for name in loans}
    assert found.keys() == loans.keys()
    assert sum(given.values()) == (max(free, 0) if wanting else 0)
    assert all(given[name] == 0 for name in loans.keys() - wanting)
    shares = [given[name] for name in wanting]
    assert not shares or max(shares) - min(shares) <= 1


def test_what_does_not_divide_goes_to_who_has_least_and_else_goes_round() -> None:
    assert limits(1, {"a": 2, "b": 1}, {"a", "b"}) == {"a": 2, "b": 2}
    turns = [limits(1, {"a": 0, "b": 0}, {"a", "b"}, turn=turn) for turn in range(4)]
    assert turns == [{"a": 1, "b": 0}, {"a": 0, "b": 1}] * 2


def test_only_the_neighbours_are_connected_to_when_there_is_nothing_to_lend() -> None:
    assert links(["n"], ["n", "x"], wanting=False, held=["n", "x"], owing=[]) == ["n"]


def test_everybody_with_workers_is_connected_to_when_there_is() -> None:
    assert links(["n"], ["x", "n", "y"], wanting=True, held=[], owing=[]) == ["n", "x", "y"]


def test_who_owes_something_stays_connected() -> None:
    assert links(["n"], [], wanting=False, held=["x"], owing=["n", "x"]) == ["n", "x"]


def test_connections_are_bounded_and_those_there_are_stay() -> None:
    others = [f"m{n}" for n in range(100)]
    found = links(["n"], others, wanting=True, held=["m99", "m98"], owing=[])
    assert len(found) == LINKS_MAX
    assert found[:4] == ["n", "m98", "m99", "m0"]


def test_a_peer_takes_what_any_of_its_workers_takes() -> None:
    assert together([]) == {}
    assert together([{"a": ("1",)}, None]) is None
    assert together([{"a": ("1",), "b": ()}, {"a": ("2", "1"), "b": ("3",), "c": ("4",)}]) == {
        "a": ("1", "2"),
        "b": (),
        "c": ("4",),
    }
    assert together([{"a": ("1",)}, {"a": ()}]) == {"a": ()}
