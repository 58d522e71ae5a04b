"""When schedules come due, in particular where the clocks change.

All times are given as people write them, with their offset.
"""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from tenure_common.errors import BadScheduleError
from tenure_common.times import NANOS, format_time, parse_time
from tenure_operator.reconcile.cron import MANY, Missed, missed, next_after, parse

BERLIN = "Europe/Berlin"


def due(expression: str, zone: str, after: str, count: int = 1) -> list[str]:
    """The next due times, on the zone's clock."""
    cron, moment, shown = parse(expression, zone), parse_time(after), []
    for _ in range(count):
        found = next_after(cron, moment)
        assert found is not None
        assert found > moment
        assert found % NANOS == 0
        moment = found
        shown.append(f"{dt.datetime.fromtimestamp(found / NANOS, cron.zone):%m-%dT%H:%M%z}")
    return shown


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("30 7 * * mon-fri", "2026-01-02T07:30:00Z", ["01-05T07:30+0000", "01-06T07:30+0000"]),
        ("30 7 * * *", "2026-01-02T07:29:59.999999999Z", ["01-02T07:30+0000"]),
        ("30 7 * * *", "2026-01-02T07:30:00Z", ["01-03T07:30+0000"]),
        ("@hourly", "2026-01-01T23:30:00Z", ["01-02T00:00+0000"]),
        ("0 0 1,15 * ?", "2026-01-02T00:00:00Z", ["01-15T00:00+0000", "02-01T00:00+0000"]),
        ("0 12 13 * fri", "2026-01-01T00:00:00Z", ["01-02T12:00+0000", "01-09T12:00+0000"]),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", ["02-29T00:00+0000"]),
        ("0 0 * * 7", "2026-01-01T00:00:00Z", ["01-04T00:00+0000"]),
        ("*/25 8 * jan *", "2026-01-01T08:10:00Z", ["01-01T08:25+0000", "01-01T08:50+0000"]),
    ],
)
def test_in_utc(expression: str, after: str, then: list[str]) -> None:
    assert due(expression, "Etc/UTC", after, len(then)) == then


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        # 29 March 2026: 02:00 +0100 becomes 03:00 +0200.
        pytest.param(
            "30 2 * * *",
            "2026-03-28T01:30:00Z",
            ["03-29T03:00+0200", "03-30T02:30+0200"],
            id="a skipped time runs when the clocks are put forward",
        ),
        pytest.param(
            "*/10 2 * * *",
            "2026-03-28T01:50:00Z",
            ["03-29T03:00+0200", "03-30T02:00+0200"],
            id="several skipped times run once",
        ),
        pytest.param(
            "0 2,3 * * *",
            "2026-03-28T02:00:00Z",
            ["03-29T03:00+0200", "03-30T02:00+0200"],
            id="a skipped time and the one it moves to are one",
        ),
        pytest.param(
            "*/30 * * * *",
            "2026-03-29T00:00:00Z",
            ["03-29T01:30+0100", "03-29T03:00+0200", "03-29T03:30+0200"],
            id="every hour: the skipped one is left out",
        ),
        pytest.param(
            "15 */2 * * *",
            "2026-03-28T23:00:00Z",
            ["03-29T00:15+0100", "03-29T04:15+0200"],
            id="every second hour: the clock shows no 02:15",
        ),
        # 25 October 2026: 03:00 +0200 becomes 02:00 +0100.
        pytest.param(
            "30 2 * * *",
            "2026-10-24T00:30:00Z",
            ["10-25T02:30+0200", "10-26T02:30+0100"],
            id="a time that comes twice runs the first time",
        ),
        pytest.param(
            "30 * * * *",
            "2026-10-24T23:30:00Z",
            ["10-25T02:30+0200", "10-25T02:30+0100", "10-25T03:30+0100"],
            id="every hour: both",
        ),
        pytest.param(
            "30 2 * * *",
            "2026-10-25T01:00:00Z",
            ["10-26T02:30+0100"],
            id="asked between the two: it has been",
        ),
    ],
)
def test_where_the_clocks_change(expression: str, after: str, then: list[str]) -> None:
    assert due(expression, BERLIN, after, len(then)) == then


def test_odd_zones() -> None:
    # Samoa left out 30 December 2011; Lord Howe's clocks move by half an hour.
    apia = due("0 12 * * *", "Pacific/Apia", "2011-12-28T00:00:00Z", 4)
    assert apia == ["12-28T12:00-1000", "12-29T12:00-1000", "12-31T00:00+1400", "12-31T12:00+1400"]
    howe = due("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T15:00:00Z", 2)
    assert howe == ["04-05T01:45+1100", "04-06T01:45+1030"]


@pytest.mark.parametrize(
    ("expression", "zone", "reason"),
    [
        ("* * * *", "Etc/UTC", "has 4 fields; cron has five: minute, hour"),
        ("0 * * * * *", "Etc/UTC", "has 6 fields"),
        ("@every 5m", "Etc/UTC", "has 2 fields"),
        ("61 * * * *", "Etc/UTC", "out of range"),
        ("* 24 * * *", "Etc/UTC", "out of range"),
        ("R * * * *", "Etc/UTC", "'R' is no minute"),
        ("h h * * *", "Etc/UTC", "'h' is no minute"),
        ("0 0 L * *", "Etc/UTC", "'L' is no day of month"),
        ("0 0 * * 5#3", "Etc/UTC", "'5#3' is no day of week"),
        ("0 0 * * jan", "Etc/UTC", "'jan' is no day of week"),
        ("mon * * * *", "Etc/UTC", "'mon' is no minute"),
        ("0 22-2 * * *", "Etc/UTC", "the range 22-2 is backwards"),
        ("1,,2 * * * *", "Etc/UTC", "schedule '1,,2 * * * *' will not do"),
        ("*/0 * * * *", "Etc/UTC", "schedule '*/0 * * * *' will not do"),
        ("0 0 30 2 *", "Etc/UTC", "never comes due"),
        ("0 0 * * *", "Europe/Berln", "time zone 'Europe/Berln' is not known"),
        ("0 0 * * *", "Europe", "time zone 'Europe' is not known"),
        ("0 0 * * *", "../../etc/passwd", "is not known"),
        ("0 0 * * *", "", "is not known"),
        ("0 0 * * *", "localtime", "time zone 'localtime' is not known"),
    ],
)
def test_what_cannot_be_followed_is_refused(expression: str, zone: str, reason: str) -> None:
    with pytest.raises(BadScheduleError) as refused:
        parse(expression, zone)
    assert reason in refused.value.message
    assert refused.value.details["field"] in {"schedule", "timeZone"}


@pytest.mark.parametrize(
    ("expression", "since", "now", "found"),
    [
        ("0 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z", None),
        ("0 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", ("2026-01-01T01:00:00Z", 1)),
        ("0 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T05:10:00Z", ("2026-01-01T05:00:00Z", 5)),
        ("* * * * *", "2025-01-01T00:00:00Z", "2026-01-01T00:00:30Z", ("2026-01-01T00:00:00Z", MANY)),
        ("0 0 29 2 *", "2021-01-01T00:00:00Z", "2032-01-01T00:00:00Z", ("2028-02-29T00:00:00Z", 2)),
        ("0 0 29 2 *", "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z", None),
        # 260,000 due times, none of them in the last eight months: no look at each of them.
        ("* * * 1-3 *", "2024-06-01T00:00:00Z", "2026-11-27T06:00:00Z", ("2026-03-31T23:59:00Z", MANY)),
    ],
)  # fmt: skip
def test_what_was_missed(
    expression: str, since: str, now: str, found: tuple[str, int] | None
) -> None:
    cron = parse(expression, "Etc/UTC")
    result = missed(cron, since=parse_time(since), now=parse_time(now))
    assert result == (None if found is None else Missed(parse_time(found[0]), found[1]))


def test_time_does_not_run_backwards_over_ten_years() -> None:
    # Every due time of a daily job is found exactly once, whatever the clocks do.
    cron, moment = parse("30 2 * * *", BERLIN), parse_time("2020-01-01T00:00:00Z")
    days = []
    while len(days) < 3650:
        found = next_after(cron, moment)
        assert found is not None
        days.append(dt.datetime.fromtimestamp(found / NANOS, cron.zone).date())
        moment = found
    assert all(b - a == dt.timedelta(days=1) for a, b in itertools.pairwise(days))
    assert format_time(moment).startswith("2029-12-2")
