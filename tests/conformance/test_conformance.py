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

import pytest

from conformance.catalogue import SCENARIOS
from conformance.runner import Runner
from conformance.sdks import BY_KEY, SDKS, Sdk
from conformance.suite import Scenario

CI = bool(os.environ.get("CI"))
TRANSPORTS = os.environ.get("CONFORMANCE_TRANSPORTS", "native,grpcio" if CI else "native")
CHOSEN = os.environ.get("CONFORMANCE_SDKS", ",".join(BY_KEY))
RECORD = os.environ.get("CONFORMANCE_RECORD")


def _pairs() -> Iterator[tuple[str, Sdk, Scenario]]:
    for transport in TRANSPORTS.split(","):
        for sdk in SDKS:
            if sdk.key not in CHOSEN.split(","):
                continue
            for scenario in SCENARIOS.values():
                if scenario.why_not(sdk) is None:
                    yield transport, sdk, scenario


PAIRS = [pytest.param(*pair, id=f"{pair[0]}-{pair[1].key}-{pair[2].name}") for pair in _pairs()]


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runner]]:
    """The runners, one per transport; only the one in use has processes."""
    made: dict[str, Runner] = {}
    yield made
    for runner in made.values():
        runner.close()


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, dict[str, str]]]:
    """What happened, by SDK and scenario; written to ``CONFORMANCE_RECORD`` at the end."""
    seen: dict[str, dict[str, str]] = {}
    yield seen
    if RECORD:
        Path(RECORD).write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("transport", "sdk", "scenario"), PAIRS)
def test_scenario(
    transport: str,
    sdk: Sdk,
    scenario: Scenario,
    runners: dict[str, Runner],
    outcomes: dict[str, dict[str, str]],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The scenario's asserts hold."""
    if transport not in runners:
        for other in runners.values():
            other.close()
        runners.clear()
        runners[transport] = Runner(tmp_path_factory.mktemp("runs"), transport=transport)
    outcome = runners[transport].result(sdk, scenario, _selected(request, transport, sdk))
    seen = outcomes.setdefault(sdk.key, {})
    if seen.get(scenario.name) != "failed":  # on another transport
        seen[scenario.name] = "failed" if outcome else "passed"
    if outcome:
        pytest.fail(outcome, pytrace=False)


def _selected(request: pytest.FixtureRequest, transport: str, sdk: Sdk) -> list[Scenario]:
    chosen: list[Scenario] = []
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is None or "scenario" not in callspec.params:
            continue
        if callspec.params["transport"] == transport and callspec.params["sdk"] is sdk:
            chosen.append(callspec.params["scenario"])
    return chosen
