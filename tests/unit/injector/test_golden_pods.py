"""Whole pods and the whole patch that each gets, as files (tests/data/injector/*.yaml).

A file holds a pod, the settings that differ from the defaults, and what is expected: verdict,
reason, notes, patch.  ``TENURE_WRITE_GOLDEN=1`` writes what is expected anew; read the difference
before it is committed.  Every pod that results is checked against Kubernetes' own schema, and the
engine in it against the Pod Security Standard.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from support.pod_security import violations
from support.pods import CONFIG, applied, considered
from tenure_common.version import VERSION
from tenure_injector import review

FOLDER = Path(__file__).resolve().parents[2] / "data" / "injector"
CASES = sorted(FOLDER.glob("*.yaml"))
WRITE = os.environ.get("TENURE_WRITE_GOLDEN") == "1"
KUBERNETES = "1.34"
EXPECTED = ("verdict", "reason", "text", "notes", "patch")


def settings(case: dict[str, Any]) -> Any:
    given = {name.replace("-", "_"): value for name, value in (case.get("settings") or {}).items()}
    return msgspec.structs.replace(CONFIG, **given)


def result(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the injector says, and the pod that the API server makes of it."""
    outcome = considered(
        case["pod"], config=settings(case), namespace=case.get("namespace", "shop")
    )
    reply = json.loads(review.encode(outcome.answer))["response"]
    report = outcome.report
    patch = json.loads(json.dumps(list(outcome.answer.patch)).replace(f'"{VERSION}"', '"VERSION"'))
    text = report.sentence
    found = (report.verdict.value, report.reason, text, list(report.notes), patch)
    return dict(zip(EXPECTED, found, strict=True)), applied(case["pod"], reply)


def rewrite(path: Path, case: dict[str, Any]) -> None:
    kept = {key: case[key] for key in ("about", "settings", "namespace", "pod") if key in case}
    text = yaml.safe_dump({**kept, **result(case)[0]}, sort_keys=False, width=100)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_pod(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    if WRITE:
        rewrite(path, case)
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert case["about"]
    found, pod = result(case)
    assert found == {key: case[key] for key in EXPECTED}
    kubernetes_validate.validate(case["pod"], KUBERNETES, strict=True)
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    if found["verdict"] == "inject":
        assert violations(pod, only={"tenure"}) == []
        if not violations(case["pod"]):
            assert violations(pod) == [], "a restricted pod stays one"
        again, same = result({**case, "pod": pod})
        assert (again["verdict"], again["patch"], same) == ("complete", [], pod)


def test_there_is_a_file_for_each_verdict() -> None:
    verdicts = {yaml.safe_load(path.read_text(encoding="utf-8"))["verdict"] for path in CASES}
    assert verdicts == {"inject", "complete", "skip", "deny"}


def test_some_pod_is_restricted_as_a_whole() -> None:
    pods = [yaml.safe_load(path.read_text(encoding="utf-8"))["pod"] for path in CASES]
    assert [pod for pod in pods if not violations(pod)]
