"""``tenure`` itself: servers by flag, variable or context (``connect``).

What speaks HTTP is imported for a connection only: help and a shell's completion have none.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from tenure_cli.ways import Way

if TYPE_CHECKING:
    from tenure_cli.api import Api


def _options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--server"], metavar="URL", help="Where; else TENURE_SERVER, a context, or here."
        ),
        click.Option(["--context"], metavar="NAME", help="A server of contexts.toml."),
        click.Option(["--namespace"], metavar="NAME", help="The app's; else the server's default."),
        click.Option(["--app"], metavar="ID", help="The app; else the one that the server serves."),
    ]


@contextmanager
def _connect(**given: Any) -> Generator[Api]:
    from tenure_cli.api import Api  # noqa: PLC0415 - see the module docstring
    from tenure_cli.connect import target  # noqa: PLC0415 - see the module docstring

    yield Api(target(**given))


CONTEXTS: Final = Way(_options, _connect)
