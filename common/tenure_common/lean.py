"""Libraries, imported without what they load at once and Tenure never uses.

A process is ready once its imports are done, so their time is its start.  Two of them do work that is
for others:

* ``aiohttp`` reads the machine's list of public authorities, twice, for calls that name no TLS context
  of their own (``aiohttp.connector``).  Whoever imports this module first has a copy in which such a
  call trusts nobody: a process may do so when all its calls name one, or when it makes none.
* ``structlog`` imports ``rich``, where that is installed, to paint tracebacks; ours are plain.

Where something else has imported them before, they are as they are, and nothing is lost but time.
"""

from __future__ import annotations

import importlib
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def absent(name: str) -> Generator[None, None, None]:
    """Let imports in the block not find the module ``name``, unless it has been imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how import is told that there is none
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def no_authorities() -> Generator[None, None, None]:
    """Let TLS contexts that are made in the block trust nobody, and read no list for it."""
    name = "set_default_verify_paths"
    before = getattr(ssl.SSLContext, name)

    def nothing(_context: ssl.SSLContext) -> None: ...

    setattr(ssl.SSLContext, name, nothing)
    try:
        yield
    finally:
        setattr(ssl.SSLContext, name, before)


with absent("rich"):
    importlib.import_module("structlog")
with no_authorities():
    importlib.import_module("aiohttp")
