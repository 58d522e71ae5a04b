"""``tenure completion SHELL``: what makes the shell complete ``tenure`` commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(epilog='Example: eval "$(tenure completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None, shell  # noqa: S101 - click has these three
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "tenure", "_TENURE_COMPLETE").source())
