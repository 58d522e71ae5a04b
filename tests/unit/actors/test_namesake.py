"""When another process of the same name is there; two real ones are in tests/cluster/test_namesakes."""

from __future__ import annotations

from tenure_sidecar.actors.sharing.namesake import OFTEN, WITHIN, Namesake


def test_a_restart_under_the_same_name_is_no_namesake() -> None:
    one = Namesake()
    assert not one.take(range(64), now=1000)  # all at once, and each only once
    assert not one.take([], now=1001)
    assert not one.there(now=1001)


def test_what_is_taken_again_and_again_is_said_once() -> None:
    one = Namesake()
    said = [one.take([1, 2], now=1000 + n) for n in range(OFTEN + 5)]
    assert [n for n, true in enumerate(said) if true] == [OFTEN - 1]
    assert one.there(now=1010)


def test_what_is_rare_does_not_add_up() -> None:
    one = Namesake()
    assert not any(one.take([1], now=1000 + n * WITHIN) for n in range(10))


def test_it_is_over_when_nothing_is_taken_and_said_again_when_it_comes_back() -> None:
    one = Namesake()
    for n in range(OFTEN):
        one.take([1], now=1000 + n)
    later = 1000 + OFTEN + WITHIN
    assert not one.there(now=later)
    said = [one.take([1], now=later + n) for n in range(OFTEN)]
    assert said == [False] * (OFTEN - 1) + [True]
