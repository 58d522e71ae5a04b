"""Laws of the injector: no input brings it down, a patch says what it should, twice is once."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from support.pod_security import violations
from support.pods import CONFIG, admitted, body, considered, pod
from tenure_common.errors import BadReviewError
from tenure_injector import admission, annotation_set, pods, review
from tenure_injector.options import PREFIX
from tenure_injector.patch import diff
from tenure_injector.replies import Replies
from tenure_injector.report import Verdict

CLASSIC = msgspec.structs.replace(CONFIG, sidecar_native=False, compat_dapr=True)
CONFIGS = st.sampled_from([CONFIG, CLASSIC])

# Short texts and few leaves: what matters is the shape, and generating must not be what takes time.
texts = st.text(max_size=6)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(["a", "b", "c", "tenure", "daprd", "app"])
named = st.lists(st.fixed_dictionaries({"name": names}, optional={"v": documents}), max_size=6)
lists = st.lists(documents, max_size=6) | named


@given(documents | lists, documents | lists)
def test_patch_turns_one_document_into_the_other(before: Any, after: Any) -> None:
    kept = copy.deepcopy(before)
    operations = json.loads(msgspec.json.encode(diff(before, after)))
    assert before == kept
    assert same(jsonpatch.apply_patch(before, operations), after)


@given(named, named)
def test_patch_of_named_lists(before: Any, after: Any) -> None:
    assert same(jsonpatch.apply_patch(before, list(diff(before, after))), after)


def same(one: Any, two: Any) -> bool:
    """Equality that tells 1 from true, as JSON does."""
    return bool(one == two) and json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)


@given(st.binary())
def test_no_bytes_bring_the_codec_down(text: bytes) -> None:
    try:
        review.decode(text)
    except BadReviewError as error:
        assert error.message


@given(documents)
def test_no_document_brings_the_codec_down(document: Any) -> None:
    try:
        review.decode(json.dumps(document).encode())
    except BadReviewError as error:
        assert error.message


# Pods of roughly the right shape, with something odd anywhere.
odd_containers = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": names | scalars,
            "env": named | documents,
            "ports": documents | st.just([{"containerPort": 3500}]),
            "volumeMounts": documents,
        },
    )
    | documents
)
marks = st.dictionaries(
    st.sampled_from([*annotation_set.KINDS, "dapr.io/enabled", "dapr.io/app-id", "x"]),
    st.sampled_from(["true", "false", "1", "orders", "a:/b", "", "64Mi"]) | st.text(),
)
odd_pods = st.fixed_dictionaries(
    {},
    optional={
        "metadata": documents
        | st.fixed_dictionaries(
            {},
            optional={
                "name": names | documents,
                "labels": marks | documents,
                "annotations": marks.map(lambda given: {PREFIX + "inject": "true"} | given)
                | documents,
                "ownerReferences": documents,
            },
        ),
        "spec": documents
        | st.fixed_dictionaries(
            {},
            optional={
                "containers": odd_containers | documents,
                "initContainers": odd_containers | documents,
                "volumes": named | documents,
                "hostNetwork": documents,
                "os": documents,
                "restartPolicy": documents,
            },
        ),
    },
)


@settings(max_examples=300)
@given(odd_pods | documents, CONFIGS)
def test_no_pod_brings_the_decision_down(of: Any, config: Any) -> None:
    outcome = admission.consider(review.decode(body(of)), config)
    reply = json.loads(review.encode(outcome.answer))["response"]
    assert reply["uid"] == "review-1"
    assert reply["allowed"] is (outcome.report.verdict is not Verdict.DENY)
    assert reply["allowed"] or reply["status"]["message"]
    assert ("patch" in reply) <= reply["allowed"]


REPLIES = {config: Replies(config) for config in (CONFIG, CLASSIC)}


@settings(max_examples=300)
@given(odd_pods | documents, CONFIGS, st.text(min_size=1))
def test_a_kept_decision_is_the_decision(of: Any, config: Any, uid: str) -> None:
    request = review.decode(body(of, uid=uid))
    outcome = admission.consider(request, config)
    for _ in ("perhaps the first of its kind", "surely not"):
        reply = REPLIES[config].to(request)
        assert reply.body == review.encode(outcome.answer)
        assert (reply.report, reply.pod) == (outcome.report, outcome.pod)
    if outcome.pod is not None:
        assert pods.decode(pods.encode(outcome.pod)) == outcome.pod, "it is remembered by all of it"


good_containers = st.lists(
    st.builds(
        lambda name, env: {"name": name, "image": "x", "env": env},
        st.sampled_from(["app", "mesh", "helper", "log"]),
        st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["A", "DAPR_GRPC_PORT", "APP_ID"]), "value": st.text()}
            ),
            max_size=3,
            unique_by=lambda one: one["name"],
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one["name"],
)
good_marks = st.fixed_dictionaries(
    {},
    optional={
        "tenure.dev/http-port": st.sampled_from(["3600", "3601"]),
        "tenure.dev/native-sidecar": st.sampled_from(["true", "false"]),
        "tenure.dev/log-level": st.just("debug"),
        "tenure.dev/health-port": st.sampled_from(["3701", "3702"]),
        "tenure.dev/store": st.sampled_from(["sqlite:/x", "etcd://e:1"]),
        "tenure.dev/typo": st.text(),
    },
)


@given(good_containers, good_containers, good_marks, CONFIGS)
def test_injecting_twice_is_injecting_once(
    containers: list[Any], init: list[Any], annotations: dict[str, str], config: Any
) -> None:
    inits = [{**one, "name": f"init-{one['name']}"} for one in init]
    made = pod(annotations=annotations, containers=containers, initContainers=inits)
    once = admitted(made, config=config)
    outcome = considered(once, config=config)
    assert outcome.report.verdict is Verdict.COMPLETE
    assert not outcome.answer.patch
    assert violations(once, only={"tenure"}) == []


@given(good_containers, good_containers, good_marks, CONFIGS)
def test_what_was_there_stays(
    containers: list[Any], init: list[Any], annotations: dict[str, str], config: Any
) -> None:
    inits = [{**one, "name": f"init-{one['name']}"} for one in init]
    made = pod(annotations=annotations, containers=containers, initContainers=inits)
    spec = admitted(made, config=config)["spec"]
    kept = {one["name"]: one for one in (*spec["containers"], *spec["initContainers"])}
    for container in (*containers, *inits):
        found = kept[container["name"]]
        assert [one for one in found["env"] if one in container["env"]] == container["env"]
        assert {**found, "env": 0} == {**container, "env": 0}
