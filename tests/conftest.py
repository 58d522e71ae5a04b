"""What all tests have in common: tracebacks in the log as Python prints them.

Where the package ``rich`` is installed, structlog's default draws a frame around each, with the source
and the local variables: half a second of a processor for every error that a test plants.
"""

from __future__ import annotations

import structlog


def pytest_configure() -> None:
    """Before anything is logged."""
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])
