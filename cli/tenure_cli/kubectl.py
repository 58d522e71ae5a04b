"""``kubectl tenure``: kubectl finds the program ``kubectl-tenure`` on the PATH and runs it.

The verbs are those of ``tenure``; the way is the cluster's (``cluster``).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from tenure_cli import ways
from tenure_cli.cluster import WAY
from tenure_cli.commands import VERBS, Process, Verb
from tenure_cli.group import Lazy, run
from tenure_common.version import VERSION

NAME: Final = "kubectl tenure"
_OTHERS: Final = frozenset({"completion"})  # kubectl completes its plugins in its own way
_ENDED: Final = 143  # as a shell reports SIGTERM


class _Plugin(Lazy):
    way = WAY

    def processes(self) -> dict[str, Process]:
        return {}

    def verbs(self) -> dict[str, Verb]:
        return {name: verb for name, verb in VERBS.items() if name not in _OTHERS}


@click.command(
    cls=_Plugin,
    params=WAY.options(),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Example: {NAME} list -n shop",
)
@click.version_option(VERSION, prog_name=NAME)
@click.pass_context
def plugin(ctx: click.Context, /, **given: Any) -> None:
    """The workflows of a cluster's apps, reached through its API server with your rights there."""
    ways.take(ctx, WAY, given)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    signal.signal(signal.SIGTERM, _end)  # kubectl runs beside us and has to end too
    return run(list(sys.argv[1:] if argv is None else argv), plugin, NAME)


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(_ENDED)
