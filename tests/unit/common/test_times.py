"""Times and durations as people write them.

In scope: both directions, bad texts, the edges of what a text can hold.  Out of scope: who uses
them (the management API, the command line).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_common.errors import BadRequestError
from tenure_common.times import (
    LONGEST,
    NANOS,
    format_duration,
    format_time,
    parse_duration,
    parse_moment,
    parse_time,
)

DAY = 86_400 * NANOS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1970-01-01T00:00:00Z", 0, id="epoch"),
        pytest.param("1970-01-01T00:00:00.000000001Z", 1, id="one-nanosecond"),
        pytest.param("1970-01-01T00:00:01.5Z", 1_500_000_000, id="short-fraction"),
        pytest.param("1970-01-02T01:00:00+01:00", DAY, id="offset"),
        pytest.param("1969-12-31T23:59:59.999999999Z", -1, id="before-the-epoch"),
        pytest.param("1970-01-01t00:00:00z", 0, id="lower-case"),
        pytest.param("1970-01-01 00:00:00Z", 0, id="a-space"),
    ],
)
def test_parse_time(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-24",
        "2026-11-24T04:46:02",
        "2026-02-30T00:00:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T04:46:02.1234567890Z",
        "2026-11-24T04:46:02Z tail",
        "2026-11-24T04:46:02+25:00",
        "２026-11-24T04:46:02Z",
    ],
)
def test_bad_time_is_named(text: str) -> None:
    with pytest.raises(BadRequestError, match="is not a time"):
        parse_time(text)


def test_a_long_bad_text_is_cut() -> None:
    with pytest.raises(BadRequestError) as error:
        parse_time("x" * 10_000)
    assert len(error.value.message) < 200


@given(st.integers(min_value=-62_135_596_800 * NANOS, max_value=253_402_300_800 * NANOS - 1))
def test_every_time_of_four_digit_years_comes_back(nanoseconds: int) -> None:
    assert parse_time(format_time(nanoseconds)) == nanoseconds


@given(st.lists(st.integers(min_value=0, max_value=253_402_300_800 * NANOS - 1), min_size=2))
def test_texts_sort_as_times(times: list[int]) -> None:
    assert sorted(map(format_time, times)) == list(map(format_time, sorted(times)))


def test_a_time_beyond_the_calendar_is_its_end() -> None:
    assert format_time(10**30) == "9999-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("250ms", 250_000_000),
        ("90s", 90 * NANOS),
        ("1.5h", 5_400 * NANOS),
        ("1h30m", 5_400 * NANOS),
        ("7d", 7 * DAY),
        ("2w1d", 15 * DAY),
        ("0.000000001s", 1),
    ],
)
def test_parse_duration(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-7d", "7d!", "7dd", "1e3s", "x7d", "7D"])
def test_bad_duration_is_named(text: str) -> None:
    with pytest.raises(BadRequestError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["10429w", "73001d", "999999999999999999999w"])
def test_a_duration_that_fits_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="longer than 200 years"):
        parse_duration(text)


def test_the_longest_duration_is_taken_and_a_text_of_any_length_is_answered() -> None:
    assert parse_duration("73000d") == LONGEST
    with pytest.raises(BadRequestError):
        parse_duration("9" * 10_000 + "d")


def test_a_moment_is_a_time_or_how_long_ago() -> None:
    assert parse_moment("1970-01-02T00:00:00Z", now=5) == DAY
    assert parse_moment("1d", now=3 * DAY) == 2 * DAY


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0 ms"),
        (20_000, "0.02 ms"),
        (18_400_000, "18 ms"),
        (3_200_000_000, "3.2 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "1m"),
        (90 * NANOS, "1m 30s"),
        (3_600 * NANOS, "1h"),
        (100 * 3_600 * NANOS, "4d 4h"),
        (15 * DAY, "2w 1d"),
        (DAY + 59 * NANOS, "1d"),
        (-3_200_000_000, "-3.2 s"),
    ],
)
def test_format_duration(nanoseconds: int, expected: str) -> None:
    assert format_duration(nanoseconds) == expected
