"""The lock that keeps a second process away from a database.

An advisory lock (``flock``) on a file beside the database.  The kernel drops it when the process
ends, however it ends, so there is never a stale lock to remove by hand.  The file itself stays: who
removes a lock file lets two processes lock two files of one name.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tenure_common.errors import StoreLockedError, StoreUnavailableError


class FileLock:
    """Lock of the database at ``path``; not reentrant."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = path.with_name(path.name + ".lock")
        self._handle = -1

    def take(self) -> None:
        """Lock, and leave this process's id for the one that comes too late.

        Raises: StoreLockedError, StoreUnavailableError.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = (
                f"cannot create the lock file '{self._path}': {error.strerror}; "
                "check that the directory exists and is writable"
            )
            raise StoreUnavailableError(message) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            message = (
                f"the database '{self._database}' is in use by process {holder}; "
                "stop that process, or give this one another database"
            )
            raise StoreLockedError(message) from error
        # The id only serves the message above: a disk without room for it still locks.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def drop(self) -> None:
        """Unlock; nothing when not locked."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
