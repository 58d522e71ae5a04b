"""A result file as Markdown, and the page that shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import report

RESULT: dict[str, Any] = {
    "command": "python bench/run.py",
    "repeats": 2,
    "machine": {
        "date": "2026-01-02",
        "commit": "abc",
        "cores": 2,
        "cpu": "some CPU",
        "memory_gb": 24.0,
        "kernel": "6.1",
        "python": "3.11",
    },
    "floor": {
        "rtt_p50": 0.0005,
        "fdatasync_p50": 0.0002,
        "sqlite_rows_1": 5_000.0,
        "sqlite_rows_100": 70_000.0,
    },
    "results": [
        {
            "load": "FAN-1k",
            "what": "a fan",
            "sdk": "an SDK",
            "dropped": [{}],
            "samples": {
                "null": [{"seconds": 1.0}, {"seconds": 2.0}],
                "tenure": [{"seconds": 1.5}, {"seconds": 3.0}],
            },
        }
    ],
}


def test_a_load_is_a_table_with_ratio_and_goal() -> None:
    text = report.report(RESULT)
    assert "**FAN-1k**, an SDK: a fan" in text
    row = "| time s | 1.50 (1.00 to 2.00) | 2.25 (1.50 to 3.00) | 1.50 | MISSED: <= 1.1 x NULL |"
    assert row in text
    assert "1 repeats were dropped" in text
    assert "`python bench/run.py` (commit abc)" in text


def test_dormant_figures_are_shown_when_there_are_some() -> None:
    assert "DORMANT" not in report.report(RESULT)
    figures = dict.fromkeys((key for key, _, _ in report._DORMANT), 7.0)
    assert "| difference | 7.0 MB (goal 20) |" in report.report({**RESULT, "dormant": figures})


def test_only_what_is_between_the_markers_changes() -> None:
    page = f"a\n{report.BEGIN}old\n{report.END}b\n"
    assert report.placed(page, "new") == f"a\n{report.BEGIN}\nnew\n{report.END}b\n"
    with pytest.raises(ValueError, match="no markers"):
        report.placed("a\nb\n", "new")


def test_the_page_shows_the_figures_that_are_kept() -> None:
    page = report.PAGE.read_text()
    assert report.placed(page, report.report(json.loads(report.KEPT.read_text()))) == page
