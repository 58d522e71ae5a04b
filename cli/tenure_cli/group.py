"""The ``tenure`` command: a click group that imports a subcommand when it is run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from tenure_cli.commands import PROCESSES, VERBS, Process, Verb
from tenure_cli.delegate import delegate
from tenure_common.errors import TenureError
from tenure_common.version import VERSION

INTERRUPTED = 130  # as a shell reports SIGINT


class Lazy(click.Group):
    """Knows its subcommands by name and help text; ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the tables."""
        del ctx
        return [*PROCESSES, *VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand; None when there is none of that name."""
        del ctx
        if cmd_name in PROCESSES:
            return _process_command(cmd_name, PROCESSES[cmd_name])
        if cmd_name in VERBS:
            return _load(VERBS[cmd_name])
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``."""
        del ctx
        for title, table in (("Engine", PROCESSES), ("Verbs", VERBS)):
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in table.items()])


@click.command(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: tenure dev --app-id orders -- python app.py",
)
@click.version_option(VERSION, prog_name="tenure")
def tenure() -> None:
    """Durable workflows for apps on the Dapr Workflow and Durable Task SDKs."""


def run(words: Sequence[str]) -> int:
    """Run the command line; returns the exit code.  Errors go to standard error with their code."""
    try:
        result: object = tenure.main(args=list(words), prog_name="tenure", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("aborted", err=True)
        return INTERRUPTED
    except TenureError as error:
        click.echo(f"tenure: {error}", err=True)
        return error.exit
    return result if isinstance(result, int) else 0


def _load(verb: Verb) -> click.Command:
    module, _, name = verb.target.partition(":")
    command: object = getattr(importlib.import_module(module), name)
    if not isinstance(command, click.Command):
        message = f"{verb.target} is not a click command"
        raise TypeError(message)
    return command


def _process_command(name: str, process: Process) -> click.Command:
    def callback(arguments: tuple[str, ...]) -> int:
        return delegate(name, process, arguments)

    return click.Command(
        name,
        callback=callback,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=process.help,
        add_help_option=False,  # its own --help is better
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
