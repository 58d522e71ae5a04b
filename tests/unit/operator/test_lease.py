"""Who of several operators may work: the rules of the Lease."""

from __future__ import annotations

from typing import Any

import pytest

from support.values import NOW
from tenure_operator.reconcile.lease import Observed, body, observe, verdict


def lease(version: str, holder: str | None) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": holder}}


@pytest.mark.parametrize(
    ("holder", "silent", "found"),
    [
        ("me", 0, "renew"),
        ("me", 1000, "renew"),
        ("", 0, "take"),
        ("other", 15, "wait"),
        ("other", 15.01, "take"),
    ],
)
def test_verdict(holder: str, silent: float, found: str) -> None:
    seen = Observed("1", holder, at=100.0)
    assert verdict(seen, "me", now=100.0 + silent, duration=15.0) == found


def test_only_a_change_counts_as_a_sign_of_life() -> None:
    first = observe(Observed(), lease("1", "other"), at=100.0)
    assert first == Observed("1", "other", 100.0)
    assert observe(first, lease("1", "other"), at=200.0) == first
    assert observe(first, lease("2", "other"), at=200.0).at == 200.0
    assert observe(first, lease("3", None), at=200.0).holder == ""


def test_who_takes_it_counts_up_and_who_renews_does_not() -> None:
    first = body("home", "operator", "a", now=NOW, duration=15)
    assert "resourceVersion" not in first["metadata"]
    assert first["spec"]["acquireTime"] == first["spec"]["renewTime"]
    held = {**first, "metadata": {**first["metadata"], "resourceVersion": "7"}}
    renewed = body("home", "operator", "a", now=NOW + 10**9, duration=15, before=held)
    assert renewed["metadata"]["resourceVersion"] == "7", "fenced by the version"
    assert renewed["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert renewed["spec"]["renewTime"] > first["spec"]["renewTime"]
    taken = body("home", "operator", "b", now=NOW + 10**9, duration=15, before=held)
    assert taken["spec"]["leaseTransitions"] == renewed["spec"]["leaseTransitions"] + 1
    assert taken["spec"]["acquireTime"] == taken["spec"]["renewTime"]
