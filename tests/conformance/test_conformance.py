"""Every scenario, through every SDK that can express it, on every transport.

In scope: what an app sees through an unmodified SDK.  Out of scope: the bytes on the wire
(``protocol/``), crashes under load (``tests/integration``).  ``CONFORMANCE_SDKS`` and
``CONFORMANCE_TRANSPORTS`` (comma-separated) narrow the runs of a developer; CI runs all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance.catalogue import SCENARIOS
from conformance.runner import Runner
from conformance.sdks import BY_KEY, SDKS, Sdk
from conformance.suite import Scenario

CI = bool(os.environ.get("CI"))
TRANSPORTS = os.environ.get("CONFORMANCE_TRANSPORTS", "native,grpcio" if CI else "native")
CHOSEN = os.environ.get("CONFORMANCE_SDKS", ",".join(BY_KEY))
RECORD = os.environ.get("CONFORMANCE_RECORD")


def _pairs() -> Iterator[tuple[Sdk, str, Scenario]]:
    for sdk in SDKS:
        if sdk.key not in CHOSEN.split(","):
            continue
        for transport in TRANSPORTS.split(","):
            for scenario in SCENARIOS.values():
                if scenario.why_not(sdk) is None:
                    yield sdk, transport, scenario


PAIRS = [pytest.param(*pair, id=f"{pair[1]}-{pair[0].key}-{pair[2].name}") for pair in _pairs()]


@pytest.fixture(scope="module")
def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runner]:
    """The runner of everything that was selected."""
    plan: dict[str, tuple[Sdk, list[tuple[str, Scenario]]]] = {}
    for item in request.session.items:
        params = getattr(item, "callspec", SimpleNamespace(params={})).params
        if "scenario" in params:
            _, pairs = plan.setdefault(params["sdk"].key, (params["sdk"], []))
            pairs.append((params["transport"], params["scenario"]))
    made = Runner(tmp_path_factory.mktemp("runs"), plan)
    yield made
    made.close()


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, dict[str, str]]]:
    """What happened, by SDK and scenario; written to ``CONFORMANCE_RECORD`` at the end."""
    seen: dict[str, dict[str, str]] = {}
    yield seen
    if RECORD:
        Path(RECORD).write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("sdk", "transport", "scenario"), PAIRS)
def test_scenario(
    sdk: Sdk,
    transport: str,
    scenario: Scenario,
    runner: Runner,
    outcomes: dict[str, dict[str, str]],
) -> None:
    """The scenario's asserts hold."""
    outcome = runner.result(sdk, transport, scenario)
    seen = outcomes.setdefault(sdk.key, {})
    if seen.get(scenario.name) != "failed":  # on another transport
        seen[scenario.name] = "failed" if outcome else "passed"
    if outcome:
        pytest.fail(outcome, pytrace=False)
