"""Options that many verbs share, and what they come to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tenure_cli.shown import FORMS
from tenure_common.errors import BadRequestError, UsageError
from tenure_common.times import NANOS, parse_duration

AnyVerb = Callable[..., Any]

STATUSES = (
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "STALLED",
    "COMPLETED",
    "FAILED",
    "TERMINATED",
    "CANCELED",
)
FILTERS = (
    "status",
    "workflow",
    "id_prefix",
    "parent",
    "tag",
    "created_from",
    "created_to",
    "completed_from",
    "completed_to",
)  # a verb without ranges of time has the first five
_MOMENT = "TIME|AGE"


def formed(verb: AnyVerb) -> AnyVerb:
    """The option ``-o``."""
    return click.option(
        "-o", "form", type=click.Choice(FORMS), default="table", help="How to show it."
    )(verb)


def filtered(verb: AnyVerb) -> AnyVerb:
    """The options that choose instances."""
    for option in (
        click.option("--completed-to", metavar=_MOMENT, help="Ended before; an age is 7d, 1h30m."),
        click.option("--completed-from", metavar=_MOMENT, help="Ended then or later."),
        click.option("--created-to", metavar=_MOMENT, help="Created before."),
        click.option("--created-from", metavar=_MOMENT, help="Created then or later."),
    ):
        verb = option(verb)
    return kept(verb)


def kept(verb: AnyVerb) -> AnyVerb:
    """The options that choose instances by what does not change as time goes on."""
    for option in (
        click.option("--tag", multiple=True, metavar="KEY=VALUE", help="Has the tag; repeatable."),
        click.option("--parent", metavar="ID", help="Is a child of."),
        click.option("--id-prefix", metavar="TEXT", help="The id begins with."),
        click.option("--workflow", metavar="NAME", help="Runs this workflow."),
        click.option(
            "--status",
            multiple=True,
            type=click.Choice(STATUSES, case_sensitive=False),
            help="Is in this status; repeatable.",
        ),
    ):
        verb = option(verb)
    return verb


def chosen(given: dict[str, Any]) -> dict[str, Any]:
    """What ``filtered`` options say, as the API's parameters; taken out of ``given``."""
    found = {name: given.pop(name) for name in FILTERS if name in given}
    return {_camel(name): value for name, value in found.items() if value}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def value(text: str | None, *, flag: str, field: str) -> dict[str, Any]:
    """The JSON value of a flag, as ``field`` of a body; empty when it was not given.

    ``@FILE`` reads it from a file, ``-`` from standard input.  Raises: UsageError.
    """
    if text is None:
        return {}
    said = _read(text, flag=flag)
    try:
        return {field: json.loads(said)}
    except RecursionError as error:
        message = f"{flag}: the JSON is nested too deeply"
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{flag}: '{said[:40]}' is not JSON ({error}); a text needs quotes: '\"text\"'"
        raise UsageError(message) from error


def _read(text: str, *, flag: str) -> str:
    if text != "-" and not text.startswith("@"):
        return text
    try:
        data = sys.stdin.buffer.read() if text == "-" else Path(text[1:]).read_bytes()
    except OSError as error:
        message = f"{flag}: cannot read '{text[1:]}': {error.strerror}"
        raise UsageError(message) from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"{flag}: what it reads is not UTF-8 at byte {error.start}"
        raise UsageError(message) from error


def limited(text: str | None, *, flag: str) -> float | None:
    """Seconds of a duration flag, None when it was not given.  Raises: UsageError."""
    try:
        return None if text is None else parse_duration(text) / NANOS
    except BadRequestError as error:
        message = f"{flag}: {error.message}"
        raise UsageError(message) from error


def tags(pairs: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` flags as a dictionary.  Raises: UsageError."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            message = f"--tag '{pair}' is not KEY=VALUE"
            raise UsageError(message)
        found[key] = text
    return found
