"""The figures of a result file as Markdown: ``python bench/report.py FILE`` writes them into
docs/performance.md, between the two markers there, and keeps FILE's content as bench/figures.json.

``--check`` writes nothing and fails when the page does not show bench/figures.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from table import Row, goal_text, rows, shown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "bench" / "figures.json"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"

_DORMANT = (
    ("count", "dormant instances, each with a timer", "{:,.0f}"),
    ("rss_none", "RSS of a fresh engine with none", "{:.1f} MB"),
    ("rss_dormant", "RSS of a fresh engine with all of them", "{:.1f} MB"),
    ("rss_delta", "difference", "{:.1f} MB (goal 20)"),
    ("ready", "restart to ready", "{:.2f} s"),
    ("first_fired", "restart to first timer fired", "{:.2f} s (goal 1.5)"),
    ("late_p50_ms", "lateness of timers due after the restart, p50", "{:.1f} ms, none early"),
    ("bytes_per_instance", "on disk, per instance", "{:,.0f} bytes"),
)


def report(result: dict[str, Any]) -> str:
    """The Markdown for a result file."""
    return "\n".join((*_intro(result), *_tables(result["results"]), *_dormant(result))) + "\n"


def _intro(result: dict[str, Any]) -> Iterator[str]:
    machine, floor = result["machine"], result["floor"]
    dropped = sum(len(one["dropped"]) for one in result["results"])
    yield (
        f"Measured on {machine['date']} with `{result['command']}` (commit {machine['commit']}): "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']:.0f} GB, "
        f"Linux {machine['kernel']}, Python {machine['python']}. "
        f"{result['repeats']} repeats; median (least to most). "
        f"{dropped} repeats were dropped because the denominators drifted around them."
    )
    yield ""
    yield (
        f"Floor of that run: bare grpcio round trip {floor['rtt_p50'] * 1e3:.2f} ms, "
        f"fdatasync {floor['fdatasync_p50'] * 1e3:.2f} ms, raw SQLite "
        f"{floor['sqlite_rows_1']:,.0f} rows/s at one row a commit and "
        f"{floor['sqlite_rows_100']:,.0f} at a hundred."
    )


def _tables(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    for (load, sdk), group in groupby(rows(results), key=lambda row: (row.load, row.sdk)):
        lines = list(group)
        yield ""
        yield f"**{load}**, {sdk}: {lines[0].what}"
        yield ""
        yield "| figure | NULL | Tenure | ratio | goal |"
        yield "|---|---|---|---|---|"
        yield from map(_line, lines)


def _line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    name = f"{row.figure.title} {row.figure.unit}".strip()
    values = (shown(row.null, row.figure), shown(row.tenure, row.figure))
    return f"| {name} | {values[0]} | {values[1]} | {ratio} | {goal_text(row)} |"


def _dormant(result: dict[str, Any]) -> Iterator[str]:
    figures = result.get("dormant")
    if figures is None:
        return
    yield ""
    yield "**DORMANT**: timers in the store, a window of them in memory"
    yield ""
    yield "| figure | Tenure |"
    yield "|---|---|"
    for key, title, form in _DORMANT:
        yield f"| {title} | {form.format(figures[key])} |"


def placed(page: str, figures: str) -> str:
    """The page with the figures between its markers.  Raises ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = "the page has no markers for the figures"
        raise ValueError(message)
    return before + begin + "\n" + figures + "\n" + end + after


def main(arguments: Sequence[str]) -> int:
    """Write, or check."""
    if list(arguments) == ["--check"]:
        page = PAGE.read_text()
        current = placed(page, report(json.loads(KEPT.read_text()))) == page
        print("the page shows bench/figures.json" if current else "python bench/report.py FILE")
        return 0 if current else 1
    if len(arguments) != 1:
        print(__doc__)
        return 2
    result = json.loads(Path(arguments[0]).read_text())
    PAGE.write_text(placed(PAGE.read_text(), report(result)))
    KEPT.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
