"""Entry point of the ``tenure`` command.

The engine's processes start without click: what they import is paid before ``tenure dev`` is ready.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tenure_cli.commands import PROCESSES
from tenure_common.errors import TenureError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in PROCESSES:
        from tenure_cli.delegate import delegate  # noqa: PLC0415 - see the module docstring

        try:
            return delegate(words[0], PROCESSES[words[0]], words[1:])
        except TenureError as error:
            print(f"tenure: {error}", file=sys.stderr)
            return error.exit
        except BrokenPipeError:  # `tenure dev --help | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    try:
        from tenure_cli.group import run  # noqa: PLC0415 - see the module docstring

        return run(words)
    except KeyboardInterrupt:  # before there is a command that could tell of it
        return 130  # as a shell reports SIGINT


if __name__ == "__main__":
    sys.exit(main())
