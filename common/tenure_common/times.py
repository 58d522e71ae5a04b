"""Times and durations as people write them; nanoseconds since the Unix epoch as the engine keeps
them.  Pure: what "now" is, is an argument.

A time is RFC 3339 (``2026-11-24T04:46:02.123456789Z``, nine digits at most, any offset).  A duration
is Go's and Kubernetes' form with days and weeks added: ``90s``, ``1h30m``, ``250ms``, ``7d``,
``2w``.  Where a flag takes both, a duration means that long ago.
"""

from __future__ import annotations

import datetime as dt
import re

from tenure_common.errors import BadRequestError

NANOS = 1_000_000_000
LONGEST = 200 * 365 * 86_400 * NANOS  # of a duration
_LONGEST_TEXT = 100  # characters of one

_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": NANOS,
    "m": 60 * NANOS,
    "h": 3_600 * NANOS,
    "d": 86_400 * NANOS,
    "w": 604_800 * NANOS,
}
_PART = re.compile(r"(\d+)(?:\.(\d{1,9}))?(ns|us|µs|ms|s|m|h|d|w)", re.ASCII)


def format_time(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nine digits, so that texts sort as times do.

    Times beyond the year 9999 (an infinite timer) are given as its end.
    """
    seconds, nanos = divmod(nanoseconds, NANOS)
    try:
        moment = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError:
        moment, nanos = dt.datetime.max.replace(tzinfo=dt.UTC), NANOS - 1
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z".rjust(30, "0")


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time.  Raises: BadRequestError."""
    match = _TIME.fullmatch(text)
    if match is not None:
        day, clock, fraction, zone = match.groups()
        try:
            moment = dt.datetime.fromisoformat(
                f"{day}T{clock}{zone.upper().replace('Z', '+00:00')}"
            )
            seconds = round((moment - _EPOCH).total_seconds())
            return seconds * NANOS + int((fraction or "0").ljust(9, "0"))
        except (ValueError, OverflowError):
            pass  # a 30th of February, an hour 25
    message = f"'{text[:80]}' is not a time: write it as 2026-11-24T04:46:02Z (RFC 3339)"
    raise BadRequestError(message)


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as ``1h30m`` or ``7d``, two hundred years at most, so that it
    can be added to a time that is kept in 64 bits.  Raises: BadRequestError."""
    total, position = 0, 0
    for match in _PART.finditer(text[:_LONGEST_TEXT]):
        if match.start() != position:
            break
        whole, fraction, unit = match.groups()
        scale = _UNITS[unit]
        total += int(whole) * scale + int((fraction or "0").ljust(9, "0")) * scale // NANOS
        position = match.end()
    if not text or position != len(text):
        message = f"'{text[:80]}' is not a duration: write it as 90s, 1h30m, 250ms or 7d"
        raise BadRequestError(message)
    if total > LONGEST:
        message = f"'{text[:80]}' is longer than 200 years"
        raise BadRequestError(message)
    return total


def parse_moment(text: str, *, now: int) -> int:
    """A time, or how long before ``now`` it was.  Raises: BadRequestError."""
    if _TIME.fullmatch(text):
        return parse_time(text)
    try:
        return now - parse_duration(text)
    except BadRequestError as error:
        if _PART.match(text):
            raise
        message = (
            f"'{text[:80]}' is neither a time (2026-11-24T04:46:02Z, RFC 3339) nor how long ago it was "
            "(90s, 1h30m, 7d)"
        )
        raise BadRequestError(message) from error


def format_duration(nanoseconds: int) -> str:
    """A duration for people: two units at most, ``1d 4h``, ``3.2 s``, ``18 ms``."""
    if nanoseconds < 0:
        return f"-{format_duration(-nanoseconds)}"
    if nanoseconds < NANOS:
        millis = nanoseconds / 1_000_000
        return f"{millis:.0f} ms" if millis >= 1 or not nanoseconds else f"{millis:.2f} ms"
    seconds = nanoseconds / NANOS
    if round(seconds, 1) < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    rest = round(seconds)
    units = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0"))
