"""Answers as people and programs see them."""

from __future__ import annotations

import json

import click
import pytest
import yaml

from tenure_cli import shown

NOW = 1_767_225_660 * 1_000_000_000  # a minute after the instances were created
RUNNING = {
    "instanceId": "o-1",
    "app": "orders",
    "workflow": "Order",
    "status": "RUNNING",
    "createdAt": "2026-01-01T00:00:00.000000000Z",
    "updatedAt": "2026-01-01T00:00:30.000000000Z",
    "startedAt": "2026-01-01T00:00:30.000000000Z",
}


def test_columns_are_as_wide_as_what_is_in_them_and_lines_end_with_text() -> None:
    assert shown.table(("A", "LONG", "B"), [("1", "x", ""), ("22", "", "y"), ("", "", "")]) == (
        "A    LONG   B\n1    x\n22          y\n"
    )


def test_colours_have_no_width() -> None:
    red = click.style("FAILED", fg="red")
    lines = shown.table(("S", "N"), [(red, "1"), ("COMPLETED", "2")]).splitlines()
    assert [click.unstyle(line) for line in lines] == [
        "S           N",
        "FAILED      1",
        "COMPLETED   2",
    ]
    nothing = click.style("", fg=None)
    assert shown.table(("S", "N"), [("a", nothing)]) == "S   N\na"


ROW = ("o-1", "x" * 40, click.style("y" * 30, fg="red"), "z")


def widths(text: str) -> list[int]:
    return [len(cell) for cell in click.unstyle(text.splitlines()[1]).split()]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        pytest.param(None, [3, 40, 30, 1], id="not-a-terminal"),
        pytest.param(83, [3, 40, 30, 1], id="it-fits"),
        pytest.param(82, [3, 39, 30, 1], id="one-too-many"),
        pytest.param(60, [3, 23, 24, 1], id="the-widest-first"),
        pytest.param(10, [3, 16, 16, 1], id="no-room"),
    ],
)
def test_columns_that_give_way(room: int | None, expected: list[int]) -> None:
    text = shown.table(("A", "B", "C", "D"), [ROW], give=(1, 2), room=room)
    assert widths(text) == expected
    assert "\x1b[31m" in text
    assert text.count("…") == sum(
        full > seen for full, seen in zip((3, 40, 30, 1), expected, strict=True)
    )


def test_what_an_app_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "a\x1b[2Jb\rc\x00d\x9b1me\x1b]0;title\x07"
    told = r"a\x1b[2Jb\x0dc\x00d\x9b1me\x1b]0;title\x07"
    one = {**RUNNING, "instanceId": bad, "error": bad}
    shown.show(one, "table", people=lambda: shown.details(one, now=NOW), names=[])
    shown.show(one, "table", people=lambda: shown.instances([one], now=NOW), names=[])
    out = capsys.readouterr().out
    assert out.count(told) == 3
    assert out.count(told.replace(r"\x0d", " ")) == 1  # a problem is one line
    assert set(out) & {*map(chr, range(32)), "\x7f", "\x9b"} == {"\n"}
    assert shown.visible(click.style("RUNNING", fg="cyan")) == click.style("RUNNING", fg="cyan")


def test_a_row_is_a_line_without_colours_of_the_apps() -> None:
    one = {**RUNNING, "instanceId": "a\n\tb\x1b[32mc", "workflow": "W\x1b[8m"}
    for text in (shown.instances([one], now=NOW), shown.details(one, now=NOW)):
        assert r"a\x0a\x09b\x1b[32mc" in text
        assert r"W\x1b[8m" in text
    assert len(shown.instances([one], now=NOW).splitlines()) == 2


@pytest.mark.parametrize("cell", ["注文書", "☕☕☕", "e\u0301e\u0301e\u0301", "abc"])
def test_columns_are_as_wide_as_a_terminal_shows_them(cell: str) -> None:
    wide = {"注文書": 6, "☕☕☕": 6}.get(cell, 3)
    head, row = shown.table(("AAAAAAAA", "B"), [(cell, "x")]).splitlines()
    assert head.index("B") == wide + (row.index("x") - len(cell))
    cut = shown.table(("A", "B"), [(cell * 20, "x")], give=(0,), room=24).splitlines()[1]
    assert len(cut.partition("…")[0]) * wide // len(cell) in {18, 19}


def test_a_problem_is_one_line() -> None:
    failed = {**RUNNING, "status": "FAILED", "error": "ValueError: no\n  such\tcard"}
    assert shown.problem(failed) == "ValueError: no such card"
    assert len(shown.instances([failed], now=NOW).splitlines()) == 2


@pytest.mark.parametrize(("count", "told"), [(1, "1 activity"), (2, "2 activities")])
def test_what_is_under_way(count: int, told: str) -> None:
    text = shown.details({**RUNNING, "pendingActivities": count}, now=NOW)
    assert f"under way      {told}" in text.splitlines()


def test_instances() -> None:
    stalled = {**RUNNING, "status": "STALLED", "stall": {"reason": "R", "description": "too big"}}
    failed = {
        **RUNNING,
        "status": "FAILED",
        "completedAt": "2026-01-01T00:00:31.500000000Z",
        "error": "ValueError: no",
    }
    text = click.unstyle(shown.instances([RUNNING, stalled, failed], now=NOW))
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["o-1", "Order", "RUNNING", "1m", "ago", "30.0", "s"],
        ["o-1", "Order", "STALLED", "1m", "ago", "30.0", "s", "too", "big"],
        ["o-1", "Order", "FAILED", "1m", "ago", "1.5", "s", "ValueError:", "no"],
    ]


def test_details_show_what_there_is() -> None:
    text = click.unstyle(shown.details({**RUNNING, "input": None, "tags": {"a": "b"}}, now=NOW))
    assert "input          null" in text
    assert "tags           a=b" in text
    assert "output" not in text


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_all_of_it(form: str, read: object) -> None:
    value = {"text": "Zoë: 1", "list": [1, None, {"a": True}]}
    assert callable(read)
    assert read(shown.document(value, form)) == value
