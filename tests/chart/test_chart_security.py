"""What the chart lets its processes do: rights, users, file systems, networks.

The list of rights below is written by hand.  A right that the chart gives and the list does not
have fails the test, and so does one that the list has and nobody gets any more.
"""

from __future__ import annotations

import base64
import os
import re
import tomllib
from urllib.parse import urlsplit

import yaml

from support.helm import CHART, Helm, Json, containers, example, named, pods
from support.pod_security import violations
from tenure_sidecar.http import access
from tenure_sidecar.upkeep.config import UpkeepConfig, wanted

ROOT = CHART.parents[1]

# Who, where, on what, which of them, may do what.
Right = tuple[str, str, str, str, str]
ALLOWED: set[Right] = {
    ("injector", "cluster", "admissionregistration.k8s.io/mutatingwebhookconfigurations",
     "tenure-injector", "get patch"),
    ("injector", "cluster", "/events", "*", "create"),
    ("injector", "release", "/secrets", "tenure-injector-certificates", "get update"),
    ("operator", "cluster", "tenure.dev/workflows", "*", "get list watch"),
    ("operator", "cluster", "tenure.dev/workflowschedules", "*", "get list watch"),
    ("operator", "cluster", "tenure.dev/workflowevents", "*", "get list watch"),
    ("operator", "cluster", "tenure.dev/workflowapps", "*", "get list watch"),
    ("operator", "cluster", "tenure.dev/workflows/status", "*", "patch"),
    ("operator", "cluster", "tenure.dev/workflowschedules/status", "*", "patch"),
    ("operator", "cluster", "tenure.dev/workflowevents/status", "*", "patch"),
    ("operator", "cluster", "tenure.dev/workflowapps/status", "*", "patch"),
    ("operator", "cluster", "tenure.dev/workflows", "*", "create delete patch"),
    ("operator", "cluster", "tenure.dev/workflowevents", "*", "delete"),
    ("operator", "cluster", "tenure.dev/workflowapps", "*", "patch"),
    ("operator", "cluster", "/events", "*", "create"),
    ("operator", "release", "coordination.k8s.io/leases", "*", "create"),
    ("operator", "release", "coordination.k8s.io/leases", "tenure-operator", "get update"),
    ("upkeep", "release", "/secrets",
     "tenure-ca tenure-etcd-tls tenure-etcd-root tenure-etcd-gateway tenure-gateway-certificate",
     "get update"),
    ("upkeep", "release", "apps/statefulsets", "tenure-etcd", "get patch"),
    ("gateway", "cluster", "apiregistration.k8s.io/apiservices",
     "v1alpha1.manage.tenure.dev", "get patch"),
    *(
        ("view", "cluster", f"manage.tenure.dev/{one}", "*", "get list watch")
        for one in (
            "apps", "apps/status", "apps/instances", "apps/counts", "apps/watch", "apps/jobs"
        )
    ),
    *(
        ("edit", "cluster", f"manage.tenure.dev/{one}", "*", "create update")
        for one in ("apps/instances", "apps/jobs", "apps/dry-run")
    ),
    *(
        ("view", "cluster", f"tenure.dev/{one}", "*", "get list watch")
        for one in ("workflows", "workflowschedules", "workflowevents", "workflowapps")
    ),
    *(
        ("edit", "cluster", f"tenure.dev/{one}", "*", "create delete deletecollection patch update")
        for one in ("workflows", "workflowschedules", "workflowevents", "workflowapps")
    ),
}  # fmt: skip

BY_LABEL: set[Right] = {  # with store.byLabel alone
    ("namespaces", "cluster", "/namespaces", "*", "list watch"),
    ("namespaces", "cluster", "/secrets", "*", "create"),
    ("namespaces", "cluster", "/events", "*", "create"),
    *(
        ("namespaces", "cluster", "/secrets", name, "get update")
        for name in ("tenure-store", "tenure-peers")
    ),
    *(
        ("namespaces", "release", "/secrets", name, "get")
        for name in ("tenure-ca", "tenure-etcd-root")
    ),
    ("namespaces", "release", "apps/statefulsets", "tenure-etcd", "get"),
}
STORE_SECRETS: Right = (
    "namespaces", "cluster", "/secrets", "tenure-store tenure-peers", "get update"
)  # fmt: skip


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


def table(objects: list[Json], *, of: str = "") -> str:
    """Rights, as the README shows them; ``of`` one who has them."""
    lines = ["| who | where | what | which | may |", "|---|---|---|---|---|"]
    for role in objects:
        if role["kind"] in {"Role", "ClusterRole"}:
            who = role["metadata"]["name"].rsplit("-", 1)[-1]
            if of not in ("", who):
                continue
            where = role["metadata"].get("namespace", "cluster")
            for _, _, what, names, verbs in sorted(rights([role])):
                which = "all" if names == "*" else ", ".join(f"`{name}`" for name in names.split())
                lines.append(f"| {who} | {where} | {what.lstrip('/')} | {which} | {verbs} |")
    return "\n".join(lines)


def test_the_readme_has_them_all(helm: Helm) -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    listed = helm.template(*example("default"), "--set", "store.namespaces={shop}")
    labelled = helm.template(*example("default"), "--set", "store.byLabel=true")
    made = text
    for mark, rows in (
        ("rights", table(listed)),
        ("rights by label", table(labelled, of="namespaces")),
    ):
        made = re.sub(
            rf"(<!-- {mark}: begin -->\n).*?(<!-- {mark}: end -->)",
            lambda match, rows=rows: f"{match[1]}\n{rows}\n\n{match[2]}",  # type: ignore[misc]
            made,
            flags=re.DOTALL,
        )
    if os.environ.get("TENURE_WRITE_GOLDEN") == "1":
        (CHART / "README.md").write_text(made, encoding="utf-8")
        text = made
    assert text == made


def test_no_example_gives_more(objects: list[Json]) -> None:
    allowed = {
        ("upkeep", "release", "/secrets", name, "get update")
        for name in ("flows-store", "flows-peers", "tenure-peers")
    }
    allowed |= BY_LABEL
    allowed |= {("upkeep", "cluster", "/namespaces", one, "get") for one in ("bank", "shop")}
    allowed |= {(*right[:3], name, right[4]) for right in ALLOWED for name in right[3].split()}
    for who, where, what, names, verbs in rights(objects):
        for name in names.replace("tenure-flows", "tenure").split():
            assert (who, where, what, name, verbs) in allowed


def test_the_operators_rights_are_those_that_it_is_tested_with(
    rendered: dict[str, list[Json]],
) -> None:
    own = yaml.safe_load_all((ROOT / "operator" / "rbac.yaml").read_text(encoding="utf-8"))
    given = {right for right in rights(rendered["default"]) if right[0] == "operator"}
    assert rights([one for one in own if one]) == given


def test_an_operator_of_some_namespaces_has_rights_in_these_alone(
    rendered: dict[str, list[Json]],
) -> None:
    name = "tenure-flows-operator"
    bound = [
        (one["kind"], one["metadata"].get("namespace"), one["roleRef"]["kind"])
        for one in rendered["everything"]
        if one["kind"].endswith("RoleBinding") and one["metadata"]["name"] == name
    ]
    assert sorted(bound) == [
        ("RoleBinding", "bank", "ClusterRole"),
        ("RoleBinding", "shop", "ClusterRole"),
        ("RoleBinding", "tenure-system", "Role"),
    ]
    named(rendered["default"], "ClusterRoleBinding", "tenure-operator")


def test_the_gateways_account_is_for_the_kubernetes_api_alone(
    rendered: dict[str, list[Json]],
) -> None:
    def bound(objects: list[Json], account: str) -> list[tuple[str, str]]:
        return sorted(
            (one["kind"], one["roleRef"]["name"])
            for one in objects
            for subject in one.get("subjects", ())
            if subject["name"] == account
        )

    account = "tenure-gateway"
    assert bound(rendered["default"], account) == [
        ("ClusterRoleBinding", "tenure-gateway"),
        ("RoleBinding", "extension-apiserver-authentication-reader"),
    ]
    # Without that there is neither token nor right.
    pod = dict(pods(rendered["cert-manager"]))["Deployment/tenure-gateway"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "--kubernetes-api" not in pod["spec"]["containers"][0]["args"]
    assert bound(rendered["cert-manager"], account) == []
    assert not [one for one in rendered["cert-manager"] if one["kind"] == "APIService"]


def test_nothing_is_a_wildcard_and_no_secret_is_for_all(objects: list[Json]) -> None:
    for _who, where, what, names, verbs in rights(objects):
        assert "*" not in verbs
        assert "*" not in what
        if (_who, where, what, names, verbs) in BY_LABEL | {STORE_SECRETS}:
            named(objects, "ValidatingAdmissionPolicyBinding", "tenure-namespaces")
        else:
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
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name


def test_pods_have_an_account_of_their_own(objects: list[Json]) -> None:
    for name, pod in pods(objects):
        spec = pod["spec"]
        assert named(objects, "ServiceAccount", spec["serviceAccountName"]), name
        assert spec["enableServiceLinks"] is False, "variables of Services are nobody's settings"


def test_only_what_is_served_is_reached(rendered: dict[str, list[Json]]) -> None:
    wanted = {
        "injector": {"reviews", "health"},
        "gateway": {"https", "health", "kubernetes"},
        "operator": {"health"},
    }
    made = dict(pods(rendered["ha"]))
    for role, ports in wanted.items():
        policy = named(rendered["ha"], "NetworkPolicy", f"tenure-{role}")["spec"]
        let_in = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert let_in == ports
        pod = made[f"Deployment/tenure-{role}"]
        assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (container,) = pod["spec"]["containers"]
        assert {port["name"] for port in container["ports"]} == ports
    clients, peers = named(rendered["ha"], "NetworkPolicy", "tenure-etcd")["spec"]["ingress"]
    assert [port["port"] for port in clients["ports"]] == ["client", "metrics"]
    assert [port["port"] for port in peers["ports"]] == ["peer"]
    (etcd,) = peers["from"]
    labels = made["StatefulSet/tenure-etcd"]["metadata"]["labels"]
    assert etcd["podSelector"]["matchLabels"].items() <= labels.items()
    assert not [one for one in rendered["default"] if one["kind"] == "NetworkPolicy"]


def test_the_gateways_certificate_is_for_its_service(rendered: dict[str, list[Json]]) -> None:
    config = UpkeepConfig(namespace="tenure-system", full_name="tenure", gateway=True)
    (certificate,) = wanted(config)
    variables = dict(pods(rendered["default"]))["Deployment/tenure-operator"]
    (container,) = variables["spec"]["containers"]
    url = next(one["value"] for one in container["env"] if one["name"] == "TENURE_GATEWAY")
    assert urlsplit(url).hostname in certificate.hosts
    (service,) = [
        one["spec"]["service"] for one in rendered["default"] if one["kind"] == "APIService"
    ]
    assert f"{service['name']}.{service['namespace']}.svc" in certificate.hosts
    contexts = named(rendered["default"], "ConfigMap", "tenure-selftest")["data"]["contexts.toml"]
    server = tomllib.loads(contexts)["contexts"]["gateway"]["server"]
    assert urlsplit(server).hostname in certificate.hosts


def test_the_gateways_callers(rendered: dict[str, list[Json]]) -> None:
    def callers(of: str, name: str) -> tuple[str, Json]:
        data = named(rendered[of], "Secret", f"{name}-access")["data"]
        text = base64.b64decode(data["access.toml"]).decode()
        access.parse(text, file="access.toml")
        return base64.b64decode(data["token"]).decode(), tomllib.loads(text)["callers"]

    token, alone = callers("default", "tenure-gateway")
    assert len(token) == 48
    assert alone == {"operator": {"tokens": [token]}}
    token, more = callers("everything", "tenure-flows-gateway")
    assert more == {
        "operator": {"tokens": [token]},
        "dashboard": {
            "tokens": ["dashboard-0123456789"],
            "namespaces": ["shop"],
            "read-only": True,
        },
    }
    secrets = [
        one["metadata"]["name"] for one in rendered["cert-manager"] if one["kind"] == "Secret"
    ]
    assert secrets == [], "all of them are another program's"


# --- the webhook ----------------------------------------------------------------------------------


def webhooks(objects: list[Json]) -> list[Json]:
    (found,) = [one for one in objects if one["kind"] == "MutatingWebhookConfiguration"]
    return list(found["webhooks"])


def test_webhook_touches_only_pods_that_ask(objects: list[Json]) -> None:
    label, annotation, slip = webhooks(objects)
    assert label["objectSelector"] == {"matchLabels": {"tenure.dev/inject": "true"}}
    (condition,) = annotation["matchConditions"]
    assert "'tenure.dev/inject' in object.metadata.annotations" in condition["expression"]
    does_not_ask, speaks = slip["matchConditions"]
    assert does_not_ask["expression"].startswith("!has(object.metadata.annotations) || !(")
    assert "startsWith('tenure.dev/')" in speaks["expression"]
    for one in (label, annotation, slip):
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
        assert one["reinvocationPolicy"] == ("Never" if one is slip else "IfNeeded")
        assert one["timeoutSeconds"] <= (1 if one is slip else 5)


def test_webhook_fails_closed_unless_told_otherwise(rendered: dict[str, list[Json]]) -> None:
    for of, policy in (("default", "Fail"), ("everything", "Ignore")):
        *asking, slip = webhooks(rendered[of])
        assert {one["failurePolicy"] for one in asking} == {policy}
        assert slip["failurePolicy"] == "Ignore", "no pod depends on being told of a slip"


def test_dapr_is_asked_about_only_with_compatibility(rendered: dict[str, list[Json]]) -> None:
    for of, there in (("default", False), ("everything", True)):
        for one in webhooks(rendered[of])[1:]:
            condition = one["matchConditions"][0]
            assert ("dapr.io/enabled" in condition["expression"]) is there


def test_chart_says_nothing_about_the_injectors_own_ca(rendered: dict[str, list[Json]]) -> None:
    # Or else an upgrade would take the CA away that the injector has put there.
    assert all("caBundle" not in one["clientConfig"] for one in webhooks(rendered["default"]))
    secret = named(rendered["default"], "Secret", "tenure-injector-certificates")
    assert "data" not in secret
