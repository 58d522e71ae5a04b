"""A command that runs a process: settings in, exit code out, the same way in every deployable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from tenure_common import clock, logging, settings
from tenure_common.errors import TenureError
from tenure_common.logging import Format, Level

T = TypeVar("T", bound=msgspec.Struct)


@runtime_checkable
class Logged(Protocol):
    """Settings with the log's form and level."""

    @property
    def log_format(self) -> Format:
        """Form of the log."""
        ...

    @property
    def log_level(self) -> Level:
        """Least level that is logged."""
        ...


def configured(
    struct: type[T],
    argv: Sequence[str],
    *,
    usage: str,
    rest: str = "",
    elsewhere: Collection[str] = (),
) -> T | None:
    """The settings from flags, ``TENURE_...`` variables and the TOML file, in this order; None when
    the help was asked for, and printed.

    Args:
        struct: declares the settings; of a ``Logged`` one the log is set up.
        argv: what stands after the command's name.
        usage: what the help begins with.
        rest: the field for what comes after ``--``, empty = nothing may.
        elsewhere: fields of other commands, which the same file and environment serve.

    Raises: BadSettingError.
    """
    without = (rest,) if rest else ()
    known = settings.settings_of(struct, without=without)
    line = settings.parse(argv, known)
    if line.help:
        print(usage + settings.help_of(known))  # noqa: T201 - the command's output
        return None
    path = settings.config_path(line.flags, os.environ)
    config = settings.resolve(
        struct,
        flags=line.flags,
        env=os.environ,
        file=settings.read(path),
        file_name=path or "",
        given={rest: line.rest} if rest else {},
        elsewhere=elsewhere,
    )
    if isinstance(config, Logged):
        logging.configure(clock=clock.wall_ns, form=config.log_format, level=config.log_level)
    return config


def exit_code(command: Callable[[], int]) -> int:
    """Run it; errors go to standard error, with their code."""
    try:
        return command()
    except TenureError as error:
        print(f"tenure: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return error.exit
