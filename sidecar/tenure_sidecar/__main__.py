"""Entry point of the engine: ``tenure dev``, or ``python -m tenure_sidecar dev``.

Settings come from flags, ``TENURE_...`` variables and a TOML file, in this order; what comes after
``--`` is the app's command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tenure_common import clock, logging, settings
from tenure_common.errors import TenureError, UsageError
from tenure_sidecar.config import Config
from tenure_sidecar.runtime import main as serve

_USAGE = """\
usage: tenure dev [SETTINGS] [-- COMMAND ...]

Runs the whole engine in this process on an embedded store; with COMMAND, the app beside it.

example: tenure dev --app-id orders -- python app.py

settings [variable; default]:
"""


def dev(argv: Sequence[str]) -> int:
    """``tenure dev``; returns the exit code.  Raises: TenureError."""
    known = settings.settings_of(Config, without=("command",))
    line = settings.parse(argv, known)
    if line.help:
        print(_USAGE + settings.help_of(known))
        return 0
    path = settings.config_path(line.flags, os.environ)
    config = settings.resolve(
        Config,
        flags=line.flags,
        env=os.environ,
        file=settings.read(path),
        file_name=path or "",
        given={"command": line.rest},
    )
    logging.configure(clock=clock.wall_ns, form=config.log_format, level=config.log_level)
    return serve(config)


_COMMANDS = {"dev": dev}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors go to standard error, with their code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if not words or words[0] not in _COMMANDS:
            message = f"name a command: {', '.join(_COMMANDS)}"
            raise UsageError(message)
        return _COMMANDS[words[0]](words[1:])
    except TenureError as error:
        print(f"tenure: {error}", file=sys.stderr)
        return error.exit


if __name__ == "__main__":
    sys.exit(main())
