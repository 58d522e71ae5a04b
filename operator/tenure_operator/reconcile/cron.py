"""When a cron expression comes due in a time zone.  Pure: times are nanoseconds since the epoch.

``croniter`` knows the five fields; it is asked about wall clock times alone.  What those mean on the
two days a year on which the clocks change is decided here, as cron has always done it:

* A job at certain hours (``30 2 * * *``) runs once on each of its days.  When its time is skipped
  in spring, it runs at the moment when the clocks are put forward; when it comes twice in autumn, it
  runs the first time.
* A job whose hours are ``*`` or ``*/n`` runs whenever the clock shows a matching time: never in the
  hour that is skipped, twice in the hour that is repeated.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from tenure_common.errors import BadScheduleError
from tenure_common.times import NANOS

_MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
# croniter also takes seconds, hashes, random and last days; cron does not, so neither do we.
_FIELD: Final = re.compile(r"[0-9a-zA-Z*/,?-]+")
_WORDS: Final = re.compile(r"[a-zA-Z]+")
_MONTHS: Final = {
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
}
_DAYS: Final = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
_WORDS_OF: Final[Mapping[str, Collection[str]]] = {"month": _MONTHS, "day of week": _DAYS}
_RANGE: Final = re.compile(r"(\d+)-(\d+)")
_UTC: Final = dt.UTC
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_SECOND: Final = dt.timedelta(seconds=1)
# Zones have skipped whole days (Samoa in 2011); two hours more than that is looked at.
_AROUND: Final = dt.timedelta(hours=26)
# Files beside the zones: what they say depends on the machine, or is nothing.
_NO_PLACES: Final = {"localtime", "posixrules", "Factory"}
MANY: Final = 100  # missed times are counted up to here


class Cron(NamedTuple):
    """A checked expression and its zone."""

    expression: str
    zone: ZoneInfo

    @property
    def wildcard(self) -> bool:
        """Whether its hours are ``*`` or ``*/n``."""
        return self.expression.split()[1].startswith("*")


class Missed(NamedTuple):
    """Due times in an interval: the latest, and how many (``MANY`` at most are counted)."""

    latest: int
    times: int


def parse(expression: str, time_zone: str) -> Cron:
    """The schedule.  Raises: BadScheduleError that names the field or the zone."""
    text = expression.strip()
    text = _MACROS.get(text.lower(), text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        message = (
            f"schedule '{expression}' has {len(fields)} fields; cron has five: {', '.join(_FIELDS)}"
        )
        raise BadScheduleError(message, {"field": "schedule"})
    for name, field in zip(_FIELDS, fields, strict=True):
        _check(expression, name, field)
    try:
        croniter(text, dt.datetime(2000, 1, 1))  # noqa: DTZ001 - a wall clock time
    except (CroniterError, ValueError) as error:
        reason = str(error).removeprefix(f"[{text}] ")
        message = f"schedule '{expression}' will not do: {reason}"
        raise BadScheduleError(message, {"field": "schedule"}) from error
    cron = Cron(text, _zone(time_zone))
    if next_after(cron, 946_684_800 * NANOS) is None:
        message = f"schedule '{expression}' never comes due: there is no such date"
        raise BadScheduleError(message, {"field": "schedule"})
    return cron


def next_after(cron: Cron, moment: int) -> int | None:
    """The first due time after ``moment``; None when there is none in the next 50 years."""
    after = _EPOCH + dt.timedelta(microseconds=moment // 1000)
    start = after.astimezone(cron.zone).replace(tzinfo=None)
    if _changes(cron.zone, after):
        start -= _AROUND
    best: dt.datetime | None = None
    for wall in _walls(cron.expression, start - _SECOND):
        first = _exact(wall, cron.zone)
        if best is not None and first >= best:
            break
        for instant in _instants(wall, cron):
            if instant > after and (best is None or instant < best):
                best = instant
    return None if best is None else round((best - _EPOCH).total_seconds()) * NANOS


def missed(cron: Cron, *, since: int, now: int) -> Missed | None:
    """What came due after ``since`` and not after ``now``; None when nothing did."""
    latest = _latest(cron, since=since, now=now)
    if latest is None:
        return None
    count, moment = 0, next_after(cron, since)
    while moment is not None and moment <= latest and count < MANY:
        count += 1
        moment = next_after(cron, moment)
    return Missed(latest, count)


def _latest(cron: Cron, *, since: int, now: int) -> int | None:
    """Looked for by halves, so that a long outage costs no more than a short one."""
    first = next_after(cron, since)
    if first is None or first > now:
        return None
    latest, end = first, now  # nothing comes due after ``end``; due times are whole seconds
    while end - latest >= NANOS:
        middle = latest + (end - latest) // 2
        found = next_after(cron, middle)
        if found is not None and found <= end:
            latest = found
        else:
            end = middle
    return latest


def _check(expression: str, name: str, field: str) -> None:
    words = {word.lower() for word in _WORDS.findall(field)}
    if not _FIELD.fullmatch(field) or words.difference(_WORDS_OF.get(name, ())):
        message = f"schedule '{expression}': '{field}' is no {name}"
        raise BadScheduleError(message, {"field": "schedule"})
    for low, high in _RANGE.findall(field):
        if int(low) > int(high):
            message = f"schedule '{expression}': in '{field}' the range {low}-{high} is backwards"
            raise BadScheduleError(message, {"field": "schedule"})


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo("" if name in _NO_PLACES else name)
    except (KeyError, ValueError, OSError) as error:  # unknown, odd, or a folder
        message = f"time zone '{name}' is not known; write it as in Europe/Berlin or Etc/UTC"
        raise BadScheduleError(message, {"field": "timeZone"}) from error


def _changes(zone: ZoneInfo, moment: dt.datetime) -> bool:
    """Whether the clocks may change near ``moment``."""
    offsets = {
        (moment + step).astimezone(zone).utcoffset() for step in (-_AROUND, dt.timedelta(), _AROUND)
    }
    return len(offsets) > 1


def _walls(expression: str, start: dt.datetime) -> Iterator[dt.datetime]:
    """Matching wall clock times after ``start``, ascending."""
    found = croniter(expression, start, ret_type=dt.datetime)
    try:
        while True:
            yield found.get_next()
    except CroniterBadDateError:
        return


def _instants(wall: dt.datetime, cron: Cron) -> tuple[dt.datetime, ...]:
    """When a wall clock time that matches is a due time: not at all, once or twice."""
    first, second = (wall.replace(tzinfo=cron.zone, fold=fold).astimezone(_UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first > second:  # the clocks skip it
        return () if cron.wildcard else (_change(second, first, cron.zone),)
    return (first, second) if cron.wildcard else (first,)


def _exact(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The first moment that the wall clock time stands for; never earlier for a later time."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(_UTC) for fold in (0, 1))
    return first if first <= second else _change(second, first, zone)


def _change(before: dt.datetime, after: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The moment between the two at which the clocks are put forward."""
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
