"""Runs a command that another package implements, without importing that package before."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import cast

from tenure_cli.commands import Process
from tenure_common.errors import UsageError


def delegate(name: str, process: Process, arguments: Sequence[str]) -> int:
    """Run ``tenure <name> <arguments>``; returns the exit code.

    Raises: UsageError when the command's packages are not installed.
    """
    module, _, function = process.target.partition(":")
    try:
        run = cast("Callable[[list[str]], int]", getattr(importlib.import_module(module), function))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(f"{module.partition('.')[0]}."):
            raise  # the package is there and broken: not for the user to install
        message = (
            f"'tenure {name}' needs the package '{error.name}', which is not installed: "
            f"pip install 'tenure[{process.extra}]'"
        )
        raise UsageError(message) from error
    return run([name, *arguments] if process.named else list(arguments))
