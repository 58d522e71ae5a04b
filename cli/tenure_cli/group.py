"""The ``tenure`` command, and ``kubectl tenure``: click groups that import a subcommand when it is run.

Both have the same verbs; what differs is the way to a server (``ways``), and that a kubectl plugin
runs no processes.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Sequence

import click

from tenure_cli import ways
from tenure_cli.commands import PROCESSES, VERBS, Process, Verb
from tenure_cli.contexts import CONTEXTS
from tenure_cli.delegate import delegate
from tenure_common.errors import TenureError, UsageError
from tenure_common.version import VERSION

INTERRUPTED = 130  # as a shell reports SIGINT


class Lazy(click.Group):
    """Knows its subcommands by name and help text; ``--help`` imports none of them."""

    way = CONTEXTS

    def processes(self) -> dict[str, Process]:
        """The processes that this command runs."""
        return PROCESSES

    def verbs(self) -> dict[str, Verb]:
        """The verbs that this command has."""
        return VERBS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the tables."""
        del ctx
        return [*self.processes(), *self.verbs()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand; None when there is none of that name."""
        if (process := self.processes().get(cmd_name)) is not None:
            return _process_command(cmd_name, process)
        if (verb := self.verbs().get(cmd_name)) is not None:
            return _going(_load(verb), self.way, ctx.find_root().info_name or "tenure")
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``."""
        del ctx
        for title, table in (("Engine", self.processes()), ("Verbs", self.verbs())):
            if table:
                with formatter.section(title):
                    formatter.write_dl([(name, entry.help) for name, entry in table.items()])


@click.command(
    cls=Lazy,
    params=CONTEXTS.options(),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: tenure dev --app-id orders -- python app.py",
)
@click.version_option(VERSION, prog_name="tenure")
@click.pass_context
def tenure(ctx: click.Context, /, **given: str | None) -> None:
    """Durable workflows for apps on the Dapr Workflow and Durable Task SDKs."""
    ways.take(ctx, CONTEXTS, given)


def run(words: Sequence[str], group: click.Group = tenure, name: str = "tenure") -> int:
    """Run a command line; returns the exit code.  Errors go to standard error with their code."""
    # None leaves it to click: colours on a terminal.  The variable is that of no-color.org.
    color = False if os.environ.get("NO_COLOR") else None
    try:
        result: object = group.main(
            args=list(words), prog_name=name, standalone_mode=False, color=color
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("aborted", err=True)
        return INTERRUPTED
    except TenureError as error:
        click.echo(f"{name}: {error}", err=True)
        return error.exit
    except OSError as error:  # every other one is told where it happens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is not flushed
        click.echo(f"{name}: cannot write: {error.strerror}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _load(verb: Verb) -> click.Command:
    module, _, name = verb.target.partition(":")
    command: object = getattr(importlib.import_module(module), name)
    if not isinstance(command, click.Command):
        message = f"{verb.target} is not a click command"
        raise TypeError(message)
    return command


def _going(command: click.Command, way: ways.Way, name: str) -> click.Command:
    """The command as a part of the command line ``name``, with the options of its way."""
    if not ways.wants_connection(command) and name == "tenure":
        return command
    command = copy.copy(command)
    if ways.wants_connection(command):
        command.params = [*command.params, *way.options()]
    command.epilog = (command.epilog or "").replace("Example: tenure ", f"Example: {name} ")
    return command


def _process_command(name: str, process: Process) -> click.Command:
    def callback(arguments: tuple[str, ...]) -> int:
        if before := ways.stood_before(click.get_current_context()):
            message = (
                f"{before[0]} is for verbs: 'tenure {name}' runs here, with settings of its own"
            )
            raise UsageError(message)
        return delegate(name, process, arguments)

    return click.Command(
        name,
        callback=callback,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=process.help,
        add_help_option=False,  # its own --help is better
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
