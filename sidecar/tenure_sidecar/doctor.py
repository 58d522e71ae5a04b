"""``tenure doctor``: is this store sound?

Reads everything and changes nothing; runs beside an engine, and on a store that the engine refuses
to open.  Exit code 0 = sound, 1 = problems (one a line on standard output), otherwise the error's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from tenure_common.command import configured, exit_code
from tenure_common.errors import BadSettingError
from tenure_sidecar.config import every_setting
from tenure_sidecar.store.sqlite.check import check

_USAGE = """\
usage: tenure doctor [SETTINGS]

Checks that a store is sound: its pages, its rows, and that every value can be read.

example: tenure doctor --store sqlite:.tenure/tenure.db

settings [variable; default]:
"""


class Doctor(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of ``tenure doctor``."""

    store: Annotated[str, msgspec.Meta(description="The store: sqlite:PATH.")] = (
        "sqlite:.tenure/tenure.db"
    )


def examine(url: str) -> list[str]:
    """The problems of the store that ``url`` names.  Raises: BadSettingError, StoreError."""
    kind, _, path = url.partition(":")
    if kind != "sqlite" or not path:
        message = f"--store '{url}' cannot be checked: write sqlite:PATH"
        raise BadSettingError(message)
    return check(Path(path))


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    return exit_code(lambda: doctor(argv))


def doctor(argv: Sequence[str]) -> int:
    """``tenure doctor``; returns the exit code.  Raises: TenureError."""
    config = configured(Doctor, argv, usage=_USAGE, elsewhere=every_setting())
    if config is None:
        return 0
    problems = examine(config.store)
    for problem in problems:
        print(problem)  # noqa: T201 - the command's output
    verdict = f"{len(problems)} problems" if problems else "sound"
    print(f"{config.store}: {verdict}", file=sys.stderr)  # noqa: T201 - the command's output
    return 1 if problems else 0
