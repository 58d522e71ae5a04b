"""The page of the resources names every reason that the operator gives, with its error page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tenure_operator import reconcile
from tenure_operator.reconcile.refusals import REASONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "resources.md"
ROWS = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
NAMED = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}
# Reasons stand in the code as the first argument of what tells them.
GIVEN = re.compile(
    r'(?:_not\(|Announcement\(\s*|return word\(.*?\) or |return (?="\w+",))"([A-Z]\w+)"'
)
TOLD = {
    "Started",
    "Resumed",
    "Delivered",
    "RunEnded",
    "Configured",
    "SettingsReset",
}  # Events about what went well


@pytest.mark.parametrize(("code", "reason"), sorted(REASONS.items()))
def test_reasons_of_refusals_stand_with_their_errors(code: str, reason: str) -> None:
    (row,) = [row for row in ROWS if f"`{reason}`" in row.split("|")[1]]
    assert f"errors/{code}.md" in row or reason in {"TooManyRequests", "StoreFull"}


def test_every_reason_is_named() -> None:
    (folder,) = reconcile.__path__
    given = {
        name
        for path in Path(folder).glob("*.py")
        for name in GIVEN.findall(path.read_text(encoding="utf-8"))
    }
    assert {"NoSuchWorkflow", "MissedRuns", "WaitingForApp", "BadSchedule"} <= given
    assert given - TOLD <= NAMED
