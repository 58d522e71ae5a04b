"""What all tests have in common: two things that would cost more than the tests themselves.

Where the package ``rich`` is installed, structlog's default draws a frame around each traceback, with
the source and the local variables: half a second of a processor for every error that a test plants.
And the collector of cycles would look through all modules and tests again and again.
"""

from __future__ import annotations

import gc

import structlog


def pytest_configure() -> None:
    """Tracebacks in the log as Python prints them."""
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end."""
    gc.collect()
    gc.freeze()
