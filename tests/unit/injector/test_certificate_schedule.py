"""When certificates are made and replaced, over years of virtual time.

Out of scope: real certificates (test_certificate_authority.py) and the cluster (test_rotation.py).
"""

from __future__ import annotations

import pytest

from tenure_common.pki.schedule import (
    RENEW_AT,
    SETTLE,
    Authority,
    Held,
    Leaf,
    Span,
    Step,
    leaf_end,
    next_step,
)

DAY = 86_400.0
NAMES = frozenset({"tenure-injector.tenure-system.svc"})
YEAR = 365 * DAY
QUARTER = 90 * DAY


def authority(key_id: str = "a", *, begin: float = 0.0, life: float = YEAR) -> Authority:
    return Authority(key_id=key_id, life=Span(begin=begin, end=begin + life))


def leaf(issuer: str = "a", *, begin: float = 0.0, life: float = QUARTER) -> Leaf:
    return Leaf(issuer=issuer, life=Span(begin=begin, end=begin + life), names=NAMES)


def step(held: Held, now: float) -> Step:
    return next_step(held, names=NAMES, now=now)


@pytest.mark.parametrize(
    ("held", "now", "expected"),
    [
        pytest.param(Held(), 0, Step.FOUND, id="nothing"),
        pytest.param(Held(authorities=(authority(),)), 0, Step.ISSUE, id="no-leaf"),
        pytest.param(Held(authorities=(authority(),), leaf=leaf()), 0, Step.NOTHING, id="new"),
        pytest.param(
            Held(authorities=(authority(),), leaf=leaf()),
            QUARTER * RENEW_AT - 1,
            Step.NOTHING,
            id="before-two-thirds",
        ),
        pytest.param(
            Held(authorities=(authority(),), leaf=leaf()),
            QUARTER * RENEW_AT,
            Step.ISSUE,
            id="leaf-at-two-thirds",
        ),
        pytest.param(
            Held(authorities=(authority(),), leaf=leaf(begin=YEAR * RENEW_AT)),
            YEAR * RENEW_AT,
            Step.STAGE,
            id="authority-at-two-thirds",
        ),
        pytest.param(
            Held(authorities=(authority("b"), authority("a")), leaf=leaf("a")),
            SETTLE - 1,
            Step.NOTHING,
            id="staged-and-not-settled",
        ),
        pytest.param(
            Held(authorities=(authority("b"), authority("a")), leaf=leaf("a")),
            SETTLE,
            Step.ISSUE,
            id="staged-and-settled",
        ),
        pytest.param(
            Held(
                authorities=(authority("b", begin=YEAR), authority("a")),
                leaf=leaf("b", begin=YEAR),
            ),
            YEAR + 1,
            Step.PRUNE,
            id="old-one-expired",
        ),
        pytest.param(
            Held(authorities=(authority(),), leaf=leaf()), YEAR, Step.FOUND, id="all-expired"
        ),
        pytest.param(
            Held(authorities=(authority(),), leaf=leaf("x")), 0, Step.ISSUE, id="foreign-leaf"
        ),
        pytest.param(
            Held(authorities=(authority(life=10 * YEAR),), leaf=leaf()),
            QUARTER,
            Step.ISSUE,
            id="leaf-expired",
        ),
        pytest.param(
            Held(
                authorities=(authority("b", begin=YEAR), authority("a")),
                leaf=leaf("a", begin=YEAR - 1),
            ),
            YEAR,
            Step.ISSUE,
            id="authority-of-the-leaf-expired",
        ),
    ],
)
def test_step(held: Held, now: float, expected: Step) -> None:
    assert step(held, now) is expected


def test_another_name_needs_another_leaf() -> None:
    held = Held(authorities=(authority(),), leaf=leaf())
    assert next_step(held, names=frozenset({"other"}), now=1) is Step.ISSUE


def test_a_leaf_never_outlives_its_authority() -> None:
    assert leaf_end(now=YEAR - DAY, life=QUARTER, authority=authority()) == YEAR
    assert leaf_end(now=0, life=QUARTER, authority=authority()) == QUARTER


@pytest.mark.parametrize(
    ("years", "life", "authority_life", "look_every"),
    [
        pytest.param(5.0, QUARTER, YEAR, 3600.0, id="usual"),
        pytest.param(0.01, 60.0, 240.0, 1.0, id="a-minute"),
        pytest.param(5.0, 2 * YEAR, YEAR, 3600.0, id="leaf-longer-than-authority"),
    ],
)
def test_there_is_never_a_moment_without_a_trusted_leaf(
    years: float, life: float, authority_life: float, look_every: float
) -> None:
    """The law: what is served is trusted by what the API server learnt long enough ago."""
    held, now, made = Held(), 0.0, 0
    taken: list[Step] = []
    learnt: dict[str, float] = {}  # authority -> since when it is in the bundle
    while now < years * YEAR:
        while (found := step(held, now)) is not Step.NOTHING:
            taken.append(found)
            newest = held.authorities[0] if held.authorities else None
            if found in {Step.FOUND, Step.STAGE}:
                made += 1
                newest = authority(f"ca{made}", begin=now, life=authority_life)
                kept = held.authorities if found is Step.STAGE else ()
                held = Held(authorities=(newest, *kept), leaf=held.leaf)
                learnt[newest.key_id] = now
            elif found is Step.ISSUE:
                assert newest is not None
                end = leaf_end(now=now, life=life, authority=newest)
                new = Leaf(issuer=newest.key_id, life=Span(begin=now, end=end), names=NAMES)
                held = Held(authorities=held.authorities, leaf=new)
            else:
                alive = tuple(one for one in held.authorities if one.life.end > now)
                assert len(alive) < len(held.authorities)
                held = Held(authorities=alive, leaf=held.leaf)
        assert held.leaf is not None
        assert held.leaf.life.end > now
        (issuer,) = [one for one in held.authorities if one.key_id == held.leaf.issuer]
        assert issuer.life.end > now
        if made > 1:
            settle = min(SETTLE, authority_life / 20)
            assert now >= learnt[issuer.key_id] + settle or issuer.key_id == "ca1"
        assert len(held.authorities) <= 3
        now += look_every
    assert taken.count(Step.FOUND) == 1
    assert taken.count(Step.STAGE) == made - 1 >= 3
    assert taken.count(Step.PRUNE) >= 1
