"""How answers are shown: tables for people, JSON and YAML for programs, names for scripts."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from tenure_common.times import format_duration, parse_time

Json = dict[str, Any]

FORMS: Final = ("table", "json", "yaml", "name")
_GAP: Final = "   "
_LEAST: Final = 16  # characters that a column keeps when it gives way
# All control characters but line ends, tabs and what begins a colour.
_CONTROL: Final = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
_ANY_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_AS_IT_IS: Final = frozenset(
    {"status", "stalled", "error"}
)  # ours; and what may have several lines
COLOURS: Final = {
    "COMPLETED": "green",
    "FAILED": "red",
    "TERMINATED": "red",
    "CANCELED": "red",
    "STALLED": "yellow",
    "SUSPENDED": "yellow",
    "RUNNING": "cyan",
}


def visible(text: str) -> str:
    """The text with its control characters written out: ids and errors are the apps' own, and must not
    move the cursor of whoever looks."""
    return _CONTROL.sub(_written, text)


def told(text: str) -> str:
    """A text of the apps' for a cell: in one line, and in no colour of its own."""
    return _ANY_CONTROL.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def document(value: object, form: str) -> str:
    """A value as JSON or YAML."""
    if form == "yaml":
        import yaml  # noqa: PLC0415 - for those who ask for it

        plain = json.loads(json.dumps(value))  # safe_dump knows dict, and no class of it
        text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
        return text.rstrip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    give: Sequence[int] = (),
    room: int | None = None,
) -> str:
    """Columns as wide as what is in them; the last one is not padded.

    ``give``: columns that are cut, the widest first, when a line has more than ``room`` characters.
    """
    plain = [[click.unstyle(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(_width(row[column]) for row in plain) for column in range(len(heads))]
    if room is not None and give:
        _narrow(widths, give, room)
    lines: list[str] = []
    for row, bare in zip((heads, *rows), plain, strict=True):
        used = max((column + 1 for column, text in enumerate(bare) if text), default=0)
        cells = [
            _padded(cell, text, width)
            for cell, text, width in zip(row[:used], bare[:used], widths[:used], strict=True)
        ]
        lines.append(_GAP.join(cells).rstrip())
    return "\n".join(lines)


def _narrow(widths: list[int], give: Sequence[int], room: int) -> None:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while over > 0:
        widest = max(give, key=lambda column: widths[column])
        if widths[widest] <= _LEAST:
            return  # lines that break are better than columns without their meaning
        widths[widest] -= 1
        over -= 1


def _padded(cell: str, text: str, width: int) -> str:
    """A cell, whose text without colours is ``text``, in a column of that width."""
    if _width(text) > width:
        short = _cut(text, width - 1) + "…"
        return cell.replace(text, short) + " " * (width - _width(short))
    return cell + " " * (width - _width(text))


def _cut(text: str, width: int) -> str:
    """As much of its beginning as is so wide at most."""
    used = 0
    for place, one in enumerate(text):
        used += _width(one)
        if used > width:
            return text[:place]
    return text


def _width(text: str) -> int:
    """Columns of a terminal that it takes."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - for texts that need it

    marks = {"Mn", "Me", "Cf"}
    return sum(
        0 if unicodedata.category(one) in marks else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def room() -> int | None:
    """Characters of a line of the terminal; None when what is printed goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def status(name: str) -> str:
    """A status in its colour; without a terminal click takes the colour away."""
    return click.style(name, fg=COLOURS.get(name))


def instances(found: Sequence[Json], *, now: int) -> str:
    """Instances as a table.  ``now``: wall clock, nanoseconds since the epoch."""
    rows: list[tuple[str, ...]] = [
        (
            told(one["instanceId"]),
            told(one["workflow"]),
            status(one["status"]),
            f"{format_duration(now - parse_time(one['createdAt']))} ago",
            lasted(one, now=now),
            problem(one),
        )
        for one in found
    ]
    heads = ("ID", "WORKFLOW", "STATUS", "CREATED", "TOOK", "PROBLEM")
    return table(heads, rows, give=(5,), room=room())


def problem(one: Json) -> str:
    """Why the instance failed or does not go on, in one line; empty when it does."""
    text = str(one.get("error") or _inner(one, "stall").get("description", ""))
    return told(" ".join(text.split()))


def _inner(one: Json, field: str) -> Json:
    inner: Json = one.get(field) or {}
    return inner


def lasted(one: Json, *, now: int) -> str:
    """How long the instance has run, empty when it has not started."""
    begun = one.get("startedAt")
    if not begun:
        return ""
    end = parse_time(one["completedAt"]) if one.get("completedAt") else now
    return format_duration(end - parse_time(begun))


def details(one: Json, *, now: int) -> str:
    """One instance as a list of what is known of it."""
    tags = ", ".join(f"{key}={text}" for key, text in _inner(one, "tags").items())
    pairs: list[tuple[str, object]] = [
        ("id", one["instanceId"]),
        ("app", one["app"]),
        ("workflow", _versioned(one)),
        ("status", status(one["status"])),
        ("created", one["createdAt"]),
        ("starts at", one.get("startAt")),
        ("took", lasted(one, now=now)),
        ("parent", _inner(one, "parent").get("instanceId")),
        ("rerun of", one.get("rerunOf")),
        ("tags", tags),
        ("generation", one.get("generation") or None),
        ("history", f"{one.get('historyLength', 0)} events, {one.get('historyBytes', 0)} bytes"),
        ("under way", _under_way(one)),
        ("expires at", one.get("expiresAt")),
        ("stalled", _inner(one, "stall").get("description")),
        ("error", one.get("error")),
        ("input", _payload(one, "input")),
        ("custom status", _payload(one, "customStatus")),
        ("output", _payload(one, "output")),
    ]
    return "\n".join(
        f"{name:<14} {value if name in _AS_IT_IS else told(str(value))}"
        for name, value in pairs
        if value
    )


def _under_way(one: Json) -> str | None:
    count = one.get("pendingActivities") or 0
    return f"{count} {'activity' if count == 1 else 'activities'}" if count else None


def _versioned(one: Json) -> str:
    version = one.get("version")
    return f"{one['workflow']} {version}" if version else str(one["workflow"])


def _payload(one: Json, field: str) -> str | None:
    return json.dumps(one[field], ensure_ascii=False) if field in one else None


def passing(text: str) -> None:
    """Show progress in place of what was shown before, on a terminal; empty takes it away."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", err=True, nl=False)


def show(value: Any, form: str, *, people: Callable[[], str], names: Sequence[str]) -> None:
    """Print an answer: ``people`` makes the table, ``names`` are the ids in it."""
    if form == "name":
        for name in names:
            click.echo(name)
    elif form == "table":
        click.echo(visible(people()))
    else:
        click.echo(document(value, form))
