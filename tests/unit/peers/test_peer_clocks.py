"""What is made of answers about clocks: estimates, how far they are wrong, when it is said.

Out of scope: how the questions travel (tests/integration/peers/test_time_of_members), and what a wrong
clock costs (tests/cluster/test_clocks).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.peers.clocks import BOUND, Clocks, Estimate, differ, estimate, skew

FAR = Estimate(BOUND + 0.1, 0.05)
NEAR = Estimate(0.01, 0.001)

seconds = st.floats(0, 0.9, allow_subnormal=False)


@given(there=seconds, back=seconds, ahead=st.floats(-7200, 7200))
def test_the_true_difference_is_within_the_estimate(
    there: float, back: float, ahead: float
) -> None:
    begin = 1_800_000_000.0
    found = estimate(
        asked=5.0, heard=5.0 + there + back, here=begin + there + back, there=begin + there + ahead
    )
    assert found is not None
    assert found.least - 1e-5 <= abs(ahead) <= found.most + 1e-5
    assert abs(found.ahead - ahead) <= found.error + 1e-5


@pytest.mark.parametrize(("took", "known"), [(0.0, True), (1.99, True), (2.0, False), (9.0, False)])
def test_an_answer_that_takes_too_long_says_nothing(took: float, known: bool) -> None:
    assert (estimate(asked=1.0, heard=1.0 + took, here=50.0, there=90.0) is not None) is known


@pytest.mark.parametrize("sign", [1, -1])
def test_what_may_be_the_networks_fault_is_no_skew(sign: int) -> None:
    assert Estimate(sign * 0.4, 0.5).least == 0
    assert Estimate(sign * 3.0, 0.5).least == 2.5
    assert not differ({"a": Estimate(sign * 1.4, 0.5)}, before=False)
    assert differ({"a": Estimate(sign * 1.6, 0.5)}, before=False)


def test_the_largest_is_told() -> None:
    assert skew({}) == 0
    assert skew({"a": NEAR, "b": Estimate(-9.0, 0.5), "c": FAR}) == 8.5


def test_it_is_said_once_and_taken_back_once() -> None:
    clocks = Clocks()
    assert not clocks.take("a", NEAR)
    assert clocks.take("b", FAR)
    assert clocks.differ
    assert not clocks.take("c", FAR)
    assert not clocks.take("b", NEAR)  # c is still wrong
    assert clocks.differ
    assert clocks.take("c", NEAR)
    assert not clocks.differ


def test_a_difference_at_the_bound_is_not_told_of_all_the_time() -> None:
    clocks = Clocks()
    told = [
        clocks.take("a", Estimate(BOUND + by, 0.001))
        for by in (0.01, -0.01, 0.01, -0.3, 0.01, -0.6)
    ]
    assert told == [True, False, False, False, False, True]


def test_a_slow_answer_ends_nothing() -> None:
    clocks = Clocks()
    assert clocks.take("a", FAR)
    assert not clocks.take("a", Estimate(0.2, 0.9))
    assert clocks.differ


def test_who_is_gone_does_not_count() -> None:
    clocks = Clocks()
    clocks.take("a", FAR)
    clocks.take("b", NEAR)
    clocks.keep({"b"})
    assert clocks.skew == NEAR.least
    assert clocks.differ
    assert clocks.take("b", NEAR)


def test_nobody_to_compare_with_ends_nothing() -> None:
    """A connection that breaks again and again does not begin it anew each time."""
    clocks = Clocks()
    assert clocks.take("a", FAR)
    clocks.keep(())
    assert clocks.skew == 0
    assert not clocks.take("a", FAR)
