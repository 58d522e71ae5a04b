"""The cache of resources: never back to an older version, children of the right owner."""

from __future__ import annotations

from support.values import FINISHED, app, schedule, workflow
from tenure_operator.cache import Cache
from tenure_operator.resources import Workflow


def child(name: str, uid: str, version: str = "1") -> Workflow:
    owner = {"kind": "WorkflowSchedule", "name": "hourly", "uid": uid}
    metadata = {
        "uid": f"uid-{name}",
        "resourceVersion": version,
        "labels": {"tenure.dev/schedule": "hourly"},
        "ownerReferences": [owner],
    }
    return workflow(name=name, metadata=metadata)


def versioned(version: str, uid: str = "u") -> Workflow:
    return workflow(metadata={"resourceVersion": version, "uid": uid})


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    cache = Cache()
    assert cache.put(versioned("10"))
    assert not cache.put(versioned("9")), "numbers, not texts"
    assert not cache.put(versioned("10"))
    assert cache.put(versioned("11"))
    found = cache.get(versioned("11").key, Workflow)
    assert found == versioned("11")


def test_a_resource_created_anew_replaces_the_old_one_whatever_its_version() -> None:
    cache = Cache()
    cache.put(versioned("10"))
    assert cache.put(versioned("5", uid="v"))


def test_children_are_those_of_this_very_schedule() -> None:
    cache, of = Cache(), schedule()
    cache.put(child("b", of.metadata.uid))
    cache.put(child("a", of.metadata.uid))
    cache.put(child("other", "a schedule of that name that was deleted"))
    assert [one.metadata.name for one in cache.children(of)] == ["a", "b"]
    cache.drop(child("a", of.metadata.uid).key)
    assert [one.metadata.name for one in cache.children(of)] == ["b"]


def test_children_are_found_whatever_their_label_says() -> None:
    cache, of = Cache(), schedule()
    metadata = {"ownerReferences": [{"kind": "WorkflowSchedule", "name": "hourly", "uid": "u"}]}
    metadata["ownerReferences"][0]["uid"] = of.metadata.uid
    cache.put(workflow(name="a", metadata=metadata))
    assert [one.metadata.name for one in cache.children(of)] == ["a"]


def test_counts_by_kind_and_phase() -> None:
    cache = Cache()
    cache.put(workflow(name="a"))
    cache.put(workflow(name="b", status=FINISHED))
    cache.put(schedule())
    cache.put(app())
    assert cache.count() == {
        ("Workflow", "Pending"): 1,
        ("Workflow", "Completed"): 1,
        ("WorkflowSchedule", ""): 1,
        ("WorkflowApp", ""): 1,
    }


def test_rivals_are_the_other_resources_of_one_app_in_one_namespace() -> None:
    cache, one = Cache(), app("orders")
    for other in (
        one,
        app("second", appID="orders"),
        app("third", appID="bills"),
        app("fourth", appID="orders", metadata={"namespace": "bank"}),
    ):
        assert cache.put(other)
    assert [rival.metadata.name for rival in cache.rivals(one)] == ["second"]
    anew = {"uid": "another", "resourceVersion": "2"}
    cache.put(app("second", appID="bills", metadata=anew))
    assert cache.rivals(one) == ()
    cache.put(app("second", appID="orders", metadata={**anew, "uid": "a third"}))
    assert len(cache.rivals(one)) == 1
    cache.drop(app("second").key)
    assert cache.rivals(one) == ()
