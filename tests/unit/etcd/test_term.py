"""The arithmetic of a lease's deadline.  Out of scope: who sends renewals (tests/integration/etcd)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.etcd import Term
from tenure_sidecar.etcd.lease import DRIFT

TERM = Term(id=1, ttl=10, sent_at=100.0)


@pytest.mark.parametrize(
    ("now", "alive"),
    [
        pytest.param(100.0, True, id="just sent"),
        pytest.param(109.8, True, id="shortly before"),
        pytest.param(109.9, False, id="at the deadline"),
        pytest.param(109.95, False, id="etcd's own clock may still have it"),
    ],
)
def test_alive(now: float, alive: bool) -> None:
    assert TERM.alive(now) is alive


def test_an_answer_counts_from_when_it_was_sent() -> None:
    assert TERM.renewed(Term(1, 10, 103.0)).deadline == pytest.approx(103.0 + 9.9)


def test_an_answer_to_an_earlier_renewal_changes_nothing() -> None:
    assert TERM.renewed(Term(1, 10, 99.0)) is TERM


def test_etcd_may_grant_another_time() -> None:
    assert TERM.renewed(Term(1, 4, 103.0)).deadline < TERM.deadline


def test_there_is_time_for_several_tries() -> None:
    assert TERM.renew_at - TERM.sent_at < (TERM.deadline - TERM.sent_at) / 2


@given(
    ttl=st.integers(1, 3600),
    sent=st.floats(0, 1e6),
    travel=st.floats(0, 1e4),
    speed=st.floats(1 - DRIFT / 2, 1 + DRIFT / 2),
)
def test_our_deadline_is_before_etcd_s(ttl: int, sent: float, travel: float, speed: float) -> None:
    # etcd begins to count when the request reached it, on a clock that may run a little faster.
    etcd_ends = sent + travel + ttl / speed
    assert Term(1, ttl, sent).deadline < etcd_ends + 1e-6
