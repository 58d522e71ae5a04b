"""Documentation pages as programs: their console blocks, run in one shell, in order.

In a ``console`` block a line that begins with ``$ `` is typed, and the lines below it are what must
appear.  ``...`` stands for anything: within a line, or, as a line of its own, for any lines.  A
block with ``title="name.py"`` is a file in the folder where the shell runs.

A command that ends with `` &`` runs in the background, and what it must print is waited for.  A
plain query (``curl`` without a method, ``tenure get``, ``kubectl get``) is repeated until the answer
fits: the reader sees the same after a moment.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ANSWER_WITHIN = 60.0  # seconds; a bound for what is broken, not a target
_AGAIN = 0.05  # seconds between two looks
_BLOCK = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
_QUERY = re.compile(r"(curl -s (?!.*-X )|tenure (get|list|history)\b|kubectl get\b)")
_END = "\x01end"


class Command(NamedTuple):
    """One typed line, and the lines that must follow it."""

    typed: str
    shows: tuple[str, ...]


def commands(text: str) -> Iterator[Command]:
    """The commands of a page, in order."""
    for kind, _, body in _BLOCK.findall(text):
        if kind != "console":
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            typed, *shows = part.rstrip("\n").split("\n")
            yield Command(typed, tuple(shows))


def needs_a_cluster(text: str) -> bool:
    """Whether a page types ``kubectl``."""
    return any(command.typed.startswith("kubectl ") for command in commands(text))


def needs_pods(text: str) -> bool:
    """Whether a page types ``helm``: what that installs needs a node."""
    return any(command.typed.startswith("helm ") for command in commands(text)) or bool(
        re.search(r"^\$ kubectl -n tenure-system ", text, re.MULTILINE)
    )


def files(text: str) -> Iterator[tuple[str, str]]:
    """Name and content of the files that a page has the reader save."""
    for _, info, body in _BLOCK.findall(text):
        title = _TITLE.search(info)
        if title is not None:
            yield title[1], body


def fits(shows: tuple[str, ...], output: str) -> bool:
    """Whether ``output`` is what the page shows; a page that shows nothing takes anything."""
    if not shows:
        return True
    pattern = ""
    for line in shows:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("...")) + "\n"
    return re.fullmatch(pattern, output.rstrip("\n") + "\n") is not None


class Shell:
    """One bash with job control, so that ``%name`` is a background command."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._jobs = 0
        self._process = subprocess.Popen(
            ["/bin/bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=dict(env),
            start_new_session=True,
        )
        self._type("set -m")  # as an option it would complain that there is no terminal

    def run(self, command: Command) -> str:
        """Run one command; returns its output.  Raises: AssertionError when it does not fit."""
        if command.typed.endswith(" &"):
            return self._start(command)
        deadline = time.monotonic() + ANSWER_WITHIN
        while True:
            code, output = self._type(command.typed)
            if code == 0 and fits(command.shows, output):
                return output
            expected_failure = code != 0 and command.shows and fits(command.shows, output)
            if expected_failure:
                return output
            if not _QUERY.match(command.typed) or time.monotonic() > deadline:
                shown = "\n".join(command.shows)
                message = f"$ {command.typed}\nexit code {code}\n{output}\nexpected:\n{shown}"
                raise AssertionError(message)
            time.sleep(_AGAIN)

    def _start(self, command: Command) -> str:
        self._jobs += 1
        log = self._folder / f".job{self._jobs}.log"
        self._type(f"{command.typed.removesuffix(' &')} >{log} 2>&1 </dev/null &")
        deadline = time.monotonic() + ANSWER_WITHIN
        while True:
            output = log.read_text(encoding="utf-8") if log.exists() else ""
            lines = output.splitlines()
            if all(any(fits((want,), line) for line in lines) for want in command.shows):
                return output
            if time.monotonic() > deadline:
                message = f"$ {command.typed}\n{output}\nexpected:\n{command.shows}"
                raise AssertionError(message)
            time.sleep(_AGAIN)

    def _type(self, line: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\nprintf '\\n{_END}%d\\n' $?\n")
        self._process.stdin.flush()
        output: list[str] = []
        deadline = time.monotonic() + ANSWER_WITHIN
        descriptor = self._process.stdout.fileno()
        buffered = ""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while _END not in buffered or not buffered.endswith("\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    message = f"$ {line}\nno end after {ANSWER_WITHIN} s\n{buffered}"
                    raise AssertionError(message)
                chunk = os.read(descriptor, 65536)
                if not chunk:
                    message = f"$ {line}\nthe shell ended\n{buffered}"
                    raise AssertionError(message)
                buffered += chunk.decode(errors="replace")
        text, _, code = buffered.rpartition(_END)
        output.append(text)
        return int(code), "".join(output).strip("\n")

    def close(self) -> None:
        """End the shell and all that it started."""
        if self._process.poll() is None:
            # Not SIGKILL: an engine that started an app ends it.
            self._type("kill $(jobs -p) 2>/dev/null; wait 2>/dev/null")
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=ANSWER_WITHIN)
        assert self._process.stdout is not None
        self._process.stdout.close()
