"""How a verb gets to a server: the options that say which one, and what becomes of them.

A verb says that it wants a connection (``connected``); the command line that it is a part of says how
one is made: ``tenure`` from flags, variables and contexts (``contexts``), ``kubectl tenure`` by the
cluster's API server (``cluster``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from tenure_common.errors import UsageError

if TYPE_CHECKING:
    from tenure_cli.api import Api

AnyVerb = Callable[..., Any]

_WAY: Final = "tenure.way"
_GIVEN: Final = "tenure.given"
_MARK: Final = "__connected__"


class Way(NamedTuple):
    """Options, and what makes a connection of their values (by the options' names)."""

    options: Callable[[], list[click.Parameter]]
    connect: Callable[..., AbstractContextManager[Api]]


def connected(verb: AnyVerb) -> AnyVerb:
    """Give a verb an ``Api`` as its first argument, by the way of the command line."""

    @wraps(verb)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        meta = click.get_current_context().meta
        way: Way = meta[_WAY]
        before: Mapping[str, Any] = meta.get(_GIVEN, {})
        refuse_empty(click.get_current_context().command, kwargs)
        given = {
            str(option.name): kwargs.pop(str(option.name)) or before.get(str(option.name))
            for option in way.options()
        }
        with way.connect(**given) as api:
            return verb(api, *args, **kwargs)

    setattr(wrapped, _MARK, True)
    return wrapped


def refuse_empty(command: click.Command, given: Mapping[str, Any]) -> None:
    """Raises: UsageError for what was given without a character: a script's variable was not set, and
    without what it chooses the command would mean something else."""
    for one in command.params:
        value = given.get(str(one.name))
        if value == "" or (isinstance(value, tuple) and "" in value):
            plain = (one.metavar or str(one.name).upper()).strip("[]")
            name = plain if isinstance(one, click.Argument) else one.opts[-1]
            message = f"{name} is empty: is it a variable that is not set?"
            raise UsageError(message)


def wants_connection(command: click.Command) -> bool:
    """Whether the command is of a ``connected`` verb."""
    return bool(getattr(command.callback, _MARK, False))


def take(ctx: click.Context, way: Way, given: Mapping[str, Any]) -> None:
    """Let all verbs of a command line go this way; ``given`` stood in front of the verb.

    Raises: UsageError.
    """
    refuse_empty(ctx.command, given)
    ctx.meta[_WAY] = way
    ctx.meta[_GIVEN] = given


def stood_before(ctx: click.Context) -> list[str]:
    """The options of the way that stood in front of the verb."""
    given: Mapping[str, Any] = ctx.meta.get(_GIVEN, {})
    return [one.opts[-1] for one in ctx.find_root().command.params if given.get(str(one.name))]
