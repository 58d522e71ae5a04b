"""The compatibility page: in step with the scenarios, their last outcomes and what is served.

Out of scope: running the SDKs; that is the conformance layer, which writes the outcomes.
"""

from __future__ import annotations

import json

from conformance.catalogue import SCENARIOS
from conformance.page import NOTES, OUTCOMES, PAGE, page, served
from conformance.sdks import SDKS

ENOUGH = 60  # scenarios of each flavour


def outcomes() -> dict[str, dict[str, str]]:
    return dict(json.loads(OUTCOMES.read_text()))


def test_the_page_shows_the_last_outcomes() -> None:
    assert PAGE.read_text() == page(outcomes(), operations=served())


def test_every_pair_has_passed() -> None:
    kept = outcomes()
    for sdk in SDKS:
        wanted = {one.name for one in SCENARIOS.values() if one.why_not(sdk) is None}
        passed = {name for name, outcome in kept[sdk.key].items() if outcome == "passed"}
        assert passed == wanted, sdk.key


def test_there_are_enough_scenarios() -> None:
    for flavour in ("dapr", "microsoft"):
        assert sum(flavour in one.flavours for one in SCENARIOS.values()) >= ENOUGH


def test_notes_are_of_operations_that_exist() -> None:
    assert set(NOTES) <= set(served())
