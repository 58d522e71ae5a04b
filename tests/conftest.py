"""What all tests have in common: how long a case of a law takes is not what is asked on a slow machine,
and two things that would cost more than the tests themselves.

Where the package ``rich`` is installed, structlog's default draws a frame around each traceback, with
the source and the local variables: half a second of a processor for every error that a test plants.
And the collector of cycles would look through all modules and tests again and again.
"""

from __future__ import annotations

import gc

import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")


def pytest_configure() -> None:
    """Tracebacks in the log as Python prints them."""
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end."""
    gc.collect()
    gc.freeze()
