"""Entry point of the injector: ``tenure injector``, or ``python -m tenure_injector``.

Settings come from flags, ``TENURE_...`` variables and a TOML file, in this order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tenure_common import clock, logging, settings
from tenure_common.errors import TenureError
from tenure_injector.config import Config
from tenure_injector.runtime import main as serve

_USAGE = """\
usage: tenure injector [SETTINGS]

Answers the API server's admission reviews: pods that ask for it get the engine.

example: tenure injector --namespace tenure-system --sidecar-image tenure:0.1.0

settings [variable; default]:
"""


def injector(argv: Sequence[str]) -> int:
    """``tenure injector``; returns the exit code.  Raises: TenureError."""
    known = settings.settings_of(Config)
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
    )
    logging.configure(clock=clock.wall_ns, form=config.log_format, level=config.log_level)
    return serve(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the injector; errors go to standard error, with their code."""
    try:
        return injector(sys.argv[1:] if argv is None else argv)
    except TenureError as error:
        print(f"tenure: {error}", file=sys.stderr)
        return error.exit


if __name__ == "__main__":
    sys.exit(main())
