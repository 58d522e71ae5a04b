"""``tenure doctor``: is this store sound?

Reads everything and changes nothing; runs beside an engine, and on a store that the engine refuses
to open.  Exit code 0 = sound, 1 = problems (one a line on standard output), otherwise the error's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec

from tenure_common.command import configured, exit_code
from tenure_sidecar.config import StoreConfig, every_setting
from tenure_sidecar.stores import check_store

_USAGE = """\
usage: tenure doctor [SETTINGS]

Checks that a store is sound: its pages, its rows or keys, and that every value can be read.

example: tenure doctor --store sqlite:.tenure/tenure.db

settings [variable; default]:
"""


class Doctor(StoreConfig, frozen=True, kw_only=True):
    """Settings of ``tenure doctor``; app and namespace are for etcd."""

    app_id: Annotated[str, msgspec.Meta(description="Name of the app.")] = "app"
    store: Annotated[
        str, msgspec.Meta(description="The store: sqlite:PATH or etcd://HOST:PORT,….")
    ] = "sqlite:.tenure/tenure.db"


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    return exit_code(lambda: doctor(argv))


def doctor(argv: Sequence[str]) -> int:
    """``tenure doctor``; returns the exit code.  Raises: TenureError."""
    config = configured(Doctor, argv, usage=_USAGE, elsewhere=every_setting())
    if config is None:
        return 0
    problems = check_store(config)
    for problem in problems:
        print(problem)  # noqa: T201 - the command's output
    verdict = f"{len(problems)} problems" if problems else "sound"
    print(f"{config.store}: {verdict}", file=sys.stderr)  # noqa: T201 - the command's output
    return 1 if problems else 0
