"""A program that a test runs, kills, pauses and starts again, with its output in a file.

It never outlives the test run: the kernel kills it when its parent is gone, however that ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_WITHIN = 60.0  # seconds; a bound, not a target
POLL = 0.05  # seconds
_PR_SET_PDEATHSIG = 1


class NotReadyError(AssertionError):
    """A program ended or did not become ready; carries the end of its log."""


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One program with fixed arguments."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it; it is not ready yet when this returns."""
        assert not self.alive, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into the kernel, no locks
            )

    def wait_until(self, what: str, ready: Callable[[], object], *, within: float) -> None:
        """Return once ``ready()`` is true; it may raise while it is not.

        Raises: NotReadyError when the program ends or ``within`` seconds pass.
        """
        deadline = time.monotonic() + within
        last: Exception | None = None
        while time.monotonic() < deadline:
            if not self.alive:
                message = f"{self.name} ended before {what}\n{self.tail()}"
                raise NotReadyError(message)
            try:
                if ready():
                    return
            except Exception as error:  # reported below
                last = error
            time.sleep(POLL)
        message = f"{self.name}: no {what} within {within} s: {last!r}\n{self.tail()}"
        raise NotReadyError(message)

    def tail(self, lines: int = 30) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL when that does not help; the exit code."""
        if self._process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode

    def kill(self) -> None:
        """SIGKILL: the power goes out."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
