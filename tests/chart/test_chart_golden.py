"""The whole chart as files: what each of ci/*-values.yaml makes, line by line.

``TENURE_WRITE_GOLDEN=1`` writes the files anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from support.helm import EXAMPLES, Helm, Json, example

GOLDEN = Path(__file__).resolve().parent / "golden"
WRITE = os.environ.get("TENURE_WRITE_GOLDEN") == "1"
KUBERNETES = "1.34"
RESOURCES = {
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
FOREIGN = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}  # not Kubernetes' own


def shown(one: Json) -> Json:
    """An object without what differs each time, and without the text of ``crds/``."""
    if "spec" in one and one["metadata"]["labels"]["app.kubernetes.io/component"] == "resources":
        return {**one, "spec": "as in crds/"}
    if one["kind"] == "Secret" and "data" in one:
        return {**one, "data": dict.fromkeys(one["data"], "made anew")}
    return one


def text_of(objects: list[Json]) -> str:
    ordered = sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"]))
    return yaml.safe_dump_all(map(shown, ordered), sort_keys=True, width=100)


@pytest.mark.parametrize("name", EXAMPLES)
def test_golden(name: str, rendered: dict[str, list[Json]]) -> None:
    path = GOLDEN / f"{name}.yaml"
    text = text_of(rendered[name])
    if WRITE:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_there_is_no_other_file() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == EXAMPLES


def test_objects_fit_kubernetes_schemas(objects: list[Json]) -> None:
    for one in objects:
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_objects_are_labelled_and_placed(objects: list[Json]) -> None:
    ours = [one for one in objects if not one["metadata"]["name"].endswith("-extra")]
    assert ours
    for one in ours:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "tenure", one["metadata"]["name"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
    scoped = {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        *RESOURCES,
    }
    for one in ours:
        assert ("namespace" in one["metadata"]) is (one["kind"] not in scoped)


def test_resource_definitions_are_those_of_the_tree_and_stay(
    rendered: dict[str, list[Json]],
) -> None:
    own = [
        one
        for path in sorted((_chart().parents[1] / "crds").glob("*.yaml"))
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if one
    ]
    assert own
    for values, stays in (("default", True), ("everything", False)):
        made = {
            (one["kind"], one["metadata"]["name"]): one
            for one in rendered[values]
            if one["kind"] in RESOURCES
        }
        assert set(made) == {(one["kind"], one["metadata"]["name"]) for one in own}
        for one in own:
            got = made[one["kind"], one["metadata"]["name"]]
            assert got["spec"] == one["spec"]
            kept = (got["metadata"].get("annotations") or {}).get("helm.sh/resource-policy")
            assert (kept == "keep") is stays
    assert not [one for one in rendered["injector"] if one["kind"] in RESOURCES]


def test_names_are_unique(objects: list[Json]) -> None:
    keys = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects
    ]
    assert sorted(map(str, keys)) == sorted({str(key) for key in keys})


@pytest.mark.parametrize("release", ["t", "tenure", "a" * 53])
def test_names_fit_whatever_the_release_is_called(release: str, helm: Helm) -> None:
    for one in helm.template(*example("ha"), release=release):
        assert len(one["metadata"]["name"]) <= 63
        kubernetes_validate.validate(one, KUBERNETES) if one["kind"] not in FOREIGN else None


@pytest.mark.parametrize("name", EXAMPLES)
def test_lint(name: str, helm: Helm) -> None:
    helm("lint", "--strict", *[str(word) for word in example(name)], _chart())


def _chart() -> Path:
    return Path(__file__).resolve().parents[2] / "charts" / "tenure"
