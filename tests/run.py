"""Runs the layers of tests, cheapest first, and adds the results up.

A layer is data: what it shows, the programs that it needs beside Python, its steps, and a limit
that turns a hang into a failure with a name.  A layer whose program is missing fails and says what
to install; it is never skipped.  To leave layers out, name the others:
``python tests/run.py lint unit``.

A step is a check (one thing that passes or fails) or a pytest run (as many as it has tests).  With
CI=true a skipped test is a failure too.  The last line is the sum: ``N passed, N failed``.

Layers that mostly wait (for leases, probes, pods) run beside the others, each in a lane of its own.
Their output is kept back and shown between two layers of the first lane, so that the output of a layer
is in one piece; when nothing else is left to do, it is shown as it comes.  A layer that needs the
machine for itself begins when the other lanes are empty.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SMALLEST_ENGINE_COVERAGE = 95
ENDED_AT_LIMIT = 124


@dataclass(frozen=True)
class Need:
    """A program that must be on the machine."""

    program: str
    name: str
    least: int = 0  # major version; 0 = any
    version: Sequence[str] = ()  # prints the version, when there is a least one
    shown: str = r"(\d+)"  # where in the print the major version is

    def missing(self) -> str | None:
        """What is wrong, None when it is there."""
        path = shutil.which(self.program)
        wanted = f"{self.name} >= {self.least}" if self.least else self.name
        if path is None:
            return f"{self.program} not found: install {wanted}"
        if not self.least:
            return None
        ran = subprocess.run([path, *self.version], capture_output=True, text=True, check=False)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr)
        found = re.search(self.shown, plain)
        if found is None or int(found[1]) < self.least:
            shown = found[1] if found else "of an unknown version"
            return f"{self.program} is {shown}: install {wanted}"
        return None


@dataclass(frozen=True)
class Check:
    """One command that passes or fails."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Suite:
    """One pytest run."""

    name: str
    arguments: Sequence[str]


@dataclass(frozen=True)
class Layer:
    """One layer; ``limit`` in seconds for each of its steps."""

    name: str
    shows: str
    steps: Sequence[Check | Suite]
    needs: Sequence[Need] = ()
    limit: int = 3600


@dataclass
class Result:
    """What a layer came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list[str])


NODE = Need("node", "Node.js", 20, ("--version",), r"v(\d+)")
NPM = Need("npm", "npm (it comes with Node.js)")
GO = Need("go", "Go", 26, ("version",), r"go1\.(\d+)")
JAVA = Need("java", "a JDK", 17, ("-version",), r'version "(\d+)')
JAVAC = Need("javac", "a JDK (a JRE has no compiler)")
MAVEN = Need("mvn", "Apache Maven", 3, ("--version",), r"Maven (\d+)")

# Tests that share nothing run side by side; more than four at a time wait for the disk.  Each process
# has neighbours of one module, which share what the module sets up, until it takes over another's.
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses=4", "--dist=worksteal")

LAYERS = (
    Layer(
        "lint",
        "style, spelling, who imports whom, the lock",
        (
            Check("ruff check", ("ruff", "check", ".")),
            Check("ruff format", ("ruff", "format", "--check", ".")),
            Check("codespell", ("codespell",)),
            Check("import-linter", ("lint-imports",)),
            Check("lock", ("python", "requirements/lock.py", "--check")),
        ),
    ),
    Layer(
        "types",
        "mypy strict and pyright strict",
        (Check("mypy", ("mypy",)), Check("pyright", ("pyright",))),
    ),
    Layer(
        "unit",
        "each module on its own; the engine covered to the percentage that is promised",
        (
            Suite("unit tests", ("tests/unit", "--ignore=tests/unit/engine", *SIDE_BY_SIDE)),
            Suite(  # these alone are measured: it costs half as much again
                "engine and property tests",
                (
                    *("tests/unit/engine", "tests/property", *SIDE_BY_SIDE),
                    *("--cov=tenure_sidecar.engine", "--cov-report="),
                ),
            ),
            Suite("simulations", ("tests/sim", *SIDE_BY_SIDE)),
            Check(
                "coverage of the engine",
                ("coverage", "report", f"--fail-under={SMALLEST_ENGINE_COVERAGE}"),
            ),
        ),
    ),
    Layer(
        "integration",
        "stores on real files and etcd servers, listeners on real sockets, the engine as a process",
        (
            Check("programs built from Go modules", ("python", "tests/kubernetes/build.py")),
            Check(  # those that pages of the documentation use
                "environments of SDKs",
                ("python", "tests/conformance/build.py", "ms-py", "dapr-py-1.19"),
            ),
            Suite("integration tests", ("tests/integration", *SIDE_BY_SIDE)),
        ),
    ),
    Layer(
        "kubernetes",
        "image, chart, resources and injector, against a real API server",
        (
            Check("programs built from Go modules", ("python", "tests/kubernetes/build.py")),
            Suite("image tests", ("tests/image",)),
            Suite("chart tests", ("tests/chart",)),
            Suite("kubernetes tests", ("tests/kubernetes",)),
        ),
    ),
    Layer(
        "pods",
        "the whole path on real pods of a real node (root; fetches containerd and the like once)",
        (
            Check("programs built from Go modules", ("python", "tests/kubernetes/build.py")),
            Suite("pod tests", ("tests/pods",)),
        ),
    ),
    Layer(
        "conformance",
        "the released SDKs, unmodified, against the engine",
        (
            Check("environments of SDKs", ("python", "tests/conformance/build.py")),
            Suite("conformance tests", ("tests/conformance",)),
        ),
        needs=(NODE, NPM, JAVA, JAVAC, MAVEN, GO),
    ),
    Layer(
        "crash",
        "faults under load with a stock SDK app: nothing lost, stuck or counted twice",
        (
            Check("programs built from Go modules", ("python", "tests/kubernetes/build.py")),
            # Two at a time: each waits for timers, leases and certificates most of its time.
            Suite("crash tests", ("tests/cluster", "-n", "2", "--dist=worksteal")),
        ),
    ),
)


BESIDE = ("kubernetes", "pods", "conformance")  # they wait more than they compute
LANES = 2  # for those; where there are more layers than lanes, they wait for a free one
ALONE = ("crash",)  # leases of two seconds, under a load that takes all there is
POLL = 0.2  # seconds between two looks at another lane


def say(text: str = "", out: TextIO | None = None) -> None:
    """Print at once, also into a pipe; ``out`` = where a lane's output is kept."""
    print(text, file=out, flush=True)


class Programs:
    """The programs that run now, in any lane."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(self, command: Sequence[str], limit: int, out: TextIO | None = None) -> int:
        """Run a program of the environment; 124 when it had to be ended at its limit."""
        program = BIN / command[0]
        env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
        # The tests start hundreds of interpreters.  Each would compile our modules again, and each
        # run of pytest all tests, where this is set (as images of Python often do).
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        with self._lock:
            if self._over:
                return ENDED_AT_LIMIT
            process = subprocess.Popen(
                [str(program), *command[1:]],
                cwd=ROOT,
                env=env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            self._running.add(process.pid)
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return ENDED_AT_LIMIT
        finally:
            with self._lock:
                self._running.discard(process.pid)
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        """End all of them with their children, and start no more."""
        with self._lock:
            self._over = True
            for group in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)


PROGRAMS = Programs()


def count(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped in a JUnit file; a missing file is one failure."""
    if not report.exists():
        return 0, 1, 0
    total = failed = skipped = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return max(0, total - failed - skipped), failed, skipped


def run_check(check: Check, layer: Layer, result: Result, out: TextIO | None) -> None:
    """Run one check and add it to ``result``."""
    say(f"--> {check.name}", out)
    code = PROGRAMS.run(check.command, layer.limit, out)
    if code == 0:
        result.passed += 1
    else:
        result.failed += 1
        result.problems.append(_why(check.name, code, layer.limit))


def run_tests(
    tests: Suite, layer: Layer, result: Result, out: TextIO | None, *, strict: bool
) -> None:
    """Run pytest and add its counts to ``result``."""
    say(f"--> {tests.name}", out)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = ("pytest", "-q", f"--junitxml={report}", *tests.arguments)
        code = PROGRAMS.run(command, layer.limit, out)
        passed, failed, skipped = count(report)
    if strict and skipped:
        result.problems.append(f"{tests.name}: {skipped} skipped, and CI=true allows none")
        failed, skipped = failed + skipped, 0
    if code != 0 and not failed:
        failed = 1  # nothing collected, an error at the end, or the limit
    if failed:
        result.problems.append(_why(tests.name, code, layer.limit))
    result.passed += passed
    result.failed += failed
    result.skipped += skipped


def _why(name: str, code: int, limit: int) -> str:
    return f"{name}: not done after {limit} s" if code == ENDED_AT_LIMIT else f"{name}: failed"


def run_layer(layer: Layer, *, strict: bool, out: TextIO | None = None) -> Result:
    """Run one layer, with its output in ``out``; missing programs fail it before it starts."""
    result = Result(layer.name)
    needs = ", ".join(need.program for need in layer.needs) or "nothing but Python"
    say(f"\n==> {layer.name}: {layer.shows} (needs {needs})", out)
    began = time.monotonic()
    missing = [text for need in layer.needs if (text := need.missing())]
    if missing:
        result.failed += 1
        result.problems += missing
        for text in missing:
            say(f"    {text}", out)
    else:
        for step in layer.steps:
            if isinstance(step, Check):
                run_check(step, layer, result, out)
            else:
                run_tests(step, layer, result, out, strict=strict)
    result.seconds = time.monotonic() - began
    return result


class Kept:
    """A layer that runs in one of ``lanes``, with its output in a file."""

    def __init__(
        self, lanes: ThreadPoolExecutor, layer: Layer, file: Path, *, strict: bool
    ) -> None:
        self.name = layer.name
        self._file = file
        self._file.touch()
        self.came_to: Future[Result] = lanes.submit(self._run, layer, strict=strict)

    def _run(self, layer: Layer, *, strict: bool) -> Result:
        with self._file.open("a", encoding="utf-8") as out:
            return run_layer(layer, strict=strict, out=out)

    def show(self) -> Result:
        """Its output, to the end; what it came to."""
        with self._file.open(encoding="utf-8", errors="replace") as kept:
            while True:
                over = self.came_to.done()
                sys.stdout.write(kept.read())
                sys.stdout.flush()
                if over:
                    return self.came_to.result()
                wait((self.came_to,), timeout=POLL)


def shown(kept: list[Kept], *, all_of_them: bool) -> dict[str, Result]:
    """Show those that are over, or wait for all; what they came to.  They are taken from ``kept``."""
    chosen = [one for one in kept if all_of_them or one.came_to.done()]
    kept[:] = [one for one in kept if one not in chosen]
    return {one.name: one.show() for one in chosen}


def run_lanes(layers: Sequence[Layer], *, strict: bool) -> list[Result]:
    """Run the layers, those in ``BESIDE`` beside the others; what they came to, in the same order."""
    first = [layer for layer in layers if layer.name not in BESIDE] or layers
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(LANES) as lanes:
        kept = [
            Kept(lanes, layer, Path(folder) / layer.name, strict=strict)
            for layer in layers
            if layer not in first
        ]
        try:
            for layer in first:
                results |= shown(kept, all_of_them=layer.name in ALONE)
                results[layer.name] = run_layer(layer, strict=strict)
            results |= shown(kept, all_of_them=True)
        except BaseException:
            lanes.shutdown(wait=False, cancel_futures=True)
            PROGRAMS.end()
            raise
    return [results[layer.name] for layer in layers]


def table(results: Sequence[Result]) -> str:
    """The results, one layer a line, what failed below it."""
    lines = [f"{'layer':<12} {'result':<6} {'passed':>7} {'failed':>7} {'skipped':>8} {'time':>8}"]
    for result in results:
        word = "FAILED" if result.failed else "ok"
        lines.append(
            f"{result.name:<12} {word:<6} {result.passed:>7} {result.failed:>7} "
            f"{result.skipped:>8} {result.seconds:>6.0f} s"
        )
        lines += [f"{'':<12} {problem}" for problem in result.problems]
    return "\n".join(lines)


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the named layers, or all; 0 when everything passed."""
    names = [layer.name for layer in LAYERS]
    unknown = [name for name in argv if name not in names]
    if unknown:
        say(f"no layer {', '.join(unknown)}; there are: {' '.join(names)}")
        return 2
    strict = env.get("CI", "").lower() in {"1", "true"}
    chosen = [layer for layer in LAYERS if not argv or layer.name in argv]
    say(f"Running {len(chosen)} of {len(LAYERS)} layers: {', '.join(one.name for one in chosen)}")
    results = run_lanes(chosen, strict=strict)
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    say(f"\n{table(results)}\n")
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
