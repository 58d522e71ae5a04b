"""Which namespaces are served, and which are looked at now."""

from __future__ import annotations

import pytest

from tenure_sidecar.upkeep.choice import Namespace, choose, due, read


def named(name: str, label: str | None = None, *, uid: str = "", ending: bool = False) -> Namespace:
    return Namespace(name=name, uid=uid or f"uid-of-{name}", label=label, ending=ending)


@pytest.mark.parametrize(
    ("one", "served", "reason"),
    [
        (named("shop", "true"), True, None),
        (named("listed"), True, None),
        (named("listed", "false"), True, None),
        (named("shop"), False, None),
        (named("shop", "false"), False, None),
        (named("shop", "enabled"), False, "'enabled', and only 'true' counts: kubectl label"),
        (named("shop", ""), False, "is '', and only 'true' counts"),
        (named("shop", "True"), False, "kubectl label namespace shop tenure.dev/store=true"),
        (named("tenure-system", "true"), False, "are not served"),
        (named("kube-system", "true"), False, "are not served"),
        (named("kube-system"), False, None),
        (named("shop", "true", ending=True), True, None),  # until its last pod is gone
    ],
)
def test_who_is_served(one: Namespace, served: bool, reason: str | None) -> None:
    choice = choose([one], listed=("listed",), excluded=("kube-system", "tenure-system"))
    assert (one in choice.served) is served
    assert choice.names == ((one.name,) if served else ())
    assert len(choice.refused) == (reason is not None)
    for refused, text in choice.refused:
        assert refused == one
        assert reason is not None
        assert reason in text


def test_a_listed_namespace_that_is_not_there_is_not_served() -> None:
    assert choose([named("shop")], listed=("gone",), excluded=()).names == ()


def test_excluded_beats_listed() -> None:
    choice = choose([named("kube-system")], listed=("kube-system",), excluded=("kube-system",))
    assert choice.names == ()
    assert len(choice.refused) == 1


def test_which_are_looked_at_now() -> None:
    new, old, late = named("new"), named("old"), named("late")
    ending, again = named("ending", ending=True), named("again", uid="second")
    looks = {old.uid: 100.5, late.uid: 100.0, "first": 500.0}
    found = due([new, old, late, ending, again], looks, now=100.0)
    assert found == (new, late, again)


def test_as_the_api_server_describes_it() -> None:
    meta = {"name": "shop", "uid": "1", "labels": {"tenure.dev/store": "true", "other": "x"}}
    assert read({"metadata": meta}) == named("shop", "true", uid="1")
    assert read({"metadata": {"name": "shop", "uid": "1"}}) == named("shop", uid="1")
    ended = {**meta, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert read({"metadata": ended}).ending
