"""Entry point of the operator: ``tenure operator``, or ``python -m tenure_operator``.

Settings come from flags, ``TENURE_...`` variables and a TOML file, in this order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tenure_common.command import configured, exit_code
from tenure_operator.config import Config

_USAGE = """\
usage: tenure operator [SETTINGS]

Runs the workflows that a cluster's resources describe, through the gateway.

example: tenure operator --gateway http://127.0.0.1:3500/v1alpha1 --namespaces default

settings [variable; default]:
"""


def operator(argv: Sequence[str]) -> int:
    """``tenure operator``; returns the exit code.  Raises: TenureError."""
    config = configured(Config, argv, usage=_USAGE)
    if config is None:
        return 0
    from tenure_operator.runtime import main as serve  # noqa: PLC0415 - help needs no Kubernetes

    return serve(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator; errors go to standard error, with their code."""
    return exit_code(lambda: operator(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
