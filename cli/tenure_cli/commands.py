"""Every subcommand of ``tenure``, as data; its code is imported when it is run.

Two kinds.  *Processes* (``dev``) belong to a deployable that the command line may not import
(import-linter checks that): they are loaded by name and get their arguments as they are.  *Verbs*
are click commands of this package.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Process(NamedTuple):
    """A command of another package: ``module:function``, which takes the arguments (its own name
    first when ``named``) and returns an exit code; ``extra`` is what installs it."""

    target: str
    extra: str
    help: str
    named: bool = False


class Verb(NamedTuple):
    """A click command of this package: ``module:object``."""

    target: str
    help: str


PROCESSES: Final[dict[str, Process]] = {
    "dev": Process(
        "tenure_sidecar.__main__:main",
        "sidecar",
        "Run the engine here, with an embedded store, and the app beside it.",
        named=True,
    ),
    "doctor": Process(
        "tenure_sidecar.doctor:main",
        "sidecar",
        "Check that a store is sound.",
    ),
}

VERBS: Final[dict[str, Verb]] = {
    "explain": Verb("tenure_cli.explain:explain", "Say what an error code means and what to do."),
}
