"""What the chart lets its processes do: rights, users, file systems, networks.

The list of rights below is written by hand.  A right that the chart gives and the list does not
have fails the test, and so does one that the list has and nobody gets any more.
"""

from __future__ import annotations

from support.helm import Json, named, pods
from support.pod_security import violations

# Who, where, on what, which of them, may do what.
Right = tuple[str, str, str, str, str]
ALLOWED: set[Right] = {
    ("injector", "cluster", "admissionregistration.k8s.io/mutatingwebhookconfigurations",
     "tenure-injector", "get patch"),
    ("injector", "cluster", "/events", "*", "create"),
    ("injector", "release", "/secrets", "tenure-injector-certificates", "get update"),
}  # fmt: skip


def rights(objects: list[Json]) -> set[Right]:
    """Every rule of every role, one line for each resource."""
    found: set[Right] = set()
    for role in objects:
        if role["kind"] not in {"Role", "ClusterRole"}:
            continue
        where = "cluster" if role["kind"] == "ClusterRole" else "release"
        who = role["metadata"]["name"].rsplit("-", 1)[-1]
        for rule in role["rules"]:
            assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
            names = " ".join(rule.get("resourceNames", ["*"]))
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    verbs = " ".join(sorted(rule["verbs"]))
                    found.add((who, where, f"{group}/{resource}", names, verbs))
    return found


def test_rights_are_those_of_the_list(rendered: dict[str, list[Json]]) -> None:
    assert rights(rendered["default"]) == ALLOWED


def test_no_example_gives_more(objects: list[Json]) -> None:
    renamed = {
        (who, where, what, names.replace("tenure-flows", "tenure"), verbs)
        for who, where, what, names, verbs in rights(objects)
    }
    assert renamed <= ALLOWED


def test_nothing_is_a_wildcard_and_no_secret_is_for_all(objects: list[Json]) -> None:
    for _who, where, what, names, verbs in rights(objects):
        assert "*" not in verbs
        assert "*" not in what
        assert "secrets" not in what or (where == "release" and names != "*")
        assert "exec" not in what


def test_certificate_of_another_program_needs_no_right(rendered: dict[str, list[Json]]) -> None:
    injector = {right for right in rights(rendered["cert-manager"]) if right[0] == "injector"}
    assert injector == {("injector", "cluster", "/events", "*", "create")}


def test_pods_are_restricted(objects: list[Json]) -> None:
    found = dict(pods(objects))
    assert found
    for name, pod in found.items():
        assert violations(pod) == [], name
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name


def test_pods_have_an_account_of_their_own(objects: list[Json]) -> None:
    for name, pod in pods(objects):
        spec = pod["spec"]
        assert named(objects, "ServiceAccount", spec["serviceAccountName"]), name
        assert spec["enableServiceLinks"] is False, "variables of Services are nobody's settings"


def test_only_reviews_and_health_reach_the_injector(rendered: dict[str, list[Json]]) -> None:
    policy = named(rendered["ha"], "NetworkPolicy", "tenure-injector")["spec"]
    (rule,) = policy["ingress"]
    assert {port["port"] for port in rule["ports"]} == {"reviews", "health"}
    (_, pod), = pods(rendered["ha"])  # fmt: skip
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert not [one for one in rendered["default"] if one["kind"] == "NetworkPolicy"]


# --- the webhook ----------------------------------------------------------------------------------


def webhooks(objects: list[Json]) -> list[Json]:
    (found,) = [one for one in objects if one["kind"] == "MutatingWebhookConfiguration"]
    return list(found["webhooks"])


def test_webhook_touches_only_pods_that_ask(objects: list[Json]) -> None:
    label, annotation = webhooks(objects)
    assert label["objectSelector"] == {"matchLabels": {"tenure.dev/inject": "true"}}
    (condition,) = annotation["matchConditions"]
    assert "'tenure.dev/inject' in object.metadata.annotations" in condition["expression"]
    for one in (label, annotation):
        assert one["rules"] == [
            {
                "operations": ["CREATE"],
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
                "scope": "Namespaced",
            }
        ]
        (excluded,) = one["namespaceSelector"]["matchExpressions"]
        assert excluded["operator"] == "NotIn"
        assert {"kube-system", "tenure-system"} <= set(excluded["values"])
        assert one["reinvocationPolicy"] == "IfNeeded"
        assert one["timeoutSeconds"] <= 5


def test_webhook_fails_closed_unless_told_otherwise(rendered: dict[str, list[Json]]) -> None:
    for example, policy in (("default", "Fail"), ("everything", "Ignore")):
        assert {one["failurePolicy"] for one in webhooks(rendered[example])} == {policy}


def test_dapr_is_asked_about_only_with_compatibility(rendered: dict[str, list[Json]]) -> None:
    for example, there in (("default", False), ("everything", True)):
        (condition,) = webhooks(rendered[example])[1]["matchConditions"]
        assert ("dapr.io/enabled" in condition["expression"]) is there


def test_chart_says_nothing_about_the_injectors_own_ca(rendered: dict[str, list[Json]]) -> None:
    # Or else an upgrade would take the CA away that the injector has put there.
    assert all("caBundle" not in one["clientConfig"] for one in webhooks(rendered["default"]))
    secret = named(rendered["default"], "Secret", "tenure-injector-certificates")
    assert "data" not in secret
