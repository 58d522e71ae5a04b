"""``tenure`` as a user runs it: a process of its own, in a pipe or on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Shell:
    """The command, with ``server`` to talk to and settings in ``home``."""

    def __init__(self, server: str, home: Path) -> None:
        self._env = {
            **os.environ,
            "TENURE_SERVER": server,
            "XDG_CONFIG_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }

    def __call__(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """What it printed; the exit code is asserted."""
        return self.run(*words, stdin=stdin, code=code).stdout

    def run(
        self, *words: str, stdin: str = "", code: int = 0, stdout: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """All that there is of it; ``stdout``: a file in place of what is returned."""
        with Path(stdout).open("w") if stdout else contextlib.nullcontext(subprocess.PIPE) as out:
            ran = subprocess.run(
                [sys.executable, "-m", "tenure_cli", *words],
                input=stdin,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                env=self._env,
                timeout=60,
                check=False,
            )
        assert ran.returncode == code, ran.stderr + str(ran.stdout)
        assert "Traceback" not in ran.stderr
        return ran

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-o", "json"))

    def on_terminal(self, *words: str, **env: str) -> str:
        """What it prints on a terminal, and to it."""
        with self.open(*words, terminal=True, **env) as running:
            return running.rest()

    @contextlib.contextmanager
    def open(self, *words: str, terminal: bool = False, **env: str) -> Iterator[Running]:
        """A command that runs; with a ``terminal``, which is all that it writes to."""
        ours, theirs = pty.openpty() if terminal else os.pipe()
        with subprocess.Popen(
            [sys.executable, "-m", "tenure_cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**{k: v for k, v in self._env.items() if k != "NO_COLOR"}, **env},
        ) as process:
            os.close(theirs)
            running = Running(process, ours)
            try:
                yield running
                if process.poll() is None and "watch" in words:
                    process.terminate()
                running.code = process.wait(timeout=60)
            finally:
                process.kill()
                os.close(ours)


class Running:
    """A command that runs, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], out: int) -> None:
        self.code = -1
        self._process = process
        self._out = out
        self._text = ""

    def until(self, text: str) -> None:
        """Read until it has written ``text``, which is not read again."""
        deadline = time.monotonic() + 60
        while text not in self._text:
            ready, _, _ = select.select([self._out], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self._text!r}"
            assert self._more(), f"it ended without {text!r}: {self._text!r}"
        self._text = self._text.partition(text)[2]

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def rest(self) -> str:
        """All that it writes until its end."""
        while self._more():
            pass
        return self._text

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def _more(self) -> bool:
        try:
            found = os.read(self._out, 65536)
        except OSError:  # a terminal that nobody writes to any more
            return False
        self._text += found.decode(errors="replace")
        return bool(found)
