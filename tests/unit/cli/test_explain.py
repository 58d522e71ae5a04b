"""``tenure explain``: the page of a code on standard output.

Out of scope: what the pages say (tests/unit/test_errors.py).
"""

from __future__ import annotations

import pytest

from tenure_cli.__main__ import main
from tenure_cli.explain import page
from tenure_common.errors import UsageError


@pytest.mark.parametrize("code", ["TN0101", "tn0101"])
def test_page_is_printed(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# TN0101 — ")
    assert shown.endswith("\n")
    assert not shown.endswith("\n\n")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param("TN9999", "no error TN9999 in this version", id="unknown"),
        pytest.param("101", "they look like TN0101", id="number"),
        pytest.param("../TN0101", "they look like TN0101", id="path"),
        pytest.param("TN01011", "they look like TN0101", id="too-long"),
        pytest.param("TN०१०१", "no error", id="other-digits"),
    ],
)
def test_what_is_no_code(code: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        page(code)
