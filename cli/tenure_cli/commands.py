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
    "sidecar": Process(
        "tenure_sidecar.__main__:main",
        "sidecar",
        "Run the engine beside an app, in the app's pod.",
        named=True,
    ),
    "doctor": Process(
        "tenure_sidecar.doctor:main",
        "sidecar",
        "Check that a store is sound.",
    ),
    "gateway": Process(
        "tenure_sidecar.__main__:main",
        "sidecar",
        "Serve the management API of every app in an etcd store.",
        named=True,
    ),
    "injector": Process(
        "tenure_injector.__main__:main",
        "injector",
        "Put the engine into the pods of a cluster that ask for it.",
    ),
    "operator": Process(
        "tenure_operator.__main__:main",
        "operator",
        "Run the workflows that a cluster's resources describe.",
    ),
    "selftest": Process(
        "tenure_sidecar.__main__:main",
        "sidecar",
        "Be the smallest app, to see whether an installation works.",
        named=True,
    ),
    "upkeep": Process(
        "tenure_sidecar.__main__:main",
        "upkeep",
        "Look after the certificates and the etcd of an installation in Kubernetes.",
        named=True,
    ),
}

VERBS: Final[dict[str, Verb]] = {
    "run": Verb("tenure_cli.control:run", "Start an instance of a workflow."),
    "list": Verb("tenure_cli.reading:listing", "List instances."),
    "get": Verb("tenure_cli.reading:get", "Show one instance."),
    "history": Verb("tenure_cli.reading:history", "Tell what happened in an instance."),
    "wait": Verb("tenure_cli.reading:wait", "Wait until an instance has ended."),
    "watch": Verb("tenure_cli.reading:watch", "Follow instances as they change."),
    "raise": Verb("tenure_cli.control:raise_", "Raise an event on an instance."),
    "suspend": Verb("tenure_cli.control:suspend", "Suspend an instance, or many."),
    "resume": Verb("tenure_cli.control:resume", "Resume an instance, or many."),
    "terminate": Verb("tenure_cli.control:terminate", "End an instance, or many."),
    "purge": Verb("tenure_cli.control:purge", "Delete finished instances."),
    "rerun": Verb("tenure_cli.control:rerun", "Run again from an event of the history."),
    "restart": Verb("tenure_cli.control:restart", "Run again with the same input."),
    "rewind": Verb("tenure_cli.control:rewind", "Put a failed instance back before its failures."),
    "jobs": Verb("tenure_cli.jobs:jobs", "Show the jobs that act on many instances."),
    "explain": Verb("tenure_cli.explain:explain", "Say what an error code means and what to do."),
    "completion": Verb("tenure_cli.completion:completion", "Print a shell's completion script."),
}
