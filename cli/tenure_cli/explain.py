"""``tenure explain TN0101``: the page of an error code, without a browser.

The pages are docs/errors/ of the repository; the wheel carries them beside this module.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from tenure_common.errors import UsageError

_CODE = re.compile(r"TN\d{4}", re.IGNORECASE)
_FOLDERS = (
    Path(__file__).parent / "pages",  # installed
    Path(__file__).parents[2] / "docs" / "errors",  # a checkout
)


def page(code: str) -> str:
    """The text of a code's page.  Raises: UsageError when there is none."""
    if not _CODE.fullmatch(code):
        message = f"'{code}' is no error code: they look like TN0101"
        raise UsageError(message)
    for folder in _FOLDERS:
        path = folder / f"{code.upper()}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    message = f"there is no error {code.upper()} in this version"
    raise UsageError(message)


@click.command(epilog="Example: tenure explain TN0101")
@click.argument("code")
def explain(code: str) -> None:
    """Say what an error code means and what to do about it."""
    click.echo(page(code).rstrip())
