"""The resource definitions by themselves: described, structural in the ways that are easy to forget.

Out of scope: whether the API server takes them and what it refuses (tests/kubernetes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from tenure_common.names import API_GROUP, API_VERSION, CATEGORY
from tenure_operator import resources
from tenure_sidecar.engine.settings import MOST, Concurrency, KeptFor
from tenure_sidecar.store.partition import MAX_PARTITIONS

FOLDER = Path(__file__).resolve().parents[3] / "crds"
DEFINITIONS = {
    one["spec"]["names"]["kind"]: one
    for path in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if one["kind"] == "CustomResourceDefinition"
}
KINDS = sorted(DEFINITIONS)
BOUNDED = {"date-time"}  # formats that bound a text by themselves


def schema(kind: str) -> dict[str, Any]:
    return DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def fields(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema, with its path."""
    yield path or ".", node
    for name, child in node.get("properties", {}).items():
        yield from fields(child, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in node:
            yield from fields(node[word], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_description(kind: str) -> None:
    missing = [
        path
        for path, node in fields(schema(kind))
        if not node.get("description", "").strip() and path != ".metadata"  # none may stand there
    ]
    assert missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_descriptions_are_sentences(kind: str) -> None:
    for path, node in fields(schema(kind)):
        text = node.get("description", "X.")
        assert text.endswith("."), f"{path}: {text}"
        assert "\n" not in text.strip(), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_and_list_that_a_user_writes_is_bounded(kind: str) -> None:
    for path, node in fields(schema(kind)["properties"]["spec"]):
        if node.get("type") == "string":
            bounded = {"maxLength", "enum"} & node.keys()
            assert bounded or node.get("format") in BOUNDED, path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "integer":
            assert {"minimum", "maximum", "format"} <= node.keys(), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_says_how_it_is_merged(kind: str) -> None:
    for path, node in fields(schema(kind)):
        if node.get("type") != "array":
            continue
        assert node["x-kubernetes-list-type"] in {"map", "set", "atomic"}, path
        if path.endswith("conditions"):
            assert node["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_version_status_and_columns(kind: str) -> None:
    definition = DEFINITIONS[kind]
    spec, names = definition["spec"], definition["spec"]["names"]
    assert spec["group"] == API_GROUP
    assert definition["metadata"]["name"] == f"{names['plural']}.{API_GROUP}"
    assert names["categories"] == [CATEGORY]
    assert names["shortNames"]
    (version,) = spec["versions"]
    assert version["name"] == API_VERSION
    assert version["subresources"]["status"] == {}
    columns = version["additionalPrinterColumns"]
    assert any(column.get("priority") for column in columns), "nothing more with -o wide"
    assert [c["name"] for c in columns if not c.get("priority")][-1] == "Age"
    assert len({column["name"] for column in columns}) == len(columns)


def test_short_names_differ() -> None:
    short = [name for one in DEFINITIONS.values() for name in one["spec"]["names"]["shortNames"]]
    assert len(set(short)) == len(short)


def test_the_template_of_a_schedule_has_the_fields_of_a_workflow() -> None:
    workflow = schema("Workflow")["properties"]["spec"]["properties"]
    template = schema("WorkflowSchedule")["properties"]["spec"]["properties"]["workflowTemplate"]
    copied = template["properties"]["spec"]["properties"]
    # Each run has an id and a time of its own, and is steered by itself.
    own = {"instanceID", "startAt", "suspend", "terminate"}
    assert copied.keys() == workflow.keys() - own
    for name, field in copied.items():
        ours = {word: value for word, value in field.items() if word != "description"}
        theirs = {word: value for word, value in workflow[name].items() if word != "description"}
        assert ours == theirs, name


@pytest.mark.parametrize(
    ("kind", "struct"),
    [
        ("Workflow", resources.Workflow),
        ("WorkflowSchedule", resources.WorkflowSchedule),
        ("WorkflowEvent", resources.WorkflowEvent),
        ("WorkflowApp", resources.WorkflowApp),
    ],
)
def test_the_operator_knows_the_same_fields(kind: str, struct: Any) -> None:
    properties = schema(kind)["properties"]
    for part in ("spec", "status"):
        inner = next(one.type for one in msgspec.structs.fields(struct) if one.name == part)
        assert set(inner.__struct_encode_fields__) == set(properties[part]["properties"]), part


def test_phases_are_the_operators() -> None:
    phase = schema("Workflow")["properties"]["status"]["properties"]["phase"]
    assert tuple(phase["enum"]) == get_args(resources.Phase)


@pytest.mark.parametrize(
    ("field", "struct"),
    [("retention", resources.KeptFor), ("concurrency", resources.Concurrency)],
)
def test_the_settings_of_an_app_are_the_operators_and_the_engines(field: str, struct: Any) -> None:
    spec = schema("WorkflowApp")["properties"]["spec"]["properties"]
    assert list(struct.__struct_encode_fields__) == list(spec[field]["properties"])
    theirs = {"retention": KeptFor, "concurrency": Concurrency}[field]
    assert struct.__struct_encode_fields__ == theirs.__struct_encode_fields__
    if field == "concurrency":
        for name in theirs.__struct_encode_fields__:
            one = spec[field]["properties"][name]
            assert (one["minimum"], one["maximum"]) == (1, MOST)
    assert spec["partitions"]["maximum"] == MAX_PARTITIONS
