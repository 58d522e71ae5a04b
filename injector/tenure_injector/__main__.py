"""Entry point of the injector: ``tenure injector``, or ``python -m tenure_injector``.

Settings come from flags, ``TENURE_...`` variables and a TOML file, in this order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tenure_common import lean  # noqa: F401 # pyright: ignore[reportUnusedImport] - before all others
from tenure_common.command import configured, exit_code
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
    config = configured(Config, argv, usage=_USAGE)
    return 0 if config is None else serve(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the injector; errors go to standard error, with their code."""
    return exit_code(lambda: injector(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
